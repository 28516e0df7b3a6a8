"""Every network at its default size, float32 and stock int8: ops, file size, and latency relative to MobileNetV2 in the same rounds.

The yardstick is what users have today, the authors' PyTorch through litert-torch, measured on one x86 thread with LiteRT 2.3,
XNNPACK, float32: SBCFormer-XS 1,073 ops and 6.49 ms, RapidNet-Ti 149 ops and 8.41 ms, where TensorFlow's MobileNetV2 took 3.2 ms.
Beside those two stands what their convolutions alone take, side by side in a file of their own: less than that no form of the network
takes on these kernels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from timing import Row, ratio

from edgekit.keras_models.networks import NETWORKS
from edgekit.pipeline import ModelRequest, export_model
from edgekit.tflite.flatbuffer import pack
from edgekit.tflite.reader import describe, parse

BASELINE = "mobilenet_v2"
YARDSTICKS = {"sbcformer_xs": (1073, 6.49 / 3.2), "rapidnet_ti": (149, 8.41 / 3.2)}
"""Ops and latency relative to MobileNetV2, float32."""
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
WARM_UP = 3


def network_ratios(names: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """Two rows a network. The latency is that of one thread with XNNPACK."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for precision in ("float32", "int8"):
            base = runner(export(BASELINE, precision, folder))
            for network in names or tuple(NETWORKS):
                file = export(network, precision, folder)
                what = f"{network} {precision}: {len(describe(file))} ops, {len(file) / 1e6:.1f} MB; / {BASELINE}"
                if precision == "float32" and network in YARDSTICKS:
                    what += " (yardstick {} ops, {:.2f})".format(*YARDSTICKS[network])
                yield ratio("networks", what, (network, runner(file)), (f"{BASELINE} (base)", base), rounds)
                if precision == "float32" and network in YARDSTICKS:
                    alone = runner(convolutions_alone(file))
                    yield ratio("networks", f"{network} {precision}: its convolutions alone", (network, alone), (BASELINE, base), rounds)


def export(network: str, precision: str, folder: Path) -> bytes:
    output = folder / f"{network}-{precision}"
    if not output.exists():
        export_model(ModelRequest(network), target="linux-x86_64", precision=precision, output=output)
    return (output / "model.tflite").read_bytes()


def convolutions_alone(file: bytes) -> bytes:
    """The file with no other ops. Those that read maps of one shape read the same one, which stays in the caches."""
    model, kinds = parse(file), [op.name for op in describe(file)]
    subgraph = model.subgraphs[0]
    subgraph.operators = [op for op, kind in zip(subgraph.operators, kinds, strict=True) if kind in CONVOLUTIONS]
    first_of: dict[tuple[int, ...], int] = {}
    for op in subgraph.operators:
        op.inputs[0] = first_of.setdefault(tuple(subgraph.tensors[op.inputs[0]].shape), op.inputs[0])
    subgraph.inputs = np.array(list(first_of.values()), np.int32)
    subgraph.outputs = np.array([op.outputs[0] for op in subgraph.operators], np.int32)
    model.signatureDefs = []
    return pack(model)


def runner(file: bytes) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=file, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    for _ in range(WARM_UP):
        interpreter.invoke()
    return interpreter.invoke  # type: ignore[no-any-return]
