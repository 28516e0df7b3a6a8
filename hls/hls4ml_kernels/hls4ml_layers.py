# mypy: allow-subclassing-any
"""What hls4ml's own set of layers lacks, in the form of its kernels. Their C++ is beside this file.

Importing this module imports hls4ml (about a second): it is imported inside functions only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import Layer, register_layer

from edgekit.hls.project import hls4ml_layers as folded
from edgekit.hls.project.hls4ml_layers import header_path


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


@cache
def register() -> None:
    """Makes the layers known to hls4ml's Vitis backend, after that of folded dataflows: projects do not depend on what was made before."""
    folded.register()
    backend = get_backend("Vitis")
    for config in _CONFIGS:
        backend.register_template(lambda config=config: _Config(*config))
    for layer, header, template in _CALLS:
        register_layer(layer.__name__, layer)
        backend.register_template(lambda layer=layer, header=header, template=template: _Call(layer, header, template))
        backend.register_source(header_path(header))
