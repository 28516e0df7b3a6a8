"""edgekit_taps.h: what is taken channel by channel over the cells of a window: weighted sums, and the largest value. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.arrays import Int64
from edgekit.graph import DepthwiseConv2D, IntegerGraph, MaxPool
from edgekit.hls.kernels.arithmetic import Sums, coded, quarters, sums_arrays, sums_constants, sums_types, weight_type
from edgekit.hls.kernels.base import (
    AS_IT_COMES,
    Call,
    Constant,
    Latency,
    Memory,
    Pace,
    Stage,
    Tokens,
    counter_bits,
    even_pace,
    line,
    unsigned,
)


@dataclass(frozen=True)
class ChannelSums(Stage):
    """The sum over the taps of each channel, then requantize: what both kernels of it share."""

    positions: int
    channels: int
    taps: int
    pe: int
    sums: Sums

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def written(self) -> Tokens:
        return Tokens(self.positions * self.groups, self.pe)

    def _memories(self, weight_taps: int) -> tuple[Memory, Memory]:
        weights = Memory("weights", self.groups * weight_taps, self.pe * self.sums.weight_rom_bits, rom=True)
        return weights, self.sums.requantize_memory(self.groups, self.pe)

    def _weights(self, graph: IntegerGraph, op: DepthwiseConv2D) -> Int64:
        """(taps, groups, pe)."""
        return quarters(graph, op).weights.reshape(self.taps, self.groups, self.pe)

    def _constants(self, graph: IntegerGraph, op: DepthwiseConv2D, index: int) -> tuple[Constant, ...]:
        own = unsigned(stage=index, positions=self.positions, groups=self.groups, taps=self.taps)
        return (*sums_constants(graph, op, self.pe), *own)

    def _arrays(self, graph: IntegerGraph, op: DepthwiseConv2D, words: Int64) -> dict[str, tuple[str, Int64]]:
        return {"weight": (weight_type(op), coded(op, words)), **sums_arrays(graph, op, self.sums)}


@dataclass(frozen=True)
class Depthwise(ChannelSums):
    """Over the cells that a window gives. Loops: position, PE group of channels, tap."""

    sources = 1
    carries = False
    held = None
    latency = AS_IT_COMES
    ddr_bytes = 0

    @property
    def cycles(self) -> int:
        return self.positions * self.groups * self.taps

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), follows=True)

    @property
    def memories(self) -> tuple[Memory, ...]:
        return self._memories(self.taps)

    @property
    def parts(self) -> dict[str, float]:
        counters = counter_bits(self.positions, self.groups, self.taps, self.groups * self.taps)
        return {"Depthwise": 1, "counter": counters, **self.sums.parts(self.pe, simd=1)}

    @property
    def multipliers(self) -> int:
        return self.sums.multipliers(self.pe)

    def call(self, graph: IntegerGraph, op: DepthwiseConv2D, index: int) -> Call:
        words, types = self._weights(graph, op).transpose(1, 0, 2), sums_types(op, self.sums)
        return Call("depthwise", "depthwise_config", self._constants(graph, op, index), types, self._arrays(graph, op, words))


@dataclass(frozen=True)
class MapSums(ChannelSums):
    """Where the one window is the whole map: no line buffer, but a sum for each channel.

    `weight_taps`: 1 where a channel's weights are all alike, as a mean's are, else `taps`. Loops: tap, PE group of channels; then
    the sums are sent.
    """

    weight_taps: int

    sources = 1
    carries = False
    held = 0
    ddr_bytes = 0

    @property
    def cycles(self) -> int:
        return (self.taps + 1) * self.groups

    @property
    def latency(self) -> Latency:
        return Latency(first_needs=0.0, head=self.cycles - self.groups, tail=0.0, after_held=self.groups)

    def pace(self, interval: int, span: float) -> Pace:
        cycles = self.spread(interval, span)
        loaded = line((0, 0), (self.taps * self.groups + cycles - self.cycles, 1))
        return Pace(reads=(loaded,), bursts=(1.0,), writes=line((cycles - self.groups, 0), (cycles, 1)), late=1.0)

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (*self._memories(self.weight_taps), Memory("sums", self.groups, self.pe * self.sums.accumulator_bits))

    @property
    def parts(self) -> dict[str, float]:
        counters = counter_bits(self.taps, self.groups, self.groups * self.weight_taps)
        return {"MapSums": 1, "map's counter": counters, **self.sums.parts(self.pe, simd=1)}

    @property
    def multipliers(self) -> int:
        return self.sums.multipliers(self.pe)

    def call(self, graph: IntegerGraph, op: DepthwiseConv2D, index: int) -> Call:
        words, types = self._weights(graph, op)[: self.weight_taps], sums_types(op, self.sums)
        constants = (*self._constants(graph, op, index), *unsigned(weight_taps=self.weight_taps))
        return Call("map_sums", "depthwise_config", constants, types, self._arrays(graph, op, words))


@dataclass(frozen=True)
class Largest(Stage):
    """The largest value of each channel over the taps. Loops: position, PE group of channels, tap."""

    positions: int
    channels: int
    taps: int
    pe: int

    sources = 1
    carries = False
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0
    ddr_bytes = 0

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def cycles(self) -> int:
        return self.positions * self.groups * self.taps

    @property
    def written(self) -> Tokens:
        return Tokens(self.positions * self.groups, self.pe)

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), follows=True)

    @property
    def parts(self) -> dict[str, float]:
        return {"Largest": 1, "counter": counter_bits(self.positions, self.groups, self.taps), "value compared": self.pe}

    def call(self, graph: IntegerGraph, op: MaxPool, index: int) -> Call:
        constants = unsigned(stage=index, positions=self.positions, groups=self.groups, taps=self.taps)
        return Call("largest", "largest_config", constants)
