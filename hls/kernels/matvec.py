"""edgekit_matvec.h: a matrix times the vector at each position, with weights on chip or read from memory. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import Conv2D, Dense, IntegerGraph
from edgekit.hls.kernels.arithmetic import (
    Sums,
    coded,
    quarters,
    sums_arrays,
    sums_constants,
    sums_types,
    weight_bits,
    weight_code,
    weight_type,
)
from edgekit.hls.kernels.base import (
    AS_IT_COMES,
    VALUE_BITS,
    Call,
    Constant,
    Cost,
    Latency,
    Memory,
    MemoryWords,
    Pace,
    Stage,
    Tokens,
    counter_bits,
    even_pace,
    line,
    unsigned,
)


@dataclass(frozen=True)
class Matrix(Stage):
    """A matrix of (outputs, inputs) times the vector at each position, then requantize: what both kernels of it share."""

    positions: int
    inputs: int
    outputs: int
    pe: int
    simd: int
    sums: Sums

    @property
    def input_groups(self) -> int:
        return self.inputs // self.simd

    @property
    def output_groups(self) -> int:
        return self.outputs // self.pe

    @property
    def lanes(self) -> int:
        return self.pe * self.simd

    @property
    def weight_word_bits(self) -> int:
        return self.lanes * self.sums.weight_bits

    @property
    def weight_words(self) -> int:
        return self.input_groups * self.output_groups

    @property
    def written(self) -> Tokens:
        return Tokens(self.positions * self.output_groups, self.pe)

    def words(self, graph: IntegerGraph, op: Conv2D | Dense) -> Int64:
        """An op's weights as words (output groups * input groups, SIMD * PE), coded as the arithmetic takes them.

        The inputs come in the order in which a window gives them: channel group, tap, channel.
        """
        weights = quarters(graph, op).weights
        channels = weights.shape[-2]
        taps = weights.reshape(-1, channels // self.simd, self.simd, self.outputs)
        if isinstance(op, Conv2D):
            taps = taps.transpose(1, 0, 2, 3)
        blocks = taps.reshape(self.input_groups, self.simd, self.output_groups, self.pe)
        return coded(op, blocks.transpose(2, 0, 1, 3).reshape(-1, self.simd * self.pe))

    def _constants(self, graph: IntegerGraph, op: Conv2D | Dense, index: int) -> tuple[Constant, ...]:
        groups = {"input_groups": self.input_groups, "output_groups": self.output_groups}
        own = unsigned(stage=index, positions=self.positions, simd=self.simd, **groups, lanes=self.lanes)
        return (*sums_constants(graph, op, self.pe), *own)


@dataclass(frozen=True)
class MatVec(Matrix):
    """With weights in ROM. Loops: position, PE group of outputs, SIMD group of inputs."""

    sources = 1
    carries = False
    held = None
    ddr_bytes = 0

    @property
    def cycles(self) -> int:
        return self.positions * self.output_groups * self.input_groups

    @property
    def latency(self) -> Latency:
        each = self.cycles / self.positions
        return Latency(first_needs=1.0 / self.positions, head=self.input_groups, tail=each, after_held=0.0)

    def pace(self, interval: int, span: float) -> Pace:
        cycles, follows = self.spread(interval, span), self.output_groups == 1
        if self.positions == 1:
            vector = line((0, 0), (cycles / self.output_groups, 1))
            return Pace(reads=(vector,), bursts=(1.0,), writes=line((0, 0), (cycles, 1)), late=1.0, follows=follows)
        return even_pace(cycles, (1.0 + self.input_groups * (1 - 1 / self.output_groups),), follows=follows)

    @property
    def memories(self) -> tuple[Memory, ...]:
        replayed = (Memory("input vector", self.input_groups, self.simd * VALUE_BITS),) if self.output_groups > 1 else ()
        weights = Memory("weights", self.weight_words, self.lanes * self.sums.weight_rom_bits, rom=True)
        return (weights, self.sums.requantize_memory(self.output_groups, self.pe), *replayed)

    @property
    def parts(self) -> dict[str, float]:
        counters = counter_bits(self.positions, self.output_groups, self.input_groups, self.weight_words)
        kept = self.simd * VALUE_BITS if self.output_groups > 1 else 0
        return {"MatVec": 1, "counter": counters, "vector kept": kept, **self.sums.parts(self.pe, self.simd)}

    @property
    def multipliers(self) -> int:
        return self.sums.multipliers(self.lanes)

    def call(self, graph: IntegerGraph, op: Conv2D | Dense, index: int) -> Call:
        return Call(
            "matvec",
            "matvec_config",
            self._constants(graph, op, index),
            types=sums_types(op, self.sums),
            arrays={"weight": (weight_type(op), self.words(graph, op)), **sums_arrays(graph, op, self.sums)},
        )


@dataclass(frozen=True)
class HeldMatVec(Matrix):
    """With the whole input held on chip, and each weight taken from a stream once a frame.

    Loops: PE group of outputs, position, SIMD group of inputs; then the outputs are sent in the order of the positions. The
    stream of weights has room for the next group's, so reading them goes on under the sums of this one.
    """

    sources = 2
    carries = False
    held = 0
    ddr_bytes = 0

    @property
    def cycles(self) -> int:
        return self.positions * self.output_groups * self.input_groups + self.emit_cycles

    @property
    def emit_cycles(self) -> int:
        """Cycles at the end, in which it writes."""
        return self.positions * self.output_groups

    @property
    def latency(self) -> Latency:
        head, each = self.cycles - self.emit_cycles, self.cycles / self.positions
        return Latency(first_needs=1.0 / self.positions, head=head, tail=each, after_held=self.cycles)

    def pace(self, interval: int, span: float) -> Pace:
        """What time is left is shared by whom it reads from and whom it writes to."""
        load, spare = self.positions * self.input_groups, (interval - self.cycles) / 2
        sent = line((interval - self.emit_cycles - spare, 0), (interval, 1))
        return Pace(reads=(line((0, 0), (load + spare, 1)),), bursts=(1.0,), writes=sent, late=1.0)

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (
            Memory("input map", self.positions * self.input_groups, self.simd * VALUE_BITS),
            Memory("output map", self.positions * self.output_groups, self.pe * VALUE_BITS),
            Memory("group of weights", self.input_groups, self.weight_word_bits),
            self.sums.requantize_memory(self.output_groups, self.pe),
        )

    @property
    def parts(self) -> dict[str, float]:
        loaded, sent = self.positions * self.input_groups, self.positions * self.output_groups
        counters = counter_bits(self.positions, self.output_groups, self.input_groups, loaded, sent)
        kept = {"weight kept": self.weight_word_bits, "output kept": self.pe * VALUE_BITS}
        return {"HeldMatVec": 1, "counter": counters, **kept, **self.sums.parts(self.pe, self.simd)}

    @property
    def multipliers(self) -> int:
        return self.sums.multipliers(self.lanes)

    def call(self, graph: IntegerGraph, op: Conv2D | Dense, index: int) -> Call:
        types = {**sums_types(op, self.sums), "weight_t": f"ap_{weight_type(op)}"}
        constants = self._constants(graph, op, index)
        return Call("held_matvec", "matvec_config", constants, types=types, arrays=sums_arrays(graph, op, self.sums))


@dataclass(frozen=True)
class WeightReader(Stage):
    """Weights of a HeldMatVec, in bursts through an AXI master: one word, of a power of two of bits, a cycle."""

    matrix: HeldMatVec

    sources = 0
    carries = False
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0

    @property
    def words(self) -> int:
        return self.matrix.weight_words

    @property
    def word_bits(self) -> int:
        return 1 << max(3, (self.matrix.weight_word_bits - 1).bit_length())

    @property
    def cycles(self) -> int:
        return self.words

    @property
    def written(self) -> Tokens:
        """A group of weights may be ahead of the sums."""
        return Tokens(self.words, self.matrix.lanes, self.matrix.sums.weight_bits, least_depth=self.matrix.input_groups)

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), bursts=())

    @property
    def parts(self) -> dict[str, float]:
        return {"WeightReader": 1}

    @property
    def logic(self) -> Cost:
        return super().logic + Cost(bram18=2 * ceil(self.word_bits / 72))  # the master's burst buffer

    @property
    def ddr_bytes(self) -> int:
        return self.words * self.word_bits // 8

    def call(self, graph: IntegerGraph, op: Conv2D | Dense, index: int) -> Call:
        constants = unsigned(stage=index, words=self.words, weight_bits=weight_bits(op))
        is_signed = Constant("bool", "is_signed", "false" if weight_code(op) else "true")
        memory = MemoryWords(self.word_bits, self.matrix.lanes, self._packed(self.matrix.words(graph, op)))
        return Call("read_weights", "weight_reader_config", (*constants, is_signed), memory=memory)

    def _packed(self, words: Int64) -> bytes:
        """Weights (words, lanes) as they lie in memory: each of its bits from the lowest up, one after the other."""
        bits = ((words[:, :, np.newaxis] >> np.arange(self.matrix.sums.weight_bits)) & 1).astype(np.uint8)
        room = np.zeros((len(words), self.word_bits), np.uint8)
        room[:, : self.matrix.weight_word_bits] = bits.reshape(len(words), -1)
        return np.packbits(room, axis=1, bitorder="little").tobytes()
