"""What the hardware makes of each op, a row an op: how it may be folded, the tokens that it reads, the stages that it becomes.

The rows stand at the foot. Stages bear the names of ops in places; ops are ir.X here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, Op, ir, op_inputs, product_bound
from edgekit.hls.folding import Folding, FoldingPlan, WeightPlacement
from edgekit.hls.kernels import matmul, matvec, products, taps, tokens, upsample
from edgekit.hls.kernels.arithmetic import rounding_constant, signed_bits, sums_of
from edgekit.hls.kernels.base import Stage
from edgekit.hls.kernels.window import Window

DDR_WORD_BITS_MAX = 1024
"""The widest AXI master port."""
WEIGHT_BITS_MAX = 7
"""A weight takes at most so many bits, see arithmetic.weight_bits."""


@dataclass(frozen=True)
class Row:
    """What the hardware makes of an op.

    `lengths`: what PE and what SIMD have to divide. `reads`: values of the tokens that it reads, for each of its inputs. `stages`: of
    an op with a legal folding, in order, the last of which has the given name and writes the op's output. `from_memory`: whether it
    can read its weights from memory.
    """

    lengths: Callable[[IntegerGraph, Any], tuple[int, int]]
    reads: Callable[[Any, Folding], tuple[int, ...]]
    stages: Callable[[IntegerGraph, Any, Folding, str], tuple[Stage, ...]]
    from_memory: bool = False


def row_of(op: Op) -> Row:
    """Raises EdgekitError: the op has no kernel."""
    row = ROWS.get(type(op))
    if row is None:
        raise EdgekitError(f"op '{op.name}': there is no HLS kernel for a {type(op).__name__}")
    return row


def op_stages(graph: IntegerGraph, op: Op, folding: Folding, name: str = "") -> tuple[Stage, ...]:
    """The stages that one op becomes, in order; the last one writes its output. `name`: of the last stage, by default the op's.

    Raises EdgekitError: the op has no kernel, or cannot be folded so.
    """
    row = row_of(op)
    reason = refusal(graph, op, folding)
    if reason is not None:
        raise EdgekitError(reason)
    return row.stages(graph, op, folding, name or op.name)


def refusal(graph: IntegerGraph, op: Op, folding: Folding) -> str | None:
    """Why an op cannot be folded so, or None."""
    row = row_of(op)
    for what, length, parts in zip(("PE", "SIMD"), row.lengths(graph, op), (folding.pe, folding.simd), strict=True):
        if parts < 1 or length % parts:
            return (
                f"op '{op.name}' cannot have {what} {parts}: it has to divide {length}; take one of {', '.join(map(str, divisors(length)))}"
            )
    if folding.weights is WeightPlacement.DDR:
        if not row.from_memory:
            return f"op '{op.name}' cannot read weights from DDR: only Conv2D and Dense can; place them in ROM"
        most = DDR_WORD_BITS_MAX // WEIGHT_BITS_MAX
        if folding.pe * folding.simd > most:
            return f"op '{op.name}' cannot read {folding.pe} x {folding.simd} weights a cycle from DDR: PE * SIMD is at most {most} there"
    return None


def legal_foldings(graph: IntegerGraph, op: Op) -> Iterator[Folding]:
    """Every folding that divides, on chip first. Nothing for a Reshape."""
    if isinstance(op, ir.Reshape):
        return
    pes, simds = (divisors(length) for length in row_of(op).lengths(graph, op))
    for placement in WeightPlacement:
        for pe in pes:
            for simd in simds:
                folding = Folding(pe, simd, placement)
                if refusal(graph, op, folding) is None:
                    yield folding


def moderate_foldings(graph: IntegerGraph, pe: int = 16, simd: int = 8) -> dict[str, Folding]:
    """The largest PE and SIMD up to these for every op, for no board in particular: the integers are the same under every folding."""
    lengths = {op.name: row_of(op).lengths(graph, op) for op in graph.ops if not isinstance(op, ir.Reshape)}
    return {name: Folding(_largest_divisor(outputs, pe), _largest_divisor(inputs, simd)) for name, (outputs, inputs) in lengths.items()}


def check_plan(graph: IntegerGraph, plan: FoldingPlan) -> None:
    """Raises EdgekitError: the plan lacks an op, names one that is not there, or has a folding that does not divide."""
    ops = {op.name: op for op in graph.ops if not isinstance(op, ir.Reshape)}
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


def _largest_divisor(number: int, most: int) -> int:
    return max(divisor for divisor in divisors(number) if divisor <= most)


def _channels(graph: IntegerGraph, op: Op) -> int:
    return graph.tensors[op.output].shape[-1]


def _positions(graph: IntegerGraph, op: Op) -> int:
    return prod(graph.tensors[op.output].shape[:-1])


def _pe_divides_channels(graph: IntegerGraph, op: Op) -> tuple[int, int]:
    return _channels(graph, op), 1


def _tokens_of_pe(op: Op, folding: Folding) -> tuple[int, ...]:
    return (folding.pe,) * len(op_inputs(op))


def _tokens_of_simd(op: Op, folding: Folding) -> tuple[int, ...]:
    return (folding.simd,) * len(op_inputs(op))


def _window(graph: IntegerGraph, op: ir.ConvOp | ir.MaxPool, window: ir.Window, token: int, name: str) -> tuple[Window, ...]:
    """In front of an op; nothing where each window is one cell, in order."""
    if (window.kernel, window.strides, window.padding) == ((1, 1), (1, 1), ir.NO_PADDING):
        return ()
    source = graph.tensors[op.input]
    rows, columns, channels = source.shape
    pad_value = source.low if isinstance(op, ir.MaxPool) else 0
    fields = {"rows": rows, "columns": columns, "channels": channels, "token": token, "pad_value": pad_value}
    return (Window(f"{name}_window", op.name, window=window, **fields),)


def _weights_window(op: ir.ConvOp) -> ir.Window:
    return ir.Window((op.weights.shape[0], op.weights.shape[1]), op.strides, op.padding, op.dilation)


def _matvec(graph: IntegerGraph, op: ir.Conv2D | ir.Dense, folding: Folding, name: str) -> tuple[Stage, ...]:
    fields: dict[str, Any] = {
        "positions": _positions(graph, op),
        "inputs": prod(op.weights.shape[:-1]),
        "outputs": op.weights.shape[-1],
        "pe": folding.pe,
        "simd": folding.simd,
        "sums": sums_of(graph, op, packable=folding.pe % 2 == 0),
    }
    if folding.weights is WeightPlacement.ROM:
        return (matvec.MatVec(name, op.name, **fields),)
    held = matvec.HeldMatVec(name, op.name, **fields)
    return (matvec.WeightReader(f"{name}_weights", op.name, held), held)


def _conv2d_lengths(graph: IntegerGraph, op: ir.Conv2D) -> tuple[int, int]:
    return _channels(graph, op), graph.tensors[op.input].shape[-1]


def _conv2d(graph: IntegerGraph, op: ir.Conv2D, folding: Folding, name: str) -> tuple[Stage, ...]:
    return (*_window(graph, op, _weights_window(op), folding.simd, name), *_matvec(graph, op, folding, name))


def _dense_lengths(graph: IntegerGraph, op: ir.Dense) -> tuple[int, int]:
    return _channels(graph, op), prod(graph.tensors[op.input].shape)


def _depthwise(graph: IntegerGraph, op: ir.DepthwiseConv2D, folding: Folding, name: str) -> tuple[Stage, ...]:
    """One window that is the whole map needs no line buffer."""
    window, count = _weights_window(op), prod(op.weights.shape[:2])
    fields: dict[str, Any] = {
        "positions": _positions(graph, op),
        "channels": _channels(graph, op),
        "taps": count,
        "pe": folding.pe,
        "sums": sums_of(graph, op, packable=False),
    }
    if count > 1 and window.kernel == graph.tensors[op.input].shape[:2] and window.padding == ir.NO_PADDING:
        alike = bool((op.weights == op.weights[0, 0]).all())
        return (taps.MapSums(name, op.name, **fields, weight_taps=1 if alike else count),)
    return (*_window(graph, op, window, folding.pe, name), taps.Depthwise(name, op.name, **fields))


def _upsample(graph: IntegerGraph, op: ir.DepthwiseConv2DTranspose, folding: Folding, name: str) -> tuple[Stage, ...]:
    rows, columns, channels = graph.tensors[op.input].shape
    kernel, sums = (op.weights.shape[0], op.weights.shape[1]), sums_of(graph, op, packable=False)
    fields = {"rows": rows, "columns": columns, "channels": channels, "pe": folding.pe}
    return (upsample.Upsample(name, op.name, **fields, kernel=kernel, sums=sums),)


def _max_pool(graph: IntegerGraph, op: ir.MaxPool, folding: Folding, name: str) -> tuple[Stage, ...]:
    fields = {"positions": _positions(graph, op), "channels": _channels(graph, op), "taps": prod(op.pool), "pe": folding.pe}
    window = ir.Window(op.pool, op.strides, op.padding)
    return (*_window(graph, op, window, folding.pe, name), taps.Largest(name, op.name, **fields))


def _product_bits(graph: IntegerGraph, op: ir.ProductOp) -> int:
    return signed_bits(product_bound(graph, op) + rounding_constant(graph, op))


def _multiply(graph: IntegerGraph, op: ir.Multiply, folding: Folding, name: str) -> tuple[Stage, ...]:
    x, y = (graph.tensors[tensor].shape for tensor in op.inputs)
    fields = {"positions": _positions(graph, op), "channels": _channels(graph, op), "pe": folding.pe}
    kind = products.Product if x == y else products.Gate
    return (kind(name, op.name, **fields, accumulator_bits=_product_bits(graph, op)),)


def _matmul_lengths(graph: IntegerGraph, op: ir.MatMul) -> tuple[int, int]:
    """A token lies in one head."""
    return _channels(graph, op) // op.heads, graph.tensors[op.inputs[0]].shape[-1] // op.heads


def _matmul_reads(op: ir.MatMul, folding: Folding) -> tuple[int, int]:
    """A token of the second input has terms where its cells are outputs, and outputs where they are terms."""
    return folding.simd, folding.simd if op.transpose_y else folding.pe


def _matmul(graph: IntegerGraph, op: ir.MatMul, folding: Folding, name: str) -> tuple[Stage, ...]:
    x, y = (graph.tensors[tensor].shape for tensor in op.inputs)
    outputs, terms = _matmul_lengths(graph, op)
    biases = matmul.biases_of(graph, op)
    stage = matmul.MatMul(
        name,
        op.name,
        x_cells=prod(x[:-1]),
        y_cells=prod(y[:-1]),
        heads=op.heads,
        outputs=outputs,
        terms=terms,
        pe=folding.pe,
        simd=folding.simd,
        cells_are_outputs=op.transpose_y,
        accumulator_bits=_product_bits(graph, op),
        bias_bits=signed_bits(int(np.abs(biases).max())),
        biases=biases.size,
    )
    return (stage,)


def _add(graph: IntegerGraph, op: ir.Add, folding: Folding, name: str) -> tuple[Stage, ...]:
    return (tokens.Add(name, op.name, tokens=prod(graph.tensors[op.output].shape) // folding.pe, pe=folding.pe),)


def _lookup(graph: IntegerGraph, op: ir.Lookup, folding: Folding, name: str) -> tuple[Stage, ...]:
    return (tokens.Lookup(name, op.name, tokens=prod(graph.tensors[op.output].shape) // folding.pe, pe=folding.pe),)


def _concat_lengths(graph: IntegerGraph, op: ir.Concat) -> tuple[int, int]:
    return gcd(*(graph.tensors[name].shape[-1] for name in op.inputs)), 1


def _concat(graph: IntegerGraph, op: ir.Concat, folding: Folding, name: str) -> tuple[Stage, ...]:
    """A chain of stages that join two streams each."""
    groups = [graph.tensors[source].shape[-1] // folding.pe for source in op.inputs]
    stages = []
    for index, right in enumerate(groups[1:]):
        left, last = sum(groups[: index + 1]), index == len(groups) - 2
        count = _positions(graph, op) * (left + right)
        stages.append(tokens.Concat(name if last else f"{name}_{index}", op.name, tokens=count, pe=folding.pe, left=left, right=right))
    return tuple(stages)


def _slice_lengths(graph: IntegerGraph, op: ir.Slice) -> tuple[int, int]:
    return gcd(graph.tensors[op.input].shape[-1], op.start, _channels(graph, op)), 1


def _slice(graph: IntegerGraph, op: ir.Slice, folding: Folding, name: str) -> tuple[Stage, ...]:
    cell, begin, count = (length // folding.pe for length in (graph.tensors[op.input].shape[-1], op.start, _channels(graph, op)))
    return (tokens.Slice(name, op.name, positions=_positions(graph, op), cell=cell, begin=begin, count=count, pe=folding.pe),)


ROWS: Mapping[type, Row | None] = {
    ir.Conv2D: Row(_conv2d_lengths, _tokens_of_simd, _conv2d, from_memory=True),
    ir.DepthwiseConv2D: Row(_pe_divides_channels, _tokens_of_pe, _depthwise),
    ir.DepthwiseConv2DTranspose: Row(_pe_divides_channels, _tokens_of_pe, _upsample),
    ir.Dense: Row(_dense_lengths, _tokens_of_simd, _matvec, from_memory=True),
    ir.Add: Row(_pe_divides_channels, _tokens_of_pe, _add),
    ir.Multiply: Row(_pe_divides_channels, _tokens_of_pe, _multiply),
    ir.MatMul: Row(_matmul_lengths, _matmul_reads, _matmul),
    ir.Concat: Row(_concat_lengths, _tokens_of_pe, _concat),
    ir.Slice: Row(_slice_lengths, _tokens_of_pe, _slice),
    ir.MaxPool: Row(_pe_divides_channels, _tokens_of_pe, _max_pool),
    ir.Lookup: Row(_pe_divides_channels, _tokens_of_pe, _lookup),
    ir.Reshape: None,
}
"""A reshape is no hardware: its tensor is carried by the stream of what is reshaped."""
