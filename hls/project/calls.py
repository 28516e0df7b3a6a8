"""From the dataflow of a folded graph to the layers that hls4ml takes: a layer a stage. hls4ml is not imported here.

Each layer is an EdgekitStage (hls4ml_layers.py): the call of a kernel of hls/kernels/, as its stage states it. A matrix whose weights
come from memory is one layer with two calls, since hls4ml knows no layer without input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.graph import IntegerGraph
from edgekit.hls.dataflow import Dataflow
from edgekit.hls.kernels.arithmetic import value_type
from edgekit.hls.kernels.base import Call, MemoryWords
from edgekit.hls.needed import carriers
from edgekit.hls.project.network import InputLayer, Layer, Network

INPUT = "network_input"


@dataclass(frozen=True)
class Reader:
    """The call that reads a layer's weights from `memory`, and the depth of the FIFO between the two."""

    call: Call
    memory: MemoryWords
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


def lower_dataflow(graph: IntegerGraph, flow: Dataflow, depths: Mapping[str, int]) -> Network:
    """Layers in the order of the stages. `depths`: of each stream of `flow`, by name."""
    ops = {op.name: op for op in graph.ops}
    variable = variables(flow)
    precisions = _precisions(graph, flow)
    (first,) = [stream for stream in flow.streams if not stream.producer]
    shape = (first.tokens, 1, first.token)
    layers: list[Layer] = [InputLayer(name=INPUT, shape=shape, precision=precisions[""])]
    layer_of = _layers_of_tensors(graph, flow)
    traced = set(layer_of.values())
    reader: Reader | None = None
    for index, stage in enumerate(flow.stages):
        outputs, call = flow.outputs(stage), stage.call(graph, ops.get(stage.op), index)
        if call.memory:
            reader = Reader(call, call.memory, fifo_depth=depths[outputs[0].name])
            continue
        layer = StageLayer(
            name=stage.name,
            inputs=tuple(variable[stream.name] for stream in flow.inputs(stage) if not stream.carries_weights),
            outputs=tuple(variable[stream.name] for stream in outputs),
            shape=(outputs[0].tokens, 1, outputs[0].token),
            precision=precisions[stage.name],
            trace=stage.name in traced,
            call=call,
            reader=reader,
        )
        layers.append(layer)
        reader = None
    ends = tuple(stream.producer for stream in flow.streams if not stream.consumer)
    return Network(layers=tuple(layers), carriers=layer_of, inputs=(INPUT,), outputs=ends)


def variables(flow: Dataflow) -> dict[str, str]:
    """Stream -> what hls4ml calls the variable that is this stream: by its layer, or, of a fork, by itself."""
    forks = flow.forks
    return {stream.name: stream.name if stream.producer in forks else stream.producer or INPUT for stream in flow.streams}


def _layers_of_tensors(graph: IntegerGraph, flow: Dataflow) -> dict[str, str]:
    """Tensor -> the layer that shows it: the stage that computes it, for reshapes that of what was reshaped."""
    last = {stage.op: stage.name for stage in flow.stages if not stage.carries}
    found, carrier = {graph.input: INPUT}, carriers(graph)
    for op in graph.ops:
        if op.name in last:
            found[op.output] = last[op.name]
        elif carrier.get(op.output) in found:
            found[op.output] = found[carrier[op.output]]
    return found


def _precisions(graph: IntegerGraph, flow: Dataflow) -> dict[str, str]:
    """Stage ("" for the input) -> hls4ml's precision of the values that it writes: where that is no tensor, as those that it reads."""
    found: dict[str, str] = {}
    for stream in flow.streams:
        if stream.tensor:
            found.setdefault(stream.producer, value_type(graph.tensors[stream.tensor]))
    for stage in flow.stages:
        inputs = flow.inputs(stage)
        if inputs and stage.name not in found:
            found[stage.name] = found[inputs[0].producer]
    return found
