"""edgekit_tokens.h: token by token: sums, tables, and streams that are copied, joined, sliced or resized. Pure Python.

The stages bear the names of the graph's ops that they carry out; where both are spoken of, the module's name goes before: tokens.Slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import IntegerGraph, clamp_range, ir
from edgekit.hls.kernels.arithmetic import value_type
from edgekit.hls.kernels.base import (
    AS_IT_COMES,
    VALUE_BITS,
    Call,
    Constant,
    Memory,
    Pace,
    Stage,
    Tokens,
    counter_bits,
    even_pace,
    signed,
    unsigned,
)


@dataclass(frozen=True)
class TokenStage(Stage):
    """A stage that writes (a fork: passes on) one token of PE values an iteration."""

    tokens: int
    pe: int

    @property
    def cycles(self) -> int:
        return self.tokens

    @property
    def written(self) -> Tokens:
        return Tokens(self.tokens, self.pe)

    def _call(
        self, kernel: str, index: int, constants: tuple[Constant, ...] = (), arrays: Mapping[str, tuple[str, Int64]] | None = None
    ) -> Call:
        return Call(kernel, "tokens_config", (*unsigned(stage=index, tokens=self.tokens), *constants), arrays=arrays or {})


@dataclass(frozen=True)
class Add(TokenStage):
    """Two streams added and clamped."""

    sources = 2
    carries = False
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0
    ddr_bytes = 0

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), bursts=(1.0, 1.0))

    @property
    def parts(self) -> dict[str, float]:
        return {"Add": 1, "counter": counter_bits(self.tokens), "value added": self.pe}

    def call(self, graph: IntegerGraph, op: ir.Add, index: int) -> Call:
        low, high = clamp_range(op.activation, graph.tensors[op.output])
        return self._call("sum_tokens", index, signed(low=low, high=high))


@dataclass(frozen=True)
class Lookup(TokenStage):
    """A table of 256 entries, read by PE values at once."""

    sources = 1
    carries = False
    held = None
    latency = AS_IT_COMES
    multipliers = 0
    ddr_bytes = 0

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span))

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (Memory("table", 256, VALUE_BITS, rom=True),) * self.pe

    @property
    def parts(self) -> dict[str, float]:
        return {"Lookup": 1, "counter": counter_bits(self.tokens), "value looked up": self.pe}

    def call(self, graph: IntegerGraph, op: ir.Lookup, index: int) -> Call:
        table = (value_type(graph.tensors[op.output]), op.table.astype(np.int64))
        return self._call("table_tokens", index, signed(lowest=graph.tensors[op.input].low), {"table": table})


@dataclass(frozen=True)
class Fork(TokenStage):
    """One stream to two readers."""

    sources = 1
    carries = True
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0
    ddr_bytes = 0

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span))

    @property
    def parts(self) -> dict[str, float]:
        return {"Fork": 1, "counter": counter_bits(self.tokens)}

    def call(self, graph: IntegerGraph, op: None, index: int) -> Call:
        return self._call("fork_tokens", index)


@dataclass(frozen=True)
class Concat(TokenStage):
    """Two streams side by side: at each position `left` tokens of the first, then `right` of the second."""

    left: int
    right: int

    sources = 2
    carries = False
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0
    ddr_bytes = 0

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), bursts=(float(self.left), 1.0))

    @property
    def parts(self) -> dict[str, float]:
        return {"Concat": 1, "counter": counter_bits(self.tokens, self.left + self.right), "value chosen": self.pe}

    def call(self, graph: IntegerGraph, op: ir.Concat, index: int) -> Call:
        return self._call("join_tokens", index, signed(left=self.left, right=self.right))


@dataclass(frozen=True)
class Slice(Stage):
    """Some of the channels: of `cell` tokens at a position, those from `begin` on, `count` of them. Loop: a token that comes in."""

    positions: int
    cell: int
    begin: int
    count: int
    pe: int

    sources = 1
    carries = False
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0
    ddr_bytes = 0

    @property
    def cycles(self) -> int:
        return self.positions * self.cell

    @property
    def written(self) -> Tokens:
        return Tokens(self.positions * self.count, self.pe)

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), late=float(self.count))

    @property
    def parts(self) -> dict[str, float]:
        return {"Slice": 1, "slice's counter": counter_bits(self.cycles, self.cell)}

    def call(self, graph: IntegerGraph, op: ir.Slice, index: int) -> Call:
        constants = unsigned(stage=index, tokens=self.cycles, cell=self.cell, begin=self.begin, count=self.count)
        return Call("slice_tokens", "tokens_config", constants)


@dataclass(frozen=True)
class Resize(Stage):
    """The same values in tokens of another size. An iteration moves as many values as divide both."""

    values: int
    token_in: int
    token_out: int

    sources = 1
    carries = True
    held = None
    latency = AS_IT_COMES
    memories = ()
    multipliers = 0
    ddr_bytes = 0

    @property
    def unit(self) -> int:
        """Values that an iteration moves."""
        return gcd(self.token_in, self.token_out)

    @property
    def cycles(self) -> int:
        return self.values // self.unit

    @property
    def written(self) -> Tokens:
        return Tokens(self.values // self.token_out, self.token_out)

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span))

    @property
    def parts(self) -> dict[str, float]:
        units = counter_bits(self.token_in // self.unit, self.token_out // self.unit)
        moved = {"value shifted in": self.token_in, "value shifted out": self.token_out}
        return {"Resize": 1, "resize's counter": counter_bits(self.cycles) + units, **moved}

    def call(self, graph: IntegerGraph, op: None, index: int) -> Call:
        return Call("resize_tokens", "resize_config", unsigned(stage=index, steps=self.cycles, unit=self.unit))
