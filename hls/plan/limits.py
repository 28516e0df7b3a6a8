"""How far estimates go beyond a board, and in which layer: in numbers for the planner, in words for the user."""

from __future__ import annotations

from math import ceil

from edgekit.hls.plan.estimates import Estimates, cycles_by_memory, over_budget
from edgekit.targets import WEIGHT_READERS_MAX, Board

WAYS = {"lut": "LUTs", "ff": "flip-flops", "bram36": "block RAM", "dsp": "DSP slices", "ddr": "DDR bandwidth"}


def spent(found: Estimates, board: Board) -> dict[str, float]:
    """The share of each resource that is used of what may be planned with; their sum is what a plan costs."""
    may = board.part.planned
    shares = {name: getattr(found, name) / getattr(may, name) for name in ("lut", "dsp", "bram36")}
    return shares | {"ddr": cycles_by_memory(found.ddr_bytes_per_frame, board) / found.interval_cycles}


def weight_readers(found: Estimates) -> int:
    """Layers that read their weights from memory, each through a master of its own."""
    return sum(1 for layer in found.layers if layer.ddr_bytes)


def limits(found: Estimates, board: Board, time: int) -> list[str]:
    """Each resource that is exceeded, worst first, with the layer that takes most of it."""
    may = board.part.planned
    over = over_budget(found, may)
    lines = []
    for name in sorted(over, key=lambda resource: -over[resource]):
        most = max(found.layers, key=lambda layer: float(getattr(layer, name)))
        lines.append(
            f"{WAYS[name]}: {getattr(found, name):,g} estimated, {getattr(may, name):,} may be used ({over[name]:.0%});"
            f" layer '{most.name}' takes most, {getattr(most, name):,g}."
        )
    if (readers := weight_readers(found)) > WEIGHT_READERS_MAX:
        lines.append(f"Memory masters: {readers} layers read their weights from DDR; the interconnect has room for {WEIGHT_READERS_MAX}.")
    memory = cycles_by_memory(found.ddr_bytes_per_frame, board)
    if memory > time:
        most = max(found.layers, key=lambda layer: layer.ddr_bytes)
        lines.append(
            f"DDR bandwidth: {found.ddr_bytes_per_frame:,} bytes a frame take {ceil(memory):,} cycles, {time:,} are allowed;"
            f" layer '{most.name}' reads most, {most.ddr_bytes:,}."
        )
    if found.interval_cycles > time and memory <= time:
        slowest = next(layer for layer in found.layers if layer.name == found.slowest_layer)
        pauses = f", and with FIFOs this short a frame takes {found.interval_cycles:,}" if found.interval_cycles > slowest.cycles else ""
        lines.append(f"Cycles: layer '{slowest.name}' takes {slowest.cycles:,} a frame{pauses}; {time:,} are allowed.")
    return lines
