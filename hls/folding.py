"""How an op is folded in time: how many channels it takes and gives a cycle, and where its weights lie. Pure Python.

Streams carry tokens of a few channels, in the order rows, columns, channel groups. An op that sums over channels (Conv2D,
Dense, MatMul) reads tokens of SIMD values and writes tokens of PE values, with PE * SIMD products a cycle. Every other op works
on PE channels side by side and reads and writes tokens of PE values; its SIMD is 1.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import gcd, prod
from typing import TypeAlias

from edgekit.errors import EdgekitError
from edgekit.graph import Concat, Conv2D, Dense, IntegerGraph, MatMul, Op, Reshape, Slice, op_inputs

DDR_WORD_BITS_MAX = 1024
"""The widest AXI master port."""


class WeightPlacement(enum.Enum):
    ROM = "rom"
    """On chip, in words of PE * SIMD weights."""
    DDR = "ddr"
    """Read from memory once a frame while the layer's input map is held on chip. Conv2D and Dense only."""


@dataclass(frozen=True)
class Folding:
    pe: int = 1
    simd: int = 1
    weights: WeightPlacement = WeightPlacement.ROM


FoldingPlan: TypeAlias = Mapping[str, Folding]
"""Op name -> its folding, for every op but Reshape, which is no hardware."""


def folded_lengths(graph: IntegerGraph, op: Op) -> tuple[int, int]:
    """What PE and what SIMD have to divide."""
    channels = graph.tensors[op.output].shape[-1]
    if isinstance(op, Dense):
        return channels, prod(graph.tensors[op.input].shape)
    if isinstance(op, Conv2D):
        return channels, graph.tensors[op.input].shape[-1]
    if isinstance(op, MatMul):  # a token lies in one head
        return channels // op.heads, graph.tensors[op.inputs[0]].shape[-1] // op.heads
    if isinstance(op, Concat):
        return gcd(*(graph.tensors[name].shape[-1] for name in op.inputs)), 1
    if isinstance(op, Slice):
        return gcd(graph.tensors[op.input].shape[-1], op.start, channels), 1
    return channels, 1


def read_tokens(op: Op, folding: Folding) -> tuple[int, ...]:
    """Values of the tokens that an op reads, for each of its inputs."""
    if isinstance(op, MatMul):  # of the second input, a token has terms where its cells are outputs, and outputs where they are terms
        return folding.simd, folding.simd if op.transpose_y else folding.pe
    token = folding.simd if isinstance(op, Conv2D | Dense) else folding.pe
    return (token,) * len(op_inputs(op))


def legal_foldings(graph: IntegerGraph, op: Op) -> Iterator[Folding]:
    """Every folding that divides, on chip first. Nothing for a Reshape."""
    if isinstance(op, Reshape):
        return
    pes, simds = (divisors(length) for length in folded_lengths(graph, op))
    for placement in WeightPlacement:
        for pe in pes:
            for simd in simds:
                folding = Folding(pe, simd, placement)
                if refusal(graph, op, folding) is None:
                    yield folding


def refusal(graph: IntegerGraph, op: Op, folding: Folding) -> str | None:
    """Why an op cannot be folded so, or None."""
    for what, length, parts in zip(("PE", "SIMD"), folded_lengths(graph, op), (folding.pe, folding.simd), strict=True):
        if parts < 1 or length % parts:
            return (
                f"op '{op.name}' cannot have {what} {parts}: it has to divide {length}; take one of {', '.join(map(str, divisors(length)))}"
            )
    if folding.weights is WeightPlacement.DDR:
        if not isinstance(op, Conv2D | Dense):
            return f"op '{op.name}' cannot read weights from DDR: only Conv2D and Dense can; place them in ROM"
        most = DDR_WORD_BITS_MAX // WEIGHT_BITS_MAX
        if folding.pe * folding.simd > most:
            return f"op '{op.name}' cannot read {folding.pe} x {folding.simd} weights a cycle from DDR: PE * SIMD is at most {most} there"
    return None


WEIGHT_BITS_MAX = 7
"""A weight takes at most so many bits, see stages.weight_bits."""


def moderate_foldings(graph: IntegerGraph, pe: int = 16, simd: int = 8) -> dict[str, Folding]:
    """The largest PE and SIMD up to these for every op, for no board in particular: the integers are the same under every folding."""
    hardware = [op for op in graph.ops if not isinstance(op, Reshape)]
    lengths = {op.name: folded_lengths(graph, op) for op in hardware}
    return {name: Folding(_largest_divisor(outputs, pe), _largest_divisor(inputs, simd)) for name, (outputs, inputs) in lengths.items()}


def _largest_divisor(number: int, most: int) -> int:
    return max(divisor for divisor in divisors(number) if divisor <= most)


def check_plan(graph: IntegerGraph, plan: FoldingPlan) -> None:
    """Raises EdgekitError: the plan lacks an op, names one that is not there, or has a folding that does not divide."""
    ops = {op.name: op for op in graph.ops if not isinstance(op, Reshape)}
    missing, strangers = sorted(ops.keys() - plan.keys()), sorted(plan.keys() - ops.keys())
    if missing or strangers:
        raise EdgekitError(f"the folding plan of '{graph.name}' lacks the ops {missing} and names {strangers}, which are none of its ops")
    refusals = [reason for name, op in ops.items() if (reason := refusal(graph, op, plan[name])) is not None]
    if refusals:
        raise EdgekitError("\n".join(refusals))


def divisors(number: int) -> list[int]:
    """All of them, ascending."""
    low = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*low, *(number // d for d in low)})
