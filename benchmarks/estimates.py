"""Prints docs/estimates.md: the estimates beside what others have published, and the planner's verdict for networks on boards.

python benchmarks/estimates.py > docs/estimates.md
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from product_estimates import product_lines

from edgekit.errors import EdgekitError
from edgekit.graph import Activation, Conv2D, Dense, DepthwiseConv2D, IntegerGraph, MaxPool, Tensor, check, read_onnx, same_padding
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.folding import Folding
from edgekit.hls.kernels.arithmetic import ARITHMETIC_FACTOR
from edgekit.hls.kernels.base import Memory
from edgekit.hls.kernels.luts import LUTS
from edgekit.hls.plan.estimates import Estimates, estimate
from edgekit.hls.plan.planner import DoesNotFit, plan_foldings
from edgekit.hls.plan.resources import SYSTEM, memory_cost
from edgekit.targets.boards import at_clock, find_board

DPU_FPS = {"mobilenet_v1": 187, "mobilenet_v2": 104}
"""Vitis AI DPU B1600 on an Ultra96-V1, several threads."""
WHAT_DOMINATES = (
    "",
    "A kernel a layer does not fit the smaller boards, and block RAM is why: a layer keeps either all its weights on chip or, to read",
    "each weight once a frame, its whole input and output map, and all layers hold theirs at the same time. conv_pw_7 to 11 of",
    "MobileNetV1 (14 x 14 x 512) take some 43 block RAMs each with weights on chip and some 50 with maps held, so DDR does not help them;",
    "only the last layers gain.",
    "MobileNetV2 has twice as many layers, whose control alone takes the LUTs of a ZU3EG. DDR and DSP slices do not limit.",
    "So layers have to share: one engine that runs a block at a time needs the largest layer's memory, not the sum of all.",
)
SMALL = [("mobilenet_v1", 0.25), ("mobilenet_v1", 0.5), ("mobilenet_v2", 0.35)]


@dataclass
class Shapes:
    """A graph whose weights are all the same: only its shapes are of interest."""

    tensors: dict[str, Tensor]
    ops: list[Any]

    @property
    def last(self) -> Tensor:
        return list(self.tensors.values())[-1]

    def add(self, kind: type, name: str, shape: tuple[int, ...], channels: int, **fields: Any) -> None:
        if kind is not MaxPool:
            taps = int(np.prod(fields["weights"][:-1] if kind is not DepthwiseConv2D else fields["weights"][:2]))
            shift = max(3, int(np.log2(28 * taps)))
            fields["weights"] = np.full(fields["weights"], 28, np.int8)
            fields |= {"bias": np.full(channels, 2, np.int32), "weight_binary_points": (shift,) * channels, "activation": Activation.RELU}
        source = self.last
        self.tensors[name] = Tensor(name, shape, False if kind is not MaxPool else source.signed, 0)
        self.ops.append(kind(name=name, input=source.name, output=name, **fields))

    def conv(self, name: str, kind: type, channels: int, kernel: int, stride: int = 1, valid: bool = False) -> None:
        rows, columns, depth = self.last.shape
        padding = {} if valid else {"padding": same_padding((rows, columns), (kernel, kernel), (stride, stride))}
        side = (rows - kernel) // stride + 1 if valid else -(-rows // stride)
        weights = (kernel, kernel, depth) if kind is DepthwiseConv2D else (kernel, kernel, depth, channels)
        self.add(kind, name, (side, side, channels), channels, weights=weights, strides=(stride, stride), **padding)

    def dense(self, name: str, features: int) -> None:
        self.add(Dense, name, (features,), features, weights=(int(np.prod(self.last.shape)), features))

    def graph(self, name: str) -> IntegerGraph:
        graph = IntegerGraph(name, self.tensors, tuple(self.ops), "x", (self.ops[-1].output,))
        check(graph)
        return graph


def finn_mobilenet() -> tuple[IntegerGraph, dict[str, Folding]]:
    """MobileNetV1 with the folding that FINN's authors publish for the ZCU104 (finn-examples, build/mobilenet-v1/folding_config)."""
    net, folding = Shapes({"x": Tensor("x", (224, 224, 3), False, 0)}, []), {"conv": Folding(16, 3)}
    net.conv("conv", Conv2D, 32, 3, 2)
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    depthwise = (16, 8, 16, 4, 8, 2, 4, 4, 4, 4, 4, 1, 2)
    pointwise = (8, 16, 32, 16, 32, 16, 32, 32, 32, 32, 32, 16, 32)
    for index, ((channels, stride), pe, out_pe) in enumerate(zip(blocks, depthwise, pointwise, strict=True)):
        net.conv(f"dw{index}", DepthwiseConv2D, net.last.shape[2], 3, stride)
        net.conv(f"pw{index}", Conv2D, channels, 1)
        folding |= {f"dw{index}": Folding(pe), f"pw{index}": Folding(out_pe, 8)}
    net.conv("pool", DepthwiseConv2D, 1024, 7, 1, valid=True)
    net.dense("classes", 1000)
    return net.graph("finn_mobilenet_v1"), {**folding, "pool": Folding(1), "classes": Folding(1, 16)}


def finn_cnv() -> tuple[IntegerGraph, dict[str, Folding]]:
    """CNV with its published folding (finn-examples, build/bnn-pynq/folding_config, w1a1)."""
    net = Shapes({"x": Tensor("x", (32, 32, 3), False, 0)}, [])
    shapes = [(16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32)]
    folding = {f"conv{index}": Folding(*shape) for index, shape in enumerate(shapes)}
    for index, channels in enumerate((64, 64, 128, 128, 256, 256)):
        net.conv(f"conv{index}", Conv2D, channels, 3, valid=True)
        if index in (1, 3):
            side = net.last.shape[0] // 2
            net.add(MaxPool, f"pool{index}", (side, side, channels), channels, pool=(2, 2), strides=(2, 2))
            folding[f"pool{index}"] = Folding(channels)
    for index, (features, shape) in enumerate(((512, (1, 4)), (512, (1, 8)), (10, (5, 1)))):
        net.dense(f"dense{index}", features)
        folding[f"dense{index}"] = Folding(*shape)
    return net.graph("finn_cnv"), folding


def hls4ml_resnet() -> tuple[IntegerGraph, dict[str, Folding]]:
    """The CIFAR-10 network that hls4ml submitted to MLPerf Tiny v0.7: its training configuration (mlcommons/tiny_results_v0.7,
    open/hls4ml-finn/code/ic/RN07) has these filters, kernels and strides, no skip and no pooling; a reuse factor of 16,384 leaves every
    layer one multiplier, at 100 MHz."""
    net = Shapes({"x": Tensor("x", (32, 32, 3), False, 0)}, [])
    for index, (filters, kernel, stride) in enumerate(((32, 1, 1), (4, 4, 1), (32, 4, 1), (32, 4, 4), (32, 4, 1))):
        net.conv(f"conv{index}", Conv2D, filters, kernel, stride)
    net.dense("classes", 10)
    graph = net.graph("hls4ml_resnet")
    return graph, {op.name: Folding(1, 1) for op in graph.ops}


def hls4ml_cnn() -> tuple[IntegerGraph, dict[str, Folding]]:
    """A network that explains the published figures: reuse factors 27, 216 and 288 are the inputs of 3 x 3 convolutions of 3, 24 and 32
    channels, so each has a multiplier for each output; 7.1 M products are then 32 x 32 x 27 x 24 + 16 x 16 x 216 x 32 + 16 x 16 x 288 x 64.
    Inferred, not published; without its classifier."""
    net = Shapes({"x": Tensor("x", (32, 32, 3), False, 0)}, [])
    net.conv("conv0", Conv2D, 24, 3)
    net.add(MaxPool, "pool", (16, 16, 24), 24, pool=(2, 2), strides=(2, 2))
    net.conv("conv1", Conv2D, 32, 3)
    net.conv("conv2", Conv2D, 64, 3)
    return net.graph("hls4ml_cnn"), {"conv0": Folding(24), "pool": Folding(24), "conv1": Folding(32), "conv2": Folding(64)}


def binary_luts_and_bram(graph: IntegerGraph, folding: dict[str, Folding]) -> tuple[float, float]:
    """CNV's with products and weights of one bit: our control and memory, FINN-R's arithmetic of 2-bit sums."""
    luts, bram18 = SYSTEM.lut, SYSTEM.bram18
    luts += sum(stage.logic.lut for stage in dataflow_of(graph, folding).stages if "Window" in stage.parts)
    for op in graph.ops:
        if isinstance(op, Conv2D | Dense):
            pe, simd = folding[op.name].pe, folding[op.name].simd
            luts += LUTS["MatVec"] + ARITHMETIC_FACTOR * pe * (2 * simd + 2 * (2 * simd - 1))
            bram18 += memory_cost(Memory("weights", ceil(op.weights.size / (pe * simd)), pe * simd, rom=True)).bram18
    return luts, bram18 / 2


def off(estimated: float, published: float) -> str:
    return f"{estimated / published - 1:+.0%}"


def peers() -> list[str]:
    mobilenet, folding = finn_mobilenet()
    v1 = estimate(mobilenet, folding, at_clock(find_board("zcu104"), 187.5))
    cnv, cnv_folding = finn_cnv()
    small = estimate(cnv, cnv_folding, find_board("pynq_z2"))
    luts, bram = binary_luts_and_bram(cnv, cnv_folding)
    resnet, cnn = estimate(*hls4ml_resnet(), find_board("pynq_z2")), estimate(*hls4ml_cnn(), find_board("ultra96"))
    rows = [
        ("FINN MobileNetV1 W4A4, ZCU104, 187.5 MHz", "frames/s", 459, v1.fps, "the authors' published folding through our cycle formulas"),
        ("", "latency, ms", 6.92, v1.latency_ms, "the same"),
        ("FINN CNV W1A1, Pynq-Z2, 100 MHz", "latency, ms", 1.51, small.latency_ms, "the authors' published folding"),
        ("", "LUT", 22_714, luts, "our control, FINN-R's formula for binary sums"),
        ("", "FF", 31_508, 1.4 * luts, "not independent: our factor of 1.4 is from this design"),
        ("", "BRAM36", 100.5, bram, "weights and system; FINN's FIFOs and thresholds are not in the facts"),
        ("hls4ml ResNet (MLPerf Tiny v0.7), Pynq-Z2, 100 MHz", "latency, ms", 27.3, resnet.latency_ms, "the published reuse factor"),
        ("hls4ml CNN, XCZU3EG, 100 MHz", "latency, ms", 0.739, cnn.latency_ms, "layers inferred from reuse factors and 7.1 M products"),
    ]
    lines = ["| design | what | published | estimated | off by | how |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {who} | {what} | {real:,} | {round(ours, 2) if ours < 100 else round(ours):,} | {off(ours, real)} | {how} |"
        for who, what, real, ours, how in rows
    ]
    return lines


def graph_of(name: str, alpha: float, size: int, graphs: Path | None) -> IntegerGraph:
    """From a folder of graphs, NAME_ALPHA_SIZE.onnx, or built with random weights and calibrated."""
    if graphs is not None:
        return read_onnx((graphs / f"{name}_{alpha}_{size}.onnx").read_bytes())
    from edgekit.jobs import ModelRequest, load_source
    from edgekit.jobs.integer_graph import integer_graph

    request = ModelRequest(name, alpha=alpha, size=size)
    return integer_graph(load_source(request), request, lambda _: None).graph


def shares(found: Estimates) -> str:
    return " | ".join(f"{found.share[name]:.0%}" for name in ("lut", "ff", "bram36", "dsp"))


def plans(graphs: Path | None) -> list[str]:
    lines = [
        "| network | board | MHz | frames/s | latency ms | LUT | FF | BRAM | DSP | DDR MB/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, alpha in SMALL:
        for size in (96, 128):
            graph = graph_of(name, alpha, size, graphs)
            for target in (find_board("ultra96"), find_board("pynq_z2")):
                try:
                    found = plan_foldings(graph, target).estimates
                except DoesNotFit as refused:
                    lines.append(f"| {name} {alpha} at {size} | {target.name} | {refused} | | | | | | | |")
                    continue
                numbers = f"{found.clock_mhz:g} | {found.fps:.0f} | {found.latency_ms:.2f} | {shares(found)}"
                lines.append(f"| {name} {alpha} at {size} | {target.name} | {numbers} | {found.ddr_bytes_per_s / 1e6:.0f} |")
    return lines


def verdicts(graphs: Path | None, clock_mhz: float) -> list[str]:
    lines = []
    for name, fps in DPU_FPS.items():
        graph = graph_of(name, 1.0, 224, graphs)
        for target in ("ultra96", "zcu104", "kv260", "zcu102"):
            try:
                found = plan_foldings(graph, at_clock(find_board(target), clock_mhz)).estimates
                text = f"fits: {found.fps:.0f} frames/s at {clock_mhz:g} MHz ({found.fps / fps:.1f} times the DPU's {fps} on an Ultra96)."
            except DoesNotFit as refused:
                text = str(refused)
            lines.append(f"- **{name} 1.0 at 224 on {target}**: {text}")
    return lines


def without_limits(graphs: Path | None, clock_mhz: float) -> list[str]:
    """What the DPU's speed would take with a kernel a layer, on a board without end."""
    lines = ["| network | frames/s | LUT | BRAM36 | DSP | DDR MB a frame | kernels |", "| --- | --- | --- | --- | --- | --- | --- |"]
    ultra96 = at_clock(find_board("ultra96"), clock_mhz)
    have = ultra96.part.resources
    endless = replace(have, lut=100 * have.lut, ff=100 * have.ff, bram36=100 * have.bram36, dsp=100 * have.dsp)
    for name, fps in DPU_FPS.items():
        found = plan_foldings(
            graph_of(name, 1.0, 224, graphs), replace(ultra96, part=replace(ultra96.part, resources=endless)), fps=fps
        ).estimates
        times = " | ".join(
            f"{getattr(found, what):,g} ({getattr(found, what) / getattr(ultra96.part.planned, what):.1f} x)"
            for what in ("lut", "bram36", "dsp")
        )
        lines.append(f"| {name} | {found.fps:.0f} | {times} | {found.ddr_bytes_per_frame / 1e6:.1f} | {len(found.layers)} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--graphs", type=Path, help="a folder with the networks as NAME_ALPHA_SIZE.onnx, instead of building them")
    parser.add_argument("--clock", type=float, default=200.0, help="MHz of the large networks")
    options = parser.parse_args()
    try:
        sections = {
            "Beside what others measured": peers(),
            "Networks that fit": plans(options.graphs),
            "MobileNets 1.0 at 224": [*verdicts(options.graphs, options.clock), *WHAT_DOMINATES],
            f"What the DPU's speed would take, at {options.clock:g} MHz": without_limits(options.graphs, options.clock),
            "Gates and attention": product_lines(find_board("ultra96")),
        }
    except EdgekitError as error:
        print(f"estimates: {error}", file=sys.stderr)
        return 2
    text = (Path(__file__).parent / "estimates_head.md").read_text()
    for title, lines in sections.items():
        text += f"\n## {title}\n\n" + "\n".join(lines) + "\n"
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
