"""The RTL as executors: witnesses of the integers that share nothing with the C simulation but the kernels' text.

`hls-rtl` is the network alone, which always has what it reads from memory; `hls-rtl-memory` the accelerator around it, whose AXI masters
share a memory as fast as the estimates take the board's to be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Observed, Run
from edgekit.graph import violations
from edgekit.hls.engine.board_program import ENGINE_FACTS
from edgekit.hls.rtl.circuit import StageRtl
from edgekit.hls.rtl.masters import MemoryModel
from edgekit.hls.rtl.simulation import FifoUse, RtlRun, RtlSimulation, open_accelerator, open_rtl
from edgekit.hls.rtl.sources import ACCELERATOR_FILES, MOVED
from edgekit.hls.simulation.executors import project_of, written
from edgekit.progress import Note
from edgekit.targets import at_clock, find_board
from edgekit.tools import CLANG, GXX, MAKE, OPT, VERILATOR, missing_reason

TOOLS = (CLANG, OPT, VERILATOR, GXX, MAKE)
ESTIMATES = "estimates.json"
FIFOS_SHOWN = 3
INPUTS_MAX = 4
MEMORY_LATENCY = 64
"""Cycles from a burst's address to its first word: an assumption, 0.6 us at 100 MHz."""


def _missing(artifact: Artifact) -> str | None:
    if artifact.hls_project is None:
        if artifact.graph is None:
            return "it needs an HLS project or an integer graph"
        violation = next(violations(artifact.graph), None)
        if violation is not None:
            return f"the graph breaks the contract, on which the hardware's shifts rely: {violation}"
    elif ENGINE_FACTS in artifact.hls_project:
        return "the project is of an engine, which is not translated"
    return next((reason for reason in map(missing_reason, TOOLS) if reason is not None), None)


def _missing_with_memory(artifact: Artifact) -> str | None:
    if artifact.hls_project is None or not {*ACCELERATOR_FILES, ESTIMATES} <= artifact.hls_project.keys():
        return "it needs an HLS project with an accelerator, as edgekit hls writes it with --interface axi-master"
    return _missing(artifact)


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    """The project of the artifact, else one made from its graph."""
    project = project_of(artifact, note)
    with written(project) as folder, open_rtl(folder, note) as simulation:
        yield lambda inputs: _observed(simulation, simulation.run(inputs), len(inputs), project)


@contextmanager
def _open_with_memory(artifact: Artifact, note: Note) -> Iterator[Run]:
    """The project of the artifact, as it is written for its board."""
    project = project_of(artifact, note)
    estimates = json.loads(project[ESTIMATES])
    board = at_clock(find_board(estimates["board"]), estimates["clock_mhz"])
    memory = MemoryModel(MEMORY_LATENCY, board.ddr_bytes_per_s / (board.clock_mhz * 1e6))
    said = f"the board's memory as {memory.bytes_per_cycle:g} bytes a cycle for all masters together, {memory.latency} cycles away"
    with written(project) as folder, open_accelerator(folder, INPUTS_MAX, note) as simulation:

        def run(inputs: npt.NDArray[Any]) -> Observed:
            found = _observed(simulation, simulation.run(inputs, memory), len(inputs), project)
            return Observed(found, (*found.remarks, said))

        yield run


def _observed(simulation: RtlSimulation, found: RtlRun, frames: int, project: Mapping[str, bytes]) -> Observed:
    if len(found.frame_ends) < frames:
        raise EdgekitError(_stopped(found, frames))
    return Observed(found.values, remarks(simulation, found, _estimated(project)))


def remarks(simulation: RtlSimulation, found: RtlRun, estimated: int | None) -> tuple[str, ...]:
    """Cycles and FIFOs of a run in sentences. `estimated`: cycles a frame."""
    slowest = max(stage.iterations for stage in simulation.rtl.stages if not _goes_over_frames(stage))
    frames = f"RTL, simulated cycle by cycle: the first frame ends after {found.frame_ends[0]:,} cycles"
    if found.interval is not None:
        frames += f", and the last one {found.interval:,} cycles after the one before it"
    frames += f"; the slowest stage takes {slowest:,}" + (f", a frame {estimated:,} by the estimate" if estimated else "")
    fullest = sorted(found.fifos, key=lambda fifo: (fifo.high - fifo.depth, fifo.high), reverse=True)
    filled = sum(fifo.high >= fifo.depth for fifo in found.fifos)
    fifos = f"{len(found.fifos)} FIFOs, {filled} of them full at some time; {found.cycles:,} cycles in all. {_list(fullest[:FIFOS_SHOWN])}"
    return frames, fifos


def _goes_over_frames(stage: StageRtl) -> bool:
    """What moves images and results; its loop is no frame's."""
    return any(memory.array in MOVED for memory in stage.memories)


def _list(fifos: list[FifoUse]) -> str:
    return "; ".join(f"{one.stream}: at most {one.high} of {one.depth} tokens, full for {one.full:,} cycles" for one in fifos)


def _stopped(found: RtlRun, frames: int) -> str:
    full = [f"{one.stream} ({one.depth} tokens)" for one in found.fifos if one.high >= one.depth and one.full]
    stopped = f"the pipeline stands still for good in cycle {found.cycles:,}, after {len(found.frame_ends)} of {frames} frames"
    return f"{stopped}; FIFOs that were full: {', '.join(full) or 'none'}"


def _estimated(project: Mapping[str, bytes]) -> int | None:
    return int(json.loads(project[ESTIMATES])["interval_cycles"]) if ESTIMATES in project else None


EXECUTORS = (
    Executor("hls-rtl", _missing, _open, inputs_max=INPUTS_MAX),
    Executor("hls-rtl-memory", _missing_with_memory, _open_with_memory, inputs_max=INPUTS_MAX),
)
