"""The foldings of each op that a plan chooses from, each with its time and what it takes of a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import IntegerGraph, Op, Reshape
from edgekit.hls.folding import Folding
from edgekit.hls.kernels.base import Cost
from edgekit.hls.needed import needed
from edgekit.hls.ops import legal_foldings, op_stages, refusal, row_of
from edgekit.hls.plan.resources import stage_cost
from edgekit.targets import WEIGHT_READERS_MAX, Board

PRICED = ("lut", "dsp", "bram36", "ddr", "readers")
"""The resources that a plan spends; flip-flops follow the LUTs and are checked at the end. Readers: layers with weights in memory."""


@dataclass(frozen=True)
class Choices:
    """The foldings of one op that are worth a look. Arrays of one entry a folding; `costs` (foldings, len(PRICED)) in shares of a
    board's budget but for DDR, which is in bytes a frame."""

    op: Op
    foldings: tuple[Folding, ...]
    cycles: npt.NDArray[np.int64]
    costs: npt.NDArray[np.float64]
    reads: npt.NDArray[np.int64]
    """(foldings, inputs): values of the tokens that a folding reads."""


def choices_of(graph: IntegerGraph, board: Board, pinned: Mapping[str, Folding]) -> tuple[Choices, ...]:
    """In the order of the ops. `pinned`: foldings that are given, by op.

    Raises:
        UnknownName: a pinned op that the graph has not.
        EdgekitError: a pinned folding that does not divide, or an op without a kernel.
    """
    ops = {op.name: op for op in graph.ops if not isinstance(op, Reshape)}
    for name, folding in pinned.items():
        if name not in ops:
            raise UnknownName("layer to fold", name, ops)
        reason = refusal(graph, ops[name], folding)
        if reason is not None:
            raise EdgekitError(reason)
    wanted = {op.name for op in needed(graph)}
    return tuple(_of_op(graph, board, op, pinned.get(name), name in wanted) for name, op in ops.items())


def _of_op(graph: IntegerGraph, board: Board, op: Op, pinned: Folding | None, needed: bool) -> Choices:
    foldings = (pinned,) if pinned else tuple(legal_foldings(graph, op))
    if not needed:
        foldings = foldings[:1]
    cycles, costs, reads = [], [], []
    for folding in foldings:
        stages = op_stages(graph, op, folding)
        cost = sum((stage_cost(stage) for stage in stages), Cost())
        cycles.append(max(stage.cycles for stage in stages) if needed else 0)
        costs.append(shares(cost, board) if needed else np.zeros(len(PRICED)))
        reads.append(row_of(op).reads(op, folding))
    arrays = {"cycles": np.array(cycles), "costs": np.array(costs), "reads": np.array(reads)}
    return _pareto(Choices(op=op, foldings=foldings, **arrays))


def shares(cost: Cost, board: Board) -> npt.NDArray[np.float64]:
    """What a cost is of what a plan may use of each resource, (len(PRICED),); of DDR it is the bytes a frame."""
    may = board.part.planned
    reads = min(cost.ddr_bytes, 1) / WEIGHT_READERS_MAX
    return np.array([cost.lut / may.lut, cost.dsp / may.dsp, cost.bram36 / may.bram36, cost.ddr_bytes, reads])


def _pareto(choices: Choices) -> Choices:
    """Without foldings that another one with the same tokens beats or equals in time and in every resource."""
    table = np.column_stack([choices.cycles, choices.costs])
    tokens = [(folding.pe, *reads) for folding, reads in zip(choices.foldings, choices.reads.tolist(), strict=True)]
    kept = []
    for i in range(len(table)):
        rivals = [j for j in range(len(table)) if j != i and tokens[j] == tokens[i]]
        if not any((table[j] <= table[i]).all() and ((table[j] < table[i]).any() or j < i) for j in rivals):
            kept.append(i)
    return Choices(
        op=choices.op,
        foldings=tuple(choices.foldings[i] for i in kept),
        cycles=choices.cycles[kept],
        costs=choices.costs[kept],
        reads=choices.reads[kept],
    )
