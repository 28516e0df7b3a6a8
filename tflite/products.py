"""Products of two activations in TFLite: in float32 where that is exact, else in int32.

An int8 MUL or BATCH_MATMUL requantizes, and rounds, in a way of its own in each kernel set. So the product is taken in numbers that hold
it whole, and requantized by ops that leave nothing to round: float32_products and int32_products. Here is what both have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edgekit.graph import IntegerGraph, MatMul, Multiply, Tensor
from edgekit.tflite import float32_products, int32_products
from edgekit.tflite.flatbuffer import ModelBuilder
from edgekit.tflite.tensors import map_tensor, reshape, reshape_to, transpose_to


class Cells(Enum):
    """How the cells of a map lie in a matrix of its values."""

    ROWS = "rows"
    COLUMNS = "columns"


@dataclass(frozen=True)
class Heads:
    """The form of a map as matrices, one a head: (1, heads, cells, channels) with its cells as rows, (1, heads, channels, cells) else."""

    tensor: str
    heads: int
    cells: Cells


def multiply(builder: ModelBuilder, graph: IntegerGraph, op: Multiply) -> None:
    lower = float32_products.multiply if float32_products.holds(graph, op) else int32_products.multiply
    lower(builder, graph, op)


def matmul(builder: ModelBuilder, graph: IntegerGraph, op: MatMul) -> None:
    """Heads become a dimension in front of the cells, (1, heads, cells, columns), for the inputs and back for the output.

    BATCH_MATMUL multiplies rows by rows: with adj_y it takes y as it lies, without it transposes y in memory of its own. So y has its
    cells as rows for x * y^T, and as columns for x * y.
    """
    (x, y), output = (graph.tensors[name] for name in op.inputs), graph.tensors[op.output]
    left, right = _heads(builder, x, op.heads, Cells.ROWS), _heads(builder, y, op.heads, Cells.ROWS if op.transpose_y else Cells.COLUMNS)
    rows, columns = builder.shape(left)[2], builder.shape(right)[2]
    bias = op.bias.reshape(-1) if op.bias.size == 1 else op.bias.reshape(1, rows, op.heads, columns).transpose(0, 2, 1, 3)
    # The heads are kept: a product that reads this one, as the second of attention does, needs no transposition of it.
    heads = map_tensor(builder, f"{op.name}/heads", (op.heads, rows, columns), output)
    builder.forms[Heads(output.name, op.heads, Cells.ROWS)] = heads
    lower = float32_products.matmul if float32_products.holds(graph, op) else int32_products.matmul
    lower(builder, graph, op, left, right, bias, heads)
    if op.heads > 1:
        heads = transpose_to(builder, heads, f"{op.name}/cells", (0, 2, 1, 3), output)
    reshape(builder, op.name, heads, op.output, output.shape)


def _heads(builder: ModelBuilder, tensor: Tensor, heads: int, cells: Cells) -> str:
    """A map as matrices, one a head, made where they are first needed."""
    return builder.form(Heads(tensor.name, heads, cells), lambda: _split_heads(builder, tensor, heads, cells))


def _split_heads(builder: ModelBuilder, tensor: Tensor, heads: int, cells: Cells) -> str:
    name = f"{tensor.name}/{heads} heads, cells as {cells.value}"
    rows, columns, channels = tensor.shape
    if heads == 1 and cells is Cells.ROWS:
        return reshape_to(builder, tensor.name, name, (1, rows * columns, channels), tensor)
    split = reshape_to(builder, tensor.name, f"{name}/split", (rows * columns, heads, channels // heads), tensor)
    return transpose_to(builder, split, name, (0, 2, 1, 3) if cells is Cells.ROWS else (0, 2, 3, 1), tensor)
