"""Products of two activations in TFLite by float32 operations, none of which rounds.

    DEQUANTIZE             x 2**-f_x                               and y likewise
    MUL or BATCH_MATMUL    acc 2**-(f_x + f_y)                     every partial sum is such a number, too
    ADD (relu, relu6)      r = (acc + b + 1/2) 2**-(f_x + f_y)     without the half if n = f_x + f_y - f_out is 0
    QUANTIZE               the integer next to r 2**f_out

float32 holds integer * 2**k for every integer below 2**24, and an operation whose result it holds gives that result in any kernel: in
any order of summation, with products and sums fused or not. Of the sum in ADD the integer is 2 (acc + b) + 1.

Only QUANTIZE rounds, and it never meets a half: (acc + b) 2**-n is a multiple of 2**-n, so if it is no half it is 2**-n or more from one.
r 2**f_out = (acc + b) 2**-n + 2**-(n + 1) is above the half, or still on the same side of it. The integer next to it is therefore
floor((acc + b) 2**-n + 1/2), the contract's half-up. Kernels that add 1/2 and cut off hold that sum as well, if 2 |acc + b| + 1 + 2**n
is below 2**24. The type's ends are clamped by QUANTIZE; 0 and 6 are integers of the output, so a clamp before rounding is one after it.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph import Activation, IntegerGraph, MatMul, Multiply, product_bound, requantize_of
from edgekit.graph.ir import IntArray, ProductOp
from edgekit.graph.ranges import FLOAT32_INTEGERS
from edgekit.tflite import schema
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind
from edgekit.tflite.tensors import ADD_WIDE, MUL_WIDE, fused_activation, quantize, real, step

BATCH_MATMUL = OpKind("BATCH_MATMUL", 1, (2, 3, 0))

LARGEST_EXPONENT = 100
"""float32 holds 2**-126 and more in full; the accumulator's exponent is below this and takes one more."""


def holds(graph: IntegerGraph, op: ProductOp) -> bool:
    """Whether float32 holds every number on the way, whatever the inputs are.

    product_bound has a matrix product's bias already. Here it is counted a second time, which no proof needs: it only sends a few
    products to int32 that float32 would hold, and files stay what they have been.
    """
    points = [graph.tensors[name].binary_point for name in (*op.inputs, op.output)]
    (n,) = requantize_of(graph, op).shifts
    largest = product_bound(graph, op)
    if isinstance(op, MatMul):
        largest += int(np.abs(op.bias.astype(np.int64)).max())
    return 2 * largest + 1 + (1 << n) < FLOAT32_INTEGERS and sum(map(abs, points)) <= LARGEST_EXPONENT


def multiply(builder: ModelBuilder, graph: IntegerGraph, op: Multiply) -> None:
    factors = [real(builder, name) for name in op.inputs]
    product = step(builder, MUL_WIDE, f"{op.name}/product", factors, builder.shape(op.output), np.float32, schema.MulOptionsT())
    _requantize(builder, graph, op, product, np.zeros(1, np.int32), op.output)


def matmul(builder: ModelBuilder, graph: IntegerGraph, op: MatMul, x: str, y: str, bias: IntArray, result: str) -> None:
    """x * y^T of matrices, the last two dimensions; all are int8."""
    factors = [real(builder, x), real(builder, y)]
    options = schema.BatchMatMulOptionsT(adjY=True)
    product = step(builder, BATCH_MATMUL, f"{op.name}/product", factors, builder.shape(result), np.float32, options)
    _requantize(builder, graph, op, product, bias, result)


def _requantize(builder: ModelBuilder, graph: IntegerGraph, op: ProductOp, product: str, bias: IntArray, result: str) -> None:
    (n,) = requantize_of(graph, op).shifts
    activation = getattr(op, "activation", Activation.NONE)
    halves = 2 * bias.astype(np.int64) + (n > 0)
    if halves.any() or activation is not Activation.NONE:
        point = sum(graph.tensors[name].binary_point for name in op.inputs)
        constant = np.ldexp(halves.astype(np.float32), -point - 1)
        inputs = [product, builder.tensor(f"{op.name}/bias", constant.shape, np.float32, data=constant)]
        options = schema.AddOptionsT(fusedActivationFunction=fused_activation(activation, graph.tensors[op.output]))
        product = step(builder, ADD_WIDE, f"{op.name}/sum", inputs, builder.shape(product), np.float32, options)
    quantize(builder, product, result)
