"""The accelerator as RTL: AXI masters against a memory with latency and bursts, values equal and cycles beside the estimate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from board_graphs import small_graph, small_project, write
from hand_graphs import extreme_images
from rtl_tools import needs_clang, needs_verilator

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Observed
from edgekit.fpga_projects.files import project_files
from edgekit.graph import IntegerGraph, run
from edgekit.hls.plan.planner import plan_foldings
from edgekit.hls.rtl.executor import EXECUTORS, MEMORY_LATENCY
from edgekit.hls.rtl.masters import MemoryModel
from edgekit.hls.rtl.pipeline import waiting_memories
from edgekit.hls.rtl.project import accelerator_rtl
from edgekit.hls.rtl.simulation import RtlRun, RtlSimulation, open_accelerator
from edgekit.targets.boards import AXI_MASTER, find_board

(MEMORY_EXECUTOR,) = [one for one in EXECUTORS if one.name == "hls-rtl-memory"]
FRAMES = 3
NEAR, FAR = MemoryModel(latency=1, bytes_per_cycle=64), MemoryModel(latency=200, bytes_per_cycle=0.25)
ROUND = 8
"""Cycles of a master between the end of a call and the first word of the next one, beside memory's latency."""


def check_values(simulation: RtlSimulation, graph: IntegerGraph, memory: MemoryModel, frames: int = FRAMES) -> RtlRun:
    """Every value of every tensor that is seen, and of the results that lie in memory, is the reference's."""
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(2), noise=frames)[:frames]
    found = simulation.run(inputs, memory)
    expected = run(graph, inputs)
    assert set(graph.outputs) <= set(found.values)
    differ = {name: int(np.count_nonzero(values != expected[name])) for name, values in found.values.items()}
    assert differ == dict.fromkeys(differ, 0)
    assert len(found.frame_ends) == frames
    return found


@needs_verilator
def test_results_in_memory_are_the_references_however_far_it_is(tmp_path: Path) -> None:
    """Two outputs whose sizes are no multiples of a word, and weights of two layers in memory: five masters."""
    project, graph = write(small_project(find_board("pynq_z2")), tmp_path), small_graph()
    with open_accelerator(project, FRAMES, lambda _: None) as simulation:
        masters = [memory.array for _, memory in waiting_memories(simulation.rtl)]
        assert masters == ["images", "memory8", "memory10", "results", "results"]
        near, far = (check_values(simulation, graph, memory) for memory in (NEAR, FAR))
    slowest = max(stage.iterations for stage in simulation.rtl.stages[1:-2])  # but for those whose loop goes over all frames
    assert near.interval is not None and slowest <= near.interval <= slowest + 2 * NEAR.latency + ROUND
    assert far.frame_ends[0] >= near.frame_ends[0] + 2 * (FAR.latency - NEAR.latency)
    moved = FRAMES * (3 * 8 + 45 * 2 + 3 * 16 + 2 * 8)  # bytes of the image, of the weights of two layers, of two outputs
    assert far.cycles >= moved / FAR.bytes_per_cycle


@needs_clang
def test_a_bare_ip_has_no_masters_to_be_simulated(tmp_path: Path) -> None:
    files = {name: content for name, content in small_project(find_board("pynq_z2")).items() if name != "accelerator.cpp"}
    with pytest.raises(EdgekitError, match="--interface axi-master"):
        accelerator_rtl(write(files, tmp_path), FRAMES, lambda _: None)


@needs_verilator
def test_the_executor_needs_a_project_with_an_accelerator() -> None:
    files = small_project(find_board("pynq_z2"))
    reason = MEMORY_EXECUTOR.missing(Artifact(graph=small_graph(), hls_project=files))
    assert reason is not None and "with --interface axi-master" in reason  # it has no estimates
    assert MEMORY_EXECUTOR.missing(Artifact(graph=small_graph())) == reason


@pytest.mark.slow
@needs_verilator
def test_the_executor_says_of_what_memory_it_speaks() -> None:
    graph, board = small_graph(), find_board("pynq_z2")
    files = project_files(graph, board, plan_foldings(graph, board), AXI_MASTER)
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(2), noise=2)[:2]
    with MEMORY_EXECUTOR.open(Artifact(graph=graph, hls_project=files), lambda _: None) as execute:
        found = execute(inputs)
    expected = run(graph, inputs)
    assert {name: int(np.count_nonzero(values != expected[name])) for name, values in found.items()} == dict.fromkeys(graph.tensors, 0)
    assert isinstance(found, Observed)
    assert any("8 bytes a cycle for all masters together" in remark for remark in found.remarks)


@pytest.mark.slow
@needs_verilator
@pytest.mark.parametrize(("name", "alpha"), [("mobilenet_v1", 0.25), ("mobilenet_v2", 0.35)])
def test_networks_of_the_zoo_with_the_boards_memory_are_as_fast_as_is_estimated(name: str, alpha: float, tmp_path: Path) -> None:
    from test_hls_networks import zoo

    graph, _ = zoo(name, alpha, 32)
    board = find_board("ultra96")
    planned = plan_foldings(graph, board)
    project = write(project_files(graph, board, planned, AXI_MASTER), tmp_path)
    memory = MemoryModel(MEMORY_LATENCY, board.ddr_bytes_per_s / (board.clock_mhz * 1e6))
    with open_accelerator(project, FRAMES, lambda _: None) as simulation:
        found = check_values(simulation, graph, memory)
    print(f"\n{name}: {sum(values.size for values in found.values.values())} values, ends {found.frame_ends}, {found.interval}")
    print(f"estimated {planned.estimates.latency_ms * board.clock_mhz * 1e3:.0f}, {planned.estimates.interval_cycles}")
    assert found.interval is not None
    assert 0.99 <= found.interval / planned.estimates.interval_cycles <= 1.1  # while the last frames end no more images are read
