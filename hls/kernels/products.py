"""edgekit_products.h: two streams of activations multiplied value by value. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.graph import IntegerGraph, Multiply
from edgekit.hls.kernels.arithmetic import product_constants, rounding_constant
from edgekit.hls.kernels.base import (
    AS_IT_COMES,
    VALUE_BITS,
    Call,
    Latency,
    Memory,
    Pace,
    Stage,
    Tokens,
    counter_bits,
    even_pace,
    line,
    signed,
    unsigned,
)


@dataclass(frozen=True)
class ValueProducts(Stage):
    """Loops: position, PE group of channels. What both kernels of it share."""

    positions: int
    channels: int
    pe: int
    accumulator_bits: int

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def cycles(self) -> int:
        return self.positions * self.groups

    @property
    def written(self) -> Tokens:
        return Tokens(self.cycles, self.pe)

    def _call(self, kernel: str, graph: IntegerGraph, op: Multiply, index: int) -> Call:
        own = (*unsigned(stage=index, positions=self.positions, groups=self.groups), *signed(rounding=rounding_constant(graph, op)))
        types = {"accum_t": f"ap_int<{self.accumulator_bits}>"}
        return Call(kernel, "product_config", (*own, *product_constants(graph, op)), types=types)


@dataclass(frozen=True)
class Product(ValueProducts):
    """Two streams, multiplied value by value."""

    sources = 2
    carries = False
    held = None
    latency = AS_IT_COMES
    memories = ()
    ddr_bytes = 0

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), bursts=(1.0, 1.0))

    @property
    def parts(self) -> dict[str, float]:
        """A clamp; the rounding constant is added in the DSP slice."""
        return {"Product": 1, "counter": counter_bits(self.cycles), "product clamped": self.pe * self.accumulator_bits}

    @property
    def multipliers(self) -> int:
        return self.pe

    def call(self, graph: IntegerGraph, op: Multiply, index: int) -> Call:
        return self._call("product_tokens", graph, op, index)


@dataclass(frozen=True)
class Gate(ValueProducts):
    """A stream times one number a channel, which comes first in the second stream and is kept."""

    sources = 2
    carries = False
    held = 1
    ddr_bytes = 0

    @property
    def latency(self) -> Latency:
        return Latency(first_needs=0.0, head=0.0, tail=0.0, after_held=self.cycles)

    def pace(self, interval: int, span: float) -> Pace:
        cycles = self.spread(interval, span)
        even = line((0, 0), (cycles, 1))
        return Pace(reads=(even, line((0, 0), (cycles / self.positions, 1))), bursts=(1.0, 1.0), writes=even, late=1.0)

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (Memory("gate", self.groups, self.pe * VALUE_BITS),)

    @property
    def parts(self) -> dict[str, float]:
        counters, clamped = counter_bits(self.positions, self.groups), self.pe * self.accumulator_bits
        return {"Gate": 1, "counter": counters, "gate kept": self.pe, "product clamped": clamped}

    @property
    def multipliers(self) -> int:
        return self.pe

    def call(self, graph: IntegerGraph, op: Multiply, index: int) -> Call:
        return self._call("gate_tokens", graph, op, index)
