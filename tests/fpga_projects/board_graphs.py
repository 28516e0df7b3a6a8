"""A small network for board tests: weights on chip and in memory, two outputs, and its project."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.fpga_projects.project import plan_board
from edgekit.graph import Activation, Add, Conv2D, Dense, IntegerGraph, Padding, Tensor, check
from edgekit.hls.folding import Folding, WeightPlacement
from edgekit.hls.project.project import plan_accelerated_project
from edgekit.targets.boards import Board

FOLDING = {
    "conv": Folding(2, 1),
    "sum": Folding(2),
    "head": Folding(1, 2, WeightPlacement.DDR),
    "tail": Folding(3, 6, WeightPlacement.DDR),
}


def small_graph() -> IntegerGraph:
    """3 x 3 cells of 2 channels: their sizes are no multiples of a memory word, of 8 or of 16 bytes."""
    rng = np.random.default_rng(3)

    def weights(*shape: int) -> np.ndarray:
        return (4 * rng.integers(-31, 32, shape)).astype(np.int8)

    tensors = {
        "x": Tensor("x", (3, 3, 2), True, 4),
        "a": Tensor("a", (3, 3, 2), True, 4),
        "b": Tensor("b", (3, 3, 2), True, 4),
        "y": Tensor("y", (5,), True, 3),
        "z": Tensor("z", (3,), False, 3),
    }
    conv = Conv2D("conv", "x", "a", weights(3, 3, 2, 2), np.full(2, 2, np.int32), (9, 9), padding=Padding(1, 1, 1, 1))
    head = Dense("head", "b", "y", weights(18, 5), np.full(5, 6, np.int32), (9,) * 5)
    tail = Dense("tail", "a", "z", weights(18, 3), np.full(3, 2, np.int32), (9,) * 3, Activation.RELU)
    graph = IntegerGraph("small", tensors, (conv, Add("sum", ("a", "x"), "b"), head, tail), "x", ("y", "z"))
    check(graph)
    return graph


def small_project(board: Board) -> dict[str, bytes]:
    graph = small_graph()
    files, top = plan_accelerated_project(graph, board, FOLDING)
    return {**files, **plan_board(graph, board, top)}


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
