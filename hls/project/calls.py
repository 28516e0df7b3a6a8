"""From the pipeline of a folded graph to the layers that hls4ml takes: a layer a stage. hls4ml is not imported here.

Each layer is an EdgekitStage (hls4ml_layers.py): the call of a kernel of hls/kernels/ with the constants, types and arrays given here. A
matrix whose weights come from memory is one layer with two calls, since hls4ml knows no layer without input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    Multiply,
    Op,
    Reshape,
    clamp_range,
    product_shift,
    requantize_of,
)
from edgekit.graph.ir import WeightedOp
from edgekit.hls.dataflow import Pipeline
from edgekit.hls.kernels.arithmetic import (
    coded,
    quarters,
    rounding_constant,
    signed_bits,
    value_type,
    weight_bits,
    weight_code,
    weight_type,
)
from edgekit.hls.kernels.base import (
    VALUE_BITS,
    Arithmetic,
    Cut,
    Fork,
    HeldMatVec,
    Join,
    Largest,
    MatVec,
    Resize,
    Sum,
    Table,
    TokenStage,
    WeightReader,
)
from edgekit.hls.kernels.products import Gate, HeldProduct, Product, biases
from edgekit.hls.kernels.taps import Depthwise, MapSums, Upsample
from edgekit.hls.kernels.window import Window
from edgekit.hls.project.network import InputLayer, Layer, Network

INPUT = "network_input"


@dataclass(frozen=True)
class Call:
    """How a stage calls its kernel.

    `base`: the kernel's struct of constants. `constants`: 'type name' -> value. `types`: C++
    typedefs. `arrays`: name -> (hls4ml's precision, values); the config gets a typedef name_t of each.
    """

    kernel: str
    base: str
    constants: Mapping[str, int | str]
    types: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, tuple[str, Int64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """What a HeldMatVec reads through an AXI master: words of `word_bits`, little endian, and the depth of the FIFO behind the reader."""

    call: Call
    word_bits: int
    content: bytes
    fifo_depth: int


@dataclass(frozen=True, kw_only=True, eq=False)
class StageLayer(Layer):
    """The call of a kernel. `outputs`: the streams that it writes, all of one shape. `reader`: of its weights, where memory has them."""

    class_name = "EdgekitStage"

    outputs: tuple[str, ...]
    call: Call
    reader: Reader | None

    def attributes(self) -> dict[str, Any]:
        arrays = {f"{name}_data": values for name, (_, values) in self.call.arrays.items()}
        shape = list(self.shape)
        return {"outputs": list(self.outputs), "target_shape": shape, "call": self.call, "reader": self.reader, **arrays}

    def precisions(self) -> dict[str, str]:
        return {name: kind for name, (kind, _) in self.call.arrays.items()}


def lower_pipeline(graph: IntegerGraph, pipe: Pipeline, depths: Mapping[str, int]) -> Network:
    """Layers in the order of the stages. `depths`: of each stream of `pipe`, by name."""
    ops = {op.name: op for op in graph.ops}
    variable = variables(pipe)
    precisions = _precisions(graph, pipe)
    (first,) = [stream for stream in pipe.streams if not stream.producer]
    shape = (first.tokens, 1, first.token)
    layers: list[Layer] = [InputLayer(name=INPUT, shape=shape, precision=precisions[""])]
    carriers = _carriers(graph, pipe)
    traced = set(carriers.values())
    reader: Reader | None = None
    for index, stage in enumerate(pipe.stages):
        op, outputs = ops.get(stage.op), pipe.outputs(stage)
        call = _CALL[type(stage)](graph, op, stage, index)
        if isinstance(stage, WeightReader):
            held = pipe.stages[index + 1]
            assert isinstance(held, HeldMatVec) and isinstance(op, Conv2D | Dense)
            reader = Reader(call, stage.word_bits, memory_words(stage, held, matrix(graph, op, held)), depths[outputs[0].name])
            continue
        shape = (outputs[0].tokens, 1, outputs[0].token)
        layer = StageLayer(
            name=stage.name,
            inputs=tuple(variable[stream.name] for stream in pipe.inputs(stage) if stream.value_bits == VALUE_BITS),
            outputs=tuple(variable[stream.name] for stream in outputs),
            shape=shape,
            precision=precisions[stage.name],
            trace=stage.name in traced,
            call=call,
            reader=reader,
        )
        layers.append(layer)
        reader = None
    ends = tuple(stream.producer for stream in pipe.streams if not stream.consumer)
    return Network(layers=tuple(layers), carriers=carriers, inputs=(INPUT,), outputs=ends)


def variables(pipe: Pipeline) -> dict[str, str]:
    """Stream -> what hls4ml calls the variable that is this stream: by its layer, or, of a fork, by itself."""
    forks = {stage.name for stage in pipe.stages if isinstance(stage, Fork)}
    return {stream.name: stream.name if stream.producer in forks else stream.producer or INPUT for stream in pipe.streams}


def _carriers(graph: IntegerGraph, pipe: Pipeline) -> dict[str, str]:
    """Tensor -> the layer that shows it: the stage that computes it, for reshapes that of what was reshaped."""
    last = {stage.op: stage.name for stage in pipe.stages if not isinstance(stage, Fork | Resize)}
    found = {graph.input: INPUT}
    for op in graph.ops:
        if op.name in last:
            found[op.output] = last[op.name]
        elif isinstance(op, Reshape) and op.input in found:
            found[op.output] = found[op.input]
    return found


def _precisions(graph: IntegerGraph, pipe: Pipeline) -> dict[str, str]:
    """Stage ("" for the input) -> hls4ml's precision of the values that it writes. A window's are those that it reads."""
    found: dict[str, str] = {}
    for stream in pipe.streams:
        if stream.tensor:
            found.setdefault(stream.producer, value_type(graph.tensors[stream.tensor]))
    for stage in pipe.stages:
        if isinstance(stage, Window | Join) and stage.name not in found:
            found[stage.name] = found[pipe.inputs(stage)[0].producer]
    return found


def matrix(graph: IntegerGraph, op: Conv2D | Dense, stage: MatVec) -> Int64:
    """An op's weights as words (output groups * input groups, SIMD * PE), coded as the stage's arithmetic takes them.

    The inputs come in the order in which a window gives them: channel group, tap, channel.
    """
    weights = quarters(graph, op).weights
    channels = weights.shape[-2]
    taps = weights.reshape(-1, channels // stage.simd, stage.simd, stage.outputs)
    if isinstance(op, Conv2D):
        taps = taps.transpose(1, 0, 2, 3)
    blocks = taps.reshape(stage.input_groups, stage.simd, stage.output_groups, stage.pe)
    return coded(op, blocks.transpose(2, 0, 1, 3).reshape(-1, stage.simd * stage.pe))


def memory_words(stage: WeightReader, matvec: HeldMatVec, words: Int64) -> bytes:
    """Weights (words, lanes) as the reader takes them: `weight_bits` each, from the lowest bit up."""
    bits = ((words[:, :, np.newaxis] >> np.arange(matvec.weight_bits)) & 1).astype(np.uint8)
    room = np.zeros((len(words), stage.word_bits), np.uint8)
    room[:, : matvec.weight_word_bits] = bits.reshape(len(words), -1)
    return np.packbits(room, axis=1, bitorder="little").tobytes()


def _window(graph: IntegerGraph, op: Op, stage: Window, index: int) -> Call:
    constants = {
        "unsigned stage": index,
        "int rows": stage.rows,
        "int columns": stage.columns,
        "int groups": stage.groups,
        "int kernel_rows": stage.kernel[0],
        "int kernel_columns": stage.kernel[1],
        "int stride_rows": stage.strides[0],
        "int stride_columns": stage.strides[1],
        "int dilation_rows": stage.dilation[0],
        "int dilation_columns": stage.dilation[1],
        "int pad_top": stage.padding.top,
        "int pad_left": stage.padding.left,
        "int out_rows": stage.out_rows,
        "int out_columns": stage.out_columns,
        "int words": stage.words,
        "int fill": stage.fill,
        "int reach": stage.reach,
        "int row_cycles": stage.row_cycles,
        "int pad_value": stage.pad_value,
    }
    return Call("window", "window_config", constants)


def _sums(
    graph: IntegerGraph, op: WeightedOp, stage: MatVec | Depthwise | Upsample
) -> tuple[dict[str, int], dict[str, str], dict[str, Any]]:
    """The constants, types and arrays that a kernel needs to start sums, take products and requantize."""
    q, hot = quarters(graph, op), weight_code(op)
    low, high = clamp_range(op.activation, graph.tensors[op.output])
    constants = {"unsigned pe": stage.pe, "unsigned n_wide": signed_bits(q.wide_bound), "int low": low, "int high": high}
    constants |= {"int shift_low": min(q.shifts), "int shift_high": max(q.shifts)}
    arithmetic = f"shift_add<{hot}>" if stage.arithmetic is Arithmetic.SHIFT_ADD else stage.arithmetic.value
    types = {"accum_t": f"ap_int<{stage.accumulator_bits}>", "arithmetic": f"nnet::{arithmetic}"}
    arrays = {"bias": (f"int<{stage.bias_bits}>", q.bias), "shift": (f"int<{stage.shift_bits}>", np.array(q.shifts, np.int64))}
    return constants, types, arrays


def _matvec(graph: IntegerGraph, op: Conv2D | Dense, stage: MatVec, index: int) -> Call:
    constants, types, arrays = _sums(graph, op, stage)
    constants |= {"unsigned stage": index, "unsigned positions": stage.positions, "unsigned simd": stage.simd}
    constants |= {"unsigned input_groups": stage.input_groups, "unsigned output_groups": stage.output_groups}
    constants["unsigned lanes"] = stage.pe * stage.simd
    if isinstance(stage, HeldMatVec):
        code = f"ap_{weight_type(op)}"
        return Call("held_matvec", "matvec_config", constants, {**types, "weight_t": code}, arrays)
    return Call("matvec", "matvec_config", constants, types, {"weight": (weight_type(op), matrix(graph, op, stage))} | arrays)


def _weight_reader(graph: IntegerGraph, op: WeightedOp, stage: WeightReader, index: int) -> Call:
    hot = weight_code(op)
    constants: dict[str, int | str] = {"unsigned stage": index, "unsigned words": stage.words}
    constants |= {"unsigned weight_bits": weight_bits(op), "bool is_signed": "false" if hot else "true"}
    return Call("read_weights", "weight_reader_config", constants)


def _depthwise(graph: IntegerGraph, op: DepthwiseConv2D, stage: Depthwise, index: int) -> Call:
    constants, types, arrays = _sums(graph, op, stage)
    groups = stage.channels // stage.pe
    constants |= {"unsigned stage": index, "unsigned positions": stage.positions, "unsigned groups": groups, "unsigned taps": stage.taps}
    words = quarters(graph, op).weights.reshape(stage.taps, groups, stage.pe)
    kernel = "depthwise"
    if isinstance(stage, MapSums):
        kernel, words = "map_sums", words[: stage.weight_taps]
        constants["unsigned weight_taps"] = stage.weight_taps
    else:
        words = words.transpose(1, 0, 2)
    weight = (weight_type(op), coded(op, words))
    return Call(kernel, "depthwise_config", constants, types, {"weight": weight} | arrays)


def _upsample(graph: IntegerGraph, op: DepthwiseConv2DTranspose, stage: Upsample, index: int) -> Call:
    constants, types, arrays = _sums(graph, op, stage)
    constants |= {"unsigned stage": index, "unsigned rows": stage.rows, "unsigned columns": stage.columns, "unsigned groups": stage.groups}
    constants |= {"unsigned kernel_rows": stage.kernel[0], "unsigned kernel_columns": stage.kernel[1]}
    weight = (weight_type(op), coded(op, quarters(graph, op).weights))
    return Call("upsample", "upsample_config", constants, types, {"weight": weight} | arrays)


def _product(graph: IntegerGraph, op: Multiply, stage: Product, index: int) -> Call:
    constants = {"unsigned stage": index, "unsigned positions": stage.positions, "unsigned groups": stage.groups}
    constants |= {"int rounding": rounding_constant(graph, op)} | _product_requantize(graph, op)
    kernel = "gate_tokens" if isinstance(stage, Gate) else "product_tokens"
    return Call(kernel, "product_config", constants, {"accum_t": f"ap_int<{stage.accumulator_bits}>"})


def _matmul(graph: IntegerGraph, op: MatMul, stage: HeldProduct, index: int) -> Call:
    fields = ("x_cells", "y_cells", "heads", "output_groups", "term_groups", "cell_tokens", "banks", "bias_groups", "pe", "simd")
    constants = {"unsigned stage": index} | {f"unsigned {name}": getattr(stage, name) for name in fields}
    constants |= {"unsigned bank_cells": stage.y_cells // stage.banks} | _product_requantize(graph, op)
    layout = "outputs_are_cells" if stage.cells_are_outputs else "terms_are_cells"
    types = {"accum_t": f"ap_int<{stage.accumulator_bits}>", "layout": f"nnet::{layout}"}
    bias = np.broadcast_to(biases(graph, op), stage.bias_groups * stage.pe)
    return Call("matmul", "matmul_config", constants, types, {"bias": (f"int<{stage.bias_bits}>", np.array(bias))})


def _product_requantize(graph: IntegerGraph, op: Multiply | MatMul) -> dict[str, int]:
    requantize = requantize_of(graph, op)
    return {"unsigned shift": product_shift(graph, op), "int low": requantize.low, "int high": requantize.high}


def _largest(graph: IntegerGraph, op: Op, stage: Largest, index: int) -> Call:
    constants = {"unsigned stage": index, "unsigned positions": stage.positions}
    constants |= {"unsigned groups": stage.channels // stage.pe, "unsigned taps": stage.taps}
    return Call("largest", "largest_config", constants)


def _tokens(kernel: str, index: int, stage: TokenStage, arrays: Mapping[str, Any] | None = None, **integers: int) -> Call:
    constants = {"unsigned stage": index, "unsigned tokens": stage.tokens} | {f"int {name}": value for name, value in integers.items()}
    return Call(kernel, "tokens_config", constants, arrays=arrays or {})


def _sum(graph: IntegerGraph, op: Add, stage: Sum, index: int) -> Call:
    low, high = clamp_range(op.activation, graph.tensors[op.output])
    return _tokens("sum_tokens", index, stage, low=low, high=high)


def _table(graph: IntegerGraph, op: Lookup, stage: Table, index: int) -> Call:
    table = (value_type(graph.tensors[op.output]), op.table.astype(np.int64))
    return _tokens("table_tokens", index, stage, {"table": table}, lowest=graph.tensors[op.input].low)


def _fork(graph: IntegerGraph, op: None, stage: Fork, index: int) -> Call:
    return _tokens("fork_tokens", index, stage)


def _join(graph: IntegerGraph, op: Op, stage: Join, index: int) -> Call:
    return _tokens("join_tokens", index, stage, left=stage.left, right=stage.right)


def _cut(graph: IntegerGraph, op: Op, stage: Cut, index: int) -> Call:
    constants = {"unsigned stage": index, "unsigned tokens": stage.cycles}
    constants |= {"unsigned cell": stage.cell, "unsigned begin": stage.begin, "unsigned count": stage.count}
    return Call("slice_tokens", "tokens_config", constants)


def _resize(graph: IntegerGraph, op: None, stage: Resize, index: int) -> Call:
    constants = {"unsigned stage": index, "unsigned steps": stage.cycles, "unsigned unit": gcd(stage.token_in, stage.token_out)}
    return Call("resize_tokens", "resize_config", constants)


_CALL: dict[type, Callable[[IntegerGraph, Any, Any, int], Call]] = {
    Window: _window,
    MatVec: _matvec,
    HeldMatVec: _matvec,
    WeightReader: _weight_reader,
    Depthwise: _depthwise,
    MapSums: _depthwise,
    Upsample: _upsample,
    Product: _product,
    Gate: _product,
    HeldProduct: _matmul,
    Cut: _cut,
    Largest: _largest,
    Sum: _sum,
    Table: _table,
    Fork: _fork,
    Join: _join,
    Resize: _resize,
}
