"""The dataflow pipeline that a folded graph becomes: its stages, and the streams between them. Pure Python.

A stage is one call of a kernel of this folder. Its fields are the kernel's template constants, and `cycles` is the number of
iterations of the kernel's pipelined loops for one frame, each written for an initiation interval of 1. Planner, estimates,
code generator and the tests that count iterations all read these numbers.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import gcd

VALUE_BITS = 8


class Arithmetic(enum.Enum):
    """How a product of an activation and a weight is taken."""

    MULTIPLY = "multiply"
    """A multiplier each."""
    PACKED = "packed"
    """Two products that share an activation, of two neighbouring PEs, in one DSP multiplier."""
    SHIFT_ADD = "shift_add"
    """No multiplier: shifts of the activation, added."""


@dataclass(frozen=True)
class Memory:
    """`words` of `word_bits` each, one word read a cycle; a ROM is never written."""

    name: str
    words: int
    word_bits: int
    rom: bool = False

    @property
    def bits(self) -> int:
        return self.words * self.word_bits


@dataclass(frozen=True)
class Stage:
    """`op`: the op that it is made for (of a fork or a resize: the op whose output it carries, or the graph's input)."""

    name: str
    op: str

    @property
    def cycles(self) -> int:
        """Iterations of the pipelined loops a frame."""
        raise NotImplementedError

    @property
    def held(self) -> int | None:
        """Which of its input streams it has to have read to the end before it writes anything."""
        return None

    @property
    def memories(self) -> tuple[Memory, ...]:
        return ()

    @property
    def multipliers(self) -> int:
        """Products a cycle that take a multiplier (packed ones: one for two)."""
        return 0

    @property
    def ddr_bytes(self) -> int:
        """Read from memory a frame."""
        return 0


@dataclass(frozen=True)
class MatVec(Stage):
    """A matrix of (outputs, inputs) times the vector at each position, then requantize. Weights in ROM.

    Loops: position, PE group of outputs, SIMD group of inputs.
    """

    positions: int
    inputs: int
    outputs: int
    pe: int
    simd: int
    arithmetic: Arithmetic
    weight_bits: int
    accumulator_bits: int
    bias_bits: int
    shift_bits: int

    @property
    def input_groups(self) -> int:
        return self.inputs // self.simd

    @property
    def output_groups(self) -> int:
        return self.outputs // self.pe

    @property
    def weight_word_bits(self) -> int:
        return self.pe * self.simd * self.weight_bits

    @property
    def weight_words(self) -> int:
        return self.input_groups * self.output_groups

    @property
    def cycles(self) -> int:
        return self.positions * self.output_groups * self.input_groups

    @property
    def _requantize(self) -> Memory:
        return Memory("bias and shift", self.output_groups, self.pe * (self.bias_bits + self.shift_bits), rom=True)

    @property
    def memories(self) -> tuple[Memory, ...]:
        replayed = (Memory("input vector", self.input_groups, self.simd * VALUE_BITS),) if self.output_groups > 1 else ()
        return (Memory("weights", self.weight_words, self.weight_word_bits, rom=True), self._requantize, *replayed)

    @property
    def multipliers(self) -> int:
        if self.arithmetic is Arithmetic.SHIFT_ADD:
            return 0
        return self.pe * self.simd // (2 if self.arithmetic is Arithmetic.PACKED else 1)


@dataclass(frozen=True)
class HeldMatVec(MatVec):
    """The same with the whole input held on chip, and each weight taken from a stream once a frame.

    Loops: PE group of outputs, position, SIMD group of inputs; then the outputs are sent in the order of the positions. The
    stream of weights has room for the next group's, so reading them goes on under the sums of this one.
    """

    @property
    def cycles(self) -> int:
        return super().cycles + self.positions * self.output_groups

    @property
    def held(self) -> int:
        return 0

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (
            Memory("input map", self.positions * self.input_groups, self.simd * VALUE_BITS),
            Memory("output map", self.positions * self.output_groups, self.pe * VALUE_BITS),
            Memory("group of weights", self.input_groups, self.weight_word_bits),
            Memory("next group of weights", self.input_groups, self.weight_word_bits),
            self._requantize,
        )


@dataclass(frozen=True)
class WeightReader(Stage):
    """Weights of a HeldMatVec, in bursts through an AXI master: one word of `word_bits`, a power of two, a cycle."""

    words: int
    word_bits: int

    @property
    def cycles(self) -> int:
        return self.words

    @property
    def ddr_bytes(self) -> int:
        return self.words * self.word_bits // 8


@dataclass(frozen=True)
class Largest(Stage):
    """The largest value of each channel over the taps. Loops: position, PE group of channels, tap."""

    positions: int
    channels: int
    taps: int
    pe: int

    @property
    def cycles(self) -> int:
        return self.positions * (self.channels // self.pe) * self.taps


@dataclass(frozen=True)
class TokenStage(Stage):
    """A stage that writes (a fork: passes on) one token of PE values an iteration."""

    tokens: int
    pe: int

    @property
    def cycles(self) -> int:
        return self.tokens


class Sum(TokenStage):
    """Two streams added and clamped."""


class Table(TokenStage):
    """256 entries, read by PE values at once."""

    @property
    def memories(self) -> tuple[Memory, ...]:
        return tuple(Memory("table", 256, VALUE_BITS, rom=True) for _ in range((self.pe + 1) // 2))


class Fork(TokenStage):
    """One stream to two readers."""


@dataclass(frozen=True)
class Join(TokenStage):
    """Two streams side by side: at each position `left` tokens of the first, then `right` of the second."""

    left: int
    right: int


@dataclass(frozen=True)
class Cut(Stage):
    """Some of the channels: of `cell` tokens at a position, those from `begin` on, `count` of them. Loop: a token that comes in."""

    positions: int
    cell: int
    begin: int
    count: int
    pe: int

    @property
    def cycles(self) -> int:
        return self.positions * self.cell


@dataclass(frozen=True)
class Resize(Stage):
    """The same values in tokens of another size. An iteration moves as many values as divide both."""

    values: int
    token_in: int
    token_out: int

    @property
    def cycles(self) -> int:
        return self.values // gcd(self.token_in, self.token_out)
