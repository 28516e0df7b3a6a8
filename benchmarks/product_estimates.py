"""Estimates of what multiplies activations: an attention block and gates, planned alone. A section of docs/estimates.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log2
from typing import Any

import numpy as np

from edgekit.graph import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    MatMul,
    Multiply,
    Op,
    Slice,
    Tensor,
    check,
)
from edgekit.hls.dataflow import build
from edgekit.hls.kernels.base import FIFO_DEPTH
from edgekit.hls.plan.planner import Planned, plan_foldings
from edgekit.hls.plan.resources import SYSTEM
from edgekit.targets import Board, find_board

PRODUCT_HOLDS = 1
"""A product holds what comes in its second stream; what else is held comes in a first."""
TEXT = """What multiplies activations needs a whole map before its first result, and what waits for it meanwhile lies in a FIFO:

- A gate (squeeze-and-excite) is a function of the whole map, so the FIFO holds the map, and what comes of the next one while the gate is
  taken: rows * columns * channels bytes and more. The mean that it starts from is taken as the map passes, with a sum for each channel
  and no second copy of the map.
- A matrix product holds one map, y. The other one, x, waits in a FIFO of its whole size where both come from one tensor, as queries and
  keys do; y has a FIFO for what comes of the next frame while this frame's x is multiplied. So an attention holds q once, k and v up to
  twice; its scores need no FIFO of their size, since v is read while q waits.

FIFOs and held maps are made of block RAM, or of LUTs where they are short; UltraRAM is not used. Each block below is planned alone, for
least resources at the frames a second given; LUTs and block RAM have the system's {system} and {system_bram} in them.
"""


@dataclass
class Shapes:
    """A graph whose numbers are all alike: only its shapes are of interest."""

    tensors: dict[str, Tensor]
    ops: list[Op] = field(default_factory=list)

    def add(self, op: Any, shape: tuple[int, ...], point: int = 0, signed: bool = True) -> str:
        self.tensors[op.output] = Tensor(op.output, shape, signed, point)
        self.ops.append(op)
        return str(op.output)

    def conv(self, name: str, x: str, channels: int, signed: bool = True) -> str:
        source = self.tensors[x]
        weights, bias = np.full((1, 1, source.shape[2], channels), 28, np.int8), np.full(channels, 2, np.int32)
        point = round(log2(28 * source.shape[2])) - source.binary_point
        activation = Activation.NONE if signed else Activation.RELU
        op = Conv2D(name, x, name, weights, bias, (point,) * channels, activation=activation)
        return self.add(op, (*source.shape[:2], channels), signed=signed)

    def mean(self, name: str, x: str) -> str:
        rows, columns, channels = self.tensors[x].shape
        weights, bias = np.full((rows, columns, channels), 28, np.int8), np.full(channels, 2, np.int32)
        return self.add(DepthwiseConv2D(name, x, name, weights, bias, (round(log2(28 * rows * columns)),) * channels), (1, 1, channels))

    def cut(self, name: str, x: str, start: int, count: int) -> str:
        return self.add(Slice(name, x, name, start), (*self.tensors[x].shape[:2], count))

    def graph(self, name: str) -> IntegerGraph:
        graph = IntegerGraph(name, self.tensors, tuple(self.ops), "x", (self.ops[-1].output,))
        check(graph)
        return graph


def attention(side: int, channels: int, heads: int, key: int) -> IntegerGraph:
    """SBCFormer's (arXiv 2311.03747), values of 2 * key channels a head, with a ReLU for softmax, up to the residual."""
    net = Shapes({"x": Tensor("x", (side, side, channels), True, 0)})
    keys, values, cells = heads * key, heads * 2 * key, side * side
    qkv = net.conv("qkv", "x", 2 * keys + values)
    q, k, v = net.cut("q", qkv, 0, keys), net.cut("k", qkv, keys, keys), net.cut("v", qkv, 2 * keys, values)
    bias = np.full((side, side, heads * cells), 1000, np.int32)
    shape = (side, side, heads * cells)
    scores = net.add(MatMul("scores", (q, k), "scores", heads, True, bias, Activation.RELU), shape, point=-8)
    mixed = net.add(MatMul("mixed", (scores, v), "mixed", heads, False, np.zeros((1, 1, 1), np.int32)), (side, side, values), point=-16)
    net.add(Add("sum", (net.conv("out", mixed, channels), "x"), "sum"), (side, side, channels))
    return net.graph(f"attention_{cells}")


def gate(side: int, channels: int) -> IntegerGraph:
    """Squeeze-and-excite (arXiv 1709.01507) with a quarter of the channels inside."""
    net = Shapes({"x": Tensor("x", (side, side, channels), True, 0)})
    squeezed = net.conv("squeeze", net.mean("mean", "x"), channels // 4, signed=False)
    excited = net.conv("excite", squeezed, channels)
    curve = net.add(Lookup("sigmoid", excited, "sigmoid", np.arange(256, dtype=np.uint8)), (1, 1, channels), signed=False)
    net.add(Multiply("scaled", ("x", curve), "scaled"), (side, side, channels), point=-8)
    return net.graph(f"gate_{side}_{channels}")


def product_lines(target: Board) -> Iterator[str]:
    planned = [(text, graph, plan_foldings(graph, target, fps=fps)) for text, graph, fps in blocks()]
    yield from TEXT.format(system=f"{SYSTEM.lut:,.0f} LUTs", system_bram=f"{SYSTEM.bram36:g} block RAMs").splitlines()
    yield ""
    yield f"| {target.name} at {target.clock_mhz:g} MHz | frames/s | interval | latency us | LUT | BRAM36 | DSP | held | in FIFOs |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for text, graph, found in planned:
        cost, (held, waiting) = found.estimates, memory_bytes(graph, found)
        numbers = f"{cost.fps:,.0f} | {cost.interval_cycles:,} | {1e3 * cost.latency_ms:.0f}"
        resources = f"{cost.lut:,} | {cost.bram36:g} | {cost.dsp}"
        yield f"| {text} | {numbers} | {resources} | {held:,} bytes | {waiting:,} bytes |"
    yield ""
    yield "| its products | folding (PE x SIMD) | cycles | LUT | BRAM36 | DSP |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for text, _, found in planned:
        for layer in found.estimates.layers:
            if layer.kind in ("MatMul", "Multiply"):
                resources = f"{layer.cycles:,} | {layer.lut:,} | {layer.bram36:g} | {layer.dsp}"
                yield f"| {text.split(',')[0]}: {layer.name} | {layer.pe} x {layer.simd} | {resources} |"


def blocks() -> Iterator[tuple[str, IntegerGraph, float]]:
    for side in (3, 7):
        for fps in (500.0, 4000.0):
            cells = side * side
            yield f"attention of {cells} tokens at {fps:g} frames/s, 96 channels, 3 heads of 16", attention(side, 96, 3, 16), fps
    for side, channels in ((14, 480), (7, 960)):
        yield f"gate of {side} x {side} x {channels}", gate(side, channels), 500.0


def memory_bytes(graph: IntegerGraph, found: Planned) -> tuple[int, int]:
    """Bytes of the maps and gates that products hold, and of FIFOs deeper than a handshake needs."""
    flow, depths = build(graph, found.folding), found.estimates.fifo_depths
    products = [stage for stage in flow.stages if stage.held == PRODUCT_HOLDS]
    held = sum(memory.bits for stage in products for memory in stage.memories if not memory.rom)
    waiting = sum(depths[stream.name] * stream.token_bits for stream in flow.streams if depths[stream.name] > FIFO_DEPTH)
    return held // 8, waiting // 8


if __name__ == "__main__":
    print("\n".join(product_lines(find_board("ultra96"))))
