# mypy: allow-subclassing-any
"""Our layers for hls4ml: what hls4ml's own set lacks. Their C++ is in kernels/ and hls4ml_kernels/.

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

from edgekit.hls.project.calls import Call

HLS = Path(__file__).resolve().parents[1]
STAGE_HEADERS = (
    "edgekit_arithmetic.h",
    "edgekit_count.h",
    "edgekit_matmul.h",
    "edgekit_matvec.h",
    "edgekit_products.h",
    "edgekit_simulation.h",
    "edgekit_taps.h",
    "edgekit_tokens.h",
    "edgekit_upsample.h",
    "edgekit_window.h",
)
"""The kernels of folded pipelines, and what they include."""


class EdgekitLayer(Layer):
    """A layer that writes a stream of shape `target_shape`."""

    def initialize(self) -> None:
        self.add_output_variable(self.attributes["target_shape"])


class EdgekitRequantize(EdgekitLayer):
    """Accumulators, in quarters, to activations. Weight: one shift a channel."""

    def initialize(self) -> None:
        super().initialize()
        self.add_weights_variable(name="shift", var_name="s{index}", data="shift")


class EdgekitLookup(EdgekitLayer):
    """Weight: the table of 256 entries."""

    def initialize(self) -> None:
        super().initialize()
        self.add_weights_variable(name="table", var_name="t{index}", data="table")


class EdgekitAdd(EdgekitLayer):
    """The saturated sum of two streams."""


class EdgekitMaxPool(EdgekitLayer):
    """The largest value of each window."""


class EdgekitRepack(EdgekitLayer):
    """The same values in tokens of another size."""


class EdgekitStage(Layer):
    """A stage of a folded pipeline: see folded.py. Writes one stream, a fork two of the same shape."""

    def initialize(self) -> None:
        several = len(self.outputs) > 1
        for index, name in enumerate(self.outputs):
            place = f"_{index}" if several else ""
            self.add_output_variable(self.attributes["target_shape"], name, f"layer{{index}}_out{place}")
        for name in self.attributes["call"].arrays:
            self.add_weights_variable(name=name, var_name=f"{name}{{index}}", data=name)
        reader = self.attributes["reader"]
        if reader:
            words = np.frombuffer(reader.content, np.uint8)[:: reader.word_bits // 8]  # the content is written as it is
            precision = IntegerPrecisionType(reader.word_bits, signed=False)
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
    lines = [f"static const {what} = {value};" for what, value in call.constants.items()]
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
        lanes = call.constants["unsigned lanes"]
        return [
            f'hls::stream<nnet::array<{config}::weight_t, {lanes}>> {words}("{words}");',
            f"#pragma HLS STREAM variable={words} depth={reader.fifo_depth}",
            f"nnet::{reader.call.kernel}<{config}_reader>({words}, {node.weights['memory'].name});",
            f"nnet::{call.kernel}<{config}>({', '.join([*sources, words, *outputs, *arrays])});",
        ]


class _Config(LayerConfigTemplate):
    """struct configN : nnet::BASE { static const ... }, one line an entry of `constants`, and a typedef of each weight's type."""

    def __init__(self, layer: type, base: str, constants: dict[str, str]):
        super().__init__(layer)
        self.base, self.constants = base, constants

    def format(self, node: Any) -> str:
        lines = [f"    static const {cpp} {name} = {node.get_attr(name)};" for name, cpp in self.constants.items()]
        lines += [f"    typedef {weight.type.name} {name}_t;" for name, weight in node.weights.items()]
        return "\n".join([f"struct config{node.index} : nnet::{self.base} {{", *lines, "};\n"])


class _Call(FunctionCallTemplate):
    """`{inputs}` are the names of the input streams, `{input_ts}` their types, `{weights}` the weight arrays with a comma before each."""

    def __init__(self, layer: type, header: str, template: str):
        super().__init__(layer, include_header=[f"nnet_utils/{header}"])
        self.template = template

    def format(self, node: Any) -> str:
        sources = [node.get_input_variable(name) for name in node.inputs]
        output = node.get_output_variable()
        return self.template.format(
            inputs=", ".join(source.name for source in sources),
            input_ts=", ".join(source.type.name for source in sources),
            output=output.name,
            output_t=output.type.name,
            config=f"config{node.index}",
            size=output.size(),
            weights="".join(f", {weight.name}" for weight in node.get_weights()),
        )


_MAP = {"n_positions": "unsigned", "n_chan": "unsigned"}
_CLAMP = {"low": "int", "high": "int"}
_POOL = (
    "in_height",
    "in_width",
    "n_chan",
    "out_height",
    "out_width",
    "pool_height",
    "pool_width",
    "stride_height",
    "stride_width",
    "pad_top",
    "pad_left",
    "padded_height",
    "padded_width",
)

_CONFIGS: tuple[tuple[type, str, dict[str, str]], ...] = (
    (EdgekitRequantize, "requantize_config", {**_MAP, **_CLAMP, "n_wide": "unsigned"}),
    (EdgekitLookup, "lookup_config", {**_MAP, "lowest": "int"}),
    (EdgekitAdd, "saturating_add_config", {**_MAP, **_CLAMP}),
    (EdgekitMaxPool, "max_pool_config", {**dict.fromkeys(_POOL, "unsigned"), "lowest": "int"}),
)
_CALLS: tuple[tuple[type, str, str], ...] = (
    (EdgekitRequantize, "edgekit_requantize.h", "nnet::requantize<{input_ts}, {output_t}, {config}>({inputs}, {output}{weights});"),
    (EdgekitLookup, "edgekit_lookup.h", "nnet::lookup<{input_ts}, {output_t}, {config}>({inputs}, {output}{weights});"),
    (EdgekitAdd, "edgekit_add.h", "nnet::saturating_add<{input_ts}, {output_t}, {config}>({inputs}, {output});"),
    (EdgekitMaxPool, "edgekit_max_pool.h", "nnet::max_pool_2d<{input_ts}, {output_t}, {config}>({inputs}, {output});"),
    (EdgekitRepack, "edgekit_repack.h", "nnet::repack<{input_ts}, {output_t}, {size}>({inputs}, {output});"),
)


def _path(header: str) -> Path:
    """Where a header of ours lies; projects have all of them in one folder."""
    (found,) = HLS.glob(f"*/{header}")
    return found


@cache
def register() -> None:
    """Makes the layers known to hls4ml's Vitis backend: once in a process, since hls4ml refuses a second time."""
    backend = get_backend("Vitis")
    for config in _CONFIGS:
        backend.register_template(lambda config=config: _Config(*config))
    register_layer(EdgekitStage.__name__, EdgekitStage)
    backend.register_template(_StageConfig)
    backend.register_template(_StageCall)
    for header in STAGE_HEADERS:
        backend.register_source(_path(header))
    for layer, header, template in _CALLS:
        register_layer(layer.__name__, layer)
        backend.register_template(lambda layer=layer, header=header, template=template: _Call(layer, header, template))
        backend.register_source(_path(header))
