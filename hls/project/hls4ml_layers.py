# mypy: allow-subclassing-any
"""The layer that a stage of a folded dataflow is to hls4ml. Its C++ is in kernels/.

Importing this module imports hls4ml (about a second): it is imported inside functions only.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import Layer, register_layer
from hls4ml.model.types import IntegerPrecisionType

from edgekit.hls.kernels.base import Call
from edgekit.hls.kernels.registry import HEADERS

HLS = Path(__file__).resolve().parents[1]
STAGE_HEADERS = tuple(sorted((*HEADERS, "edgekit_count.h", "edgekit_simulation.h")))
"""The kernels, and what they include."""


class EdgekitStage(Layer):
    """A stage of a folded dataflow: see calls.py. Writes one stream, a fork two of the same shape."""

    def initialize(self) -> None:
        several = len(self.outputs) > 1
        for index, name in enumerate(self.outputs):
            place = f"_{index}" if several else ""
            self.add_output_variable(self.attributes["target_shape"], name, f"layer{{index}}_out{place}")
        for name in self.attributes["call"].arrays:
            self.add_weights_variable(name=name, var_name=f"{name}{{index}}", data=name)
        reader = self.attributes["reader"]
        if reader:
            words = np.frombuffer(reader.memory.content, np.uint8)[:: reader.memory.word_bits // 8]  # the content is written as it is
            precision = IntegerPrecisionType(reader.memory.word_bits, signed=False)
            self.add_weights_variable(name="memory", var_name="memory{index}", precision=precision, data=words)


class _StageConfig(LayerConfigTemplate):
    """struct configN, and where weights come from memory struct configN_reader."""

    def __init__(self) -> None:
        super().__init__(EdgekitStage)

    def format(self, node: Any) -> str:
        call, reader = node.get_attr("call"), node.get_attr("reader")
        config = _struct(f"config{node.index}", call, [f"typedef {node.weights[name].type.name} {name}_t;" for name in call.arrays])
        return config + (_struct(f"config{node.index}_reader", reader.call, []) if reader else "")


def _struct(name: str, call: Call, typedefs: list[str]) -> str:
    lines = [f"static const {one.cpp_type} {one.name} = {one.value};" for one in call.constants]
    lines += [f"typedef {cpp} {what};" for what, cpp in call.types.items()] + typedefs
    return "\n".join([f"struct {name} : nnet::{call.base} {{", *(f"    {line}" for line in lines), "};\n"])


class _StageCall(FunctionCallTemplate):
    """The kernel's arguments are the streams that it reads, those that it writes, then its arrays."""

    def __init__(self) -> None:
        super().__init__(EdgekitStage, include_header=[f"nnet_utils/{header}" for header in STAGE_HEADERS])

    def format(self, node: Any) -> list[str]:
        call, reader, config = node.get_attr("call"), node.get_attr("reader"), f"config{node.index}"
        sources = [node.get_input_variable(name).name for name in node.inputs]
        outputs = [node.get_output_variable(name).name for name in node.outputs]
        arrays = [node.weights[name].name for name in call.arrays]
        if not reader:
            return [f"nnet::{call.kernel}<{config}>({', '.join(sources + outputs + arrays)});"]
        words = f"weights{node.index}"
        return [
            f'hls::stream<nnet::array<{config}::weight_t, {reader.memory.lanes}>> {words}("{words}");',
            f"#pragma HLS STREAM variable={words} depth={reader.fifo_depth}",
            f"nnet::{reader.call.kernel}<{config}_reader>({words}, {node.weights['memory'].name});",
            f"nnet::{call.kernel}<{config}>({', '.join([*sources, words, *outputs, *arrays])});",
        ]


def header_path(header: str) -> Path:
    """Where a header of ours lies; projects have all of them in one folder."""
    (found,) = HLS.glob(f"*/{header}")
    return found


@cache
def register() -> None:
    """Makes the layer known to hls4ml's Vitis backend: once in a process, since hls4ml refuses a second time."""
    backend = get_backend("Vitis")
    register_layer(EdgekitStage.__name__, EdgekitStage)
    backend.register_template(_StageConfig)
    backend.register_template(_StageCall)
    for header in STAGE_HEADERS:
        backend.register_source(header_path(header))
