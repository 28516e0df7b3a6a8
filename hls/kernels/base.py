"""What a kernel's Python side is made of: a stage is one call of a kernel, with all that is true of it. Pure Python.

A stage's fields are the kernel's template constants, and `cycles` is the number of iterations of the kernel's pipelined loops for one
frame, each written for an initiation interval of 1. Planner, estimates, code generator and the tests that count iterations all ask the
stage. Each kernel states everything itself: there is no default that would be true of a new kernel by luck.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Int64
from edgekit.graph import IntegerGraph
from edgekit.hls.kernels.luts import LUTS

VALUE_BITS = 8
FIFO_DEPTH = 2
"""Tokens that every FIFO has room for."""
FF_PER_LUT = 1.4
"""FINN's CNV on a Pynq-Z2 has 31,508 flip-flops and 22,714 LUTs."""
TINY = 1e-9


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
class Cost:
    """`bram18`: 18-kbit halves of a block RAM; `ddr_bytes`: read and written a frame."""

    lut: float = 0.0
    dsp: int = 0
    bram18: int = 0
    ddr_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            lut=self.lut + other.lut,
            dsp=self.dsp + other.dsp,
            bram18=self.bram18 + other.bram18,
            ddr_bytes=self.ddr_bytes + other.ddr_bytes,
        )

    @property
    def ff(self) -> float:
        return FF_PER_LUT * self.lut

    @property
    def bram36(self) -> float:
        return self.bram18 / 2


@dataclass(frozen=True)
class Tokens:
    """What a stage writes into each of its streams a frame: `tokens` of `token` values of `value_bits` each.

    `least_depth`: tokens that the FIFO behind it has room for in any case.
    """

    tokens: int
    token: int
    value_bits: int = VALUE_BITS
    least_depth: int = FIFO_DEPTH


@dataclass(frozen=True)
class Stream(Tokens):
    """Tokens between two stages.

    `producer`, `consumer`: names of stages; "" is the network's own input or output. `tensor`: the tensor of the graph that
    it carries, "" if it is none (the cells under a window, weights).
    """

    name: str = field(kw_only=True)
    producer: str = field(kw_only=True)
    consumer: str = field(kw_only=True)
    tensor: str = field(kw_only=True)

    @property
    def token_bits(self) -> int:
        return self.token * self.value_bits

    @property
    def carries_weights(self) -> bool:
        """A weight takes at most 7 bits, an activation 8."""
        return self.value_bits != VALUE_BITS


@dataclass(frozen=True)
class Latency:
    """When a stage begins and ends to write, beside what it reads."""

    first_needs: float
    """The part of an input, if it is none that is held, that it must have read before it writes anything."""
    head: float
    """Cycles from its start to its first output."""
    tail: float
    """Cycles from the last of an input that is not held to its last output."""
    after_held: float
    """Cycles from the last of what is held to its last output."""


AS_IT_COMES = Latency(first_needs=0.0, head=0.0, tail=0.0, after_held=0.0)
"""A token is written as soon as those that it is made of are read. Nothing is held."""

Line: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Corners of what is read or written of a frame: cycles from the stage's start, ascending, and the share of the frame's tokens by then."""


def line(*corners: tuple[float, float]) -> Line:
    """Shares ascend strictly by a little, so that the tokens on both sides of a pause have times of their own."""
    times, shares = (np.array(values, np.float64) for values in zip(*corners, strict=True))
    return times, shares + np.arange(len(shares)) * TINY


@dataclass(frozen=True)
class Pace:
    """How a stage reads and writes through a frame, as lines that it may be ahead of, when it reads, or behind, when it writes."""

    reads: tuple[Line, ...]
    """For each input that is a map."""
    bursts: tuple[float, ...]
    """For each input that is a map, the tokens that may be read before the line has them."""
    writes: Line
    late: float
    """The tokens that may be written after the line has them."""
    follows: bool = False
    """Whether each iteration reads a token, so that the stage can keep step with one that leads."""
    leads: bool = False
    """Whether a stage that follows goes in step with this one, and pauses when it does."""


def even_pace(cycles: float, bursts: tuple[float, ...] = (1.0,), *, late: float = 1.0, follows: bool = False) -> Pace:
    """All inputs, and the output, evenly over so many cycles."""
    even = line((0, 0), (cycles, 1))
    return Pace(reads=(even,) * len(bursts), bursts=bursts, writes=even, late=late, follows=follows)


def counter_bits(*lengths: int) -> int:
    """Bits of counters from 0 up to these lengths."""
    return sum((length - 1).bit_length() for length in lengths)


@dataclass(frozen=True)
class Constant:
    """A line `static const TYPE NAME = VALUE;` of a kernel's struct of constants."""

    cpp_type: str
    name: str
    value: int | str


def unsigned(**values: int) -> tuple[Constant, ...]:
    return tuple(Constant("unsigned", name, value) for name, value in values.items())


def signed(**values: int) -> tuple[Constant, ...]:
    return tuple(Constant("int", name, value) for name, value in values.items())


@dataclass(frozen=True)
class MemoryWords:
    """What a kernel reads through an AXI master: words of `word_bits`, little endian, each of which becomes a token of `lanes` values."""

    word_bits: int
    lanes: int
    content: bytes


@dataclass(frozen=True)
class Call:
    """How a stage calls its kernel.

    `base`: the kernel's struct of constants. `types`: name -> C++ type, as typedefs. `arrays`: name -> (hls4ml's precision, values);
    the config gets a typedef name_t of each. `memory`: what comes from memory, where the kernel has no stream to read.
    """

    kernel: str
    base: str
    constants: tuple[Constant, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, tuple[str, Int64]] = field(default_factory=dict)
    memory: MemoryWords | None = None


@dataclass(frozen=True)
class Stage(ABC):
    """`op`: the op that it is made for (of one that carries a tensor: that tensor)."""

    sources: ClassVar[int]
    """Streams that it reads."""
    carries: ClassVar[bool]
    """Whether it passes on a tensor for others to read, and is no part of an op."""
    name: str
    op: str

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Iterations of the pipelined loops a frame."""

    @property
    @abstractmethod
    def written(self) -> Tokens:
        """What it writes into each stream behind it."""

    @property
    @abstractmethod
    def held(self) -> int | None:
        """Which of its input streams it has to have read to the end before it writes anything."""

    @property
    @abstractmethod
    def latency(self) -> Latency:
        """When it first reads and last writes."""

    @abstractmethod
    def pace(self, interval: int, span: float) -> Pace:
        """How it spreads a frame over an interval, where what it reads comes over `span` cycles: it keeps step as far as it can."""

    @property
    @abstractmethod
    def memories(self) -> tuple[Memory, ...]:
        """What it keeps on chip."""

    @property
    @abstractmethod
    def parts(self) -> dict[str, float]:
        """What it is made of beside memories and multipliers: part -> how much of it there is. luts.py has what one takes."""

    @property
    def logic(self) -> Cost:
        """LUTs of control and arithmetic; what else it takes beside its memories and multipliers."""
        return Cost(lut=sum(LUTS[part] * count for part, count in self.parts.items()))

    @property
    @abstractmethod
    def multipliers(self) -> int:
        """Products a cycle that take a multiplier (packed ones: one for two)."""

    @property
    @abstractmethod
    def ddr_bytes(self) -> int:
        """Bytes read from memory a frame."""

    @abstractmethod
    def call(self, graph: IntegerGraph, op: Any, index: int) -> Call:
        """The call of its kernel in the generated code, where it is stage `index`. `op`: the graph's, None of one that carries a tensor."""

    def spread(self, interval: int, span: float) -> float:
        """The cycles of a frame when a stage keeps step with what comes over `span` cycles, if it is fast enough."""
        return float(min(max(self.cycles, span), interval))
