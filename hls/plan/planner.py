"""Chooses PE, SIMD and weight placement of every op so that a network fits a board: as fast as can be, or as fast as asked.

For a time T, in cycles a frame, each op has the foldings that take at most T. Of those the planner takes the one that costs
least, each resource having a price; so no op is faster than the slowest has to be, but by what divisors leave. Where a
resource runs out, its price rises, and single ops are exchanged in the end. The interval of the plan may be longer than T, where
memory takes longer or short FIFOs make stages pause. So times from the least one for which a choice fits are tried up to the shortest
interval that was found: that is the answer to "as fast as can be". For a wished interval, the answer is the cheapest choice over all
shorter times of a ladder that starts at the least, so that a wish for more frames never costs less than one for fewer. No randomness:
the same graph, board and wish give the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, prod
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, Op, check, op_inputs
from edgekit.hls.dataflow import build
from edgekit.hls.folding import Folding, FoldingPlan
from edgekit.hls.kernels.tokens import Resize
from edgekit.hls.needed import carriers
from edgekit.hls.ops import row_of
from edgekit.hls.plan.choices import PRICED, Choices, choices_of, shares
from edgekit.hls.plan.estimates import PAUSES, Estimates, cycles_by_memory, estimate_dataflow, io_bytes, over_budget
from edgekit.hls.plan.limits import limits, spent, weight_readers
from edgekit.hls.plan.resources import SYSTEM, stage_cost
from edgekit.targets import WEIGHT_READERS_MAX, Board

PRICES = tuple(
    np.array(prices, np.float64) for prices in ((1, 1, 1, 1, 1), (4, 1, 1, 1, 1), (1, 1, 4, 1, 1), (4, 1, 16, 1, 1), (16, 1, 4, 1, 1))
)
"""First prices of a whole board's budget of each resource."""
NO_READERS = np.array((1, 1, 1, 1, 1e6))
"""Prices at which every layer's weights are on the chip."""
ROUNDS = 8
"""So often prices are raised for what ran out."""
BOUND_ROUNDS = 100
STARTS, EXCHANGES = 6, 4
"""From so many plans, so often, single ops are changed, and the whole is measured again."""
ROUNDING = 1e-9
"""A wish for exactly the frames that a plan makes, after a division and its inverse, is met by that plan."""
STEP, RUNG = 1.02, 1.08
"""How far apart the times are that are tried: for the fastest plan, and for the cheapest."""


@dataclass(frozen=True)
class Planned:
    """A plan and what it is estimated to do. `folding` has every op but reshapes; `pinned` are the user's."""

    folding: FoldingPlan
    estimates: Estimates
    pinned: tuple[str, ...] = ()


class DoesNotFit(EdgekitError):
    """No plan holds the board's shares, or none that is as fast as was asked. `nearest`: the plan that comes nearest.

    `best`: the fastest plan that fits, or None.
    """

    def __init__(self, message: str, nearest: Planned, best: Planned | None):
        super().__init__(message)
        self.nearest, self.best = nearest, best


def plan_foldings(
    graph: IntegerGraph, board: Board, *, fps: float | None = None, pinned: Mapping[str, Folding] = MappingProxyType({})
) -> Planned:
    """The plan for a board, at the board's clock.

    Args:
        fps: frames a second to reach with the least resources; None for as many as can be.
        pinned: foldings that are given, by op.

    Raises:
        DoesNotFit: the message says what limits, in which layer, and the best that can be.
        UnknownName: a pinned op that the graph has not.
        EdgekitError: a pinned folding that does not divide, an op without a kernel, or a wish that is no positive number.
        ContractError: the graph breaks the contract.
    """
    check(graph)
    search = _Search(graph, board, choices_of(graph, board, pinned))
    if fps is None:
        best = search.fastest()
        if best is None:
            raise _refusal(search, search.times[-1], None, None)
        return Planned(best.folding, best.estimates, tuple(sorted(pinned)))
    if not 0 < fps < inf:
        raise EdgekitError(f"{fps} frames a second: it has to be a number above 0")
    wished = int(board.clock_mhz * 1e6 / fps * (1 + ROUNDING))
    found = search.cheapest(wished)
    if found is None:
        raise _refusal(search, wished, fps, search.fastest())
    return Planned(found.folding, found.estimates, tuple(sorted(pinned)))


def plan_of(graph: IntegerGraph, board: Board, folding: FoldingPlan) -> Planned:
    """The plan whose foldings are all given, such as those of a project's folding.json; whether it fits the board is not asked.

    Raises:
        ContractError: the graph breaks the contract.
        UnknownName: the folding of an op that the graph has not.
        EdgekitError: an op without a folding, a folding that does not divide, or an op without a kernel.
    """
    check(graph)
    choices = choices_of(graph, board, folding)
    lacking = [one.op.name for one in choices if one.op.name not in folding]
    if lacking:
        raise EdgekitError(f"layer '{lacking[0]}' has no folding")
    ordered = {one.op.name: folding[one.op.name] for one in choices}
    return Planned(ordered, estimate_dataflow(graph, ordered, build(graph, ordered), board), tuple(sorted(folding)))


def _badness(use: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(..., resources) -> what is used beyond what there is, and a little of what is used at all."""
    return np.maximum(use - 1, 0).sum(axis=-1) + 1e-3 * use.sum(axis=-1)


class _Search:
    """Plans by time. Remembers what it tried."""

    def __init__(self, graph: IntegerGraph, board: Board, choices: tuple[Choices, ...]):
        self.graph, self.board, self.choices = graph, board, choices
        self.tried: dict[int, list[Planned]] = {}
        self.known: dict[tuple[Folding, ...], Planned] = {}
        shortest = max((int(one.cycles.min()) for one in choices), default=1)
        longest = ceil(max((int(one.cycles.max()) for one in choices), default=1) * PAUSES[-1])
        most_bytes = io_bytes(graph) + sum(float(one.costs[:, PRICED.index("ddr")].max()) for one in choices)
        longest = max(longest, ceil(cycles_by_memory(most_bytes, board)))
        self.times = _ladder(max(1, shortest), max(1, longest), STEP)
        self.resized: dict[tuple[str, int, bytes, int], npt.NDArray[np.float64]] = {}
        self.luts = board.part.planned.lut
        self.carriers = carriers(graph)
        self.producers = {one.op.output: one.op.name for one in choices}
        self.readers: dict[str, list[tuple[Op, int]]] = {}
        """Tensor -> the ops that read it, each with the place of the tensor among its inputs."""
        for one in choices:
            for place, tensor in enumerate(op_inputs(one.op)):
                self.readers.setdefault(self.carriers.get(tensor, tensor), []).append((one.op, place))

    def least(self) -> int | None:
        """Halves the ladder of times until one fits and the one before it does not."""
        low, high = 0, len(self.times) - 1
        if not self.fitting(self.times[high]):
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fitting(self.times[middle]) else (middle + 1, high)
        return self.times[high]

    def fastest(self) -> Planned | None:
        """The fastest plan for the least time and those after it, which may leave room for longer FIFOs and so for shorter pauses."""
        least = self.least()
        if least is None:
            return None
        best = self.shortest(least)
        for time in _ladder(least, self.times[-1], RUNG):
            if time >= best.estimates.interval_cycles:
                break
            if self.fitting(time):
                best = min(best, self.shortest(time), key=lambda one: one.estimates.interval_cycles)
        return best

    def shortest(self, time: int) -> Planned:
        """The fastest of the plans for a time that fit; of equals the cheapest."""
        return min(self.fitting(time), key=lambda one: (one.estimates.interval_cycles, self.price(one)))

    def cheapest(self, wished: int) -> Planned | None:
        """The cheapest of all plans for times of the ladder from the least to the wished one that keep the wish."""
        least, fastest = self.least(), self.fastest()
        if least is None or fastest is None:
            return None
        plans = [fastest, *(one for time in _ladder(least, self.times[-1], RUNG) if time <= wished for one in self.fitting(time))]
        return min((one for one in plans if one.estimates.interval_cycles <= wished), key=self.price, default=None)

    def price(self, planned: Planned) -> float:
        return sum(spent(planned.estimates, self.board).values())

    def fitting(self, time: int) -> list[Planned]:
        """Plans whose ops take at most a time and that hold the shares."""
        if time not in self.tried:
            possible = self.bound(time) <= 1
            self.tried[time] = [one for one in self.attempts(time) if self.excess(one) <= 1] if possible else []
        return self.tried[time]

    def nearest(self, time: int) -> Planned | None:
        """The plan for a time that exceeds the board least. More masters than there are cannot be wired, so they count first."""
        found, in_rom = self.attempts(time), self.choose(time, NO_READERS)
        if in_rom is not None:
            found.append(self.measured(in_rom))

        def far(one: Planned) -> tuple[int, float]:
            readers = max(weight_readers(one.estimates), WEIGHT_READERS_MAX)
            return readers, max(self.excess(one), one.estimates.interval_cycles / time)

        return min(found, key=far, default=None)

    def attempts(self, time: int) -> list[Planned]:
        """Plans for a time at several prices, which rise for what runs out; then single ops changed, one after the other."""
        found: dict[tuple[Folding, ...], Planned] = {}

        def note(chosen: dict[str, Folding]) -> Planned:
            return found.setdefault(tuple(chosen.values()), self.measured(chosen))

        for first in PRICES:
            prices = first
            for _ in range(ROUNDS):
                chosen = self.choose(time, prices)
                if chosen is None:
                    return []
                use = self.use(note(chosen), time)
                if use.max() <= 1 or use.min() > 1:
                    break
                prices = prices * np.maximum(use, 0.5) ** 2
        starts = sorted(found.values(), key=self.rank)
        for best in starts[:STARTS]:
            for _ in range(EXCHANGES):
                if self.rank(best) <= (1, time):
                    return list(found.values())
                better = note(self.exchange(best, time))
                if self.rank(better) >= self.rank(best):
                    break
                best = better
        return list(found.values())

    def exchange(self, planned: Planned, time: int) -> dict[str, Folding]:
        """Another plan: as often as it helps, the one op takes another folding that lowers most what the plan exceeds."""
        scale = self.scale(time)
        folding = dict(planned.folding)
        use = self.use(planned, time)
        for _ in range(len(self.choices)):
            best, move = float(_badness(use)), None
            for one in self.choices:
                now = one.foldings.index(folding[one.op.name])
                joins = self.joins(one, folding, time)
                possible = (one.cycles <= time) & np.isfinite(joins)
                trials = use + (one.costs - one.costs[now]) / scale
                trials[possible, 0] += joins[possible] - joins[now]
                bad = np.where(possible, _badness(trials), inf)
                if bad.min() < best - 1e-9:
                    best, move = float(bad.min()), (one, int(bad.argmin()), trials[int(bad.argmin())])
            if move is None:
                break
            one, index, use = move
            folding[one.op.name] = one.foldings[index]
        return folding

    def joins(self, one: Choices, folding: Mapping[str, Folding], time: int) -> npt.NDArray[np.float64]:
        """What it costs, in shares of LUTs, to join each folding of an op to its neighbours' tokens; infinite where it takes too long."""
        costs = np.zeros(len(one.foldings))
        for place, tensor in enumerate(op_inputs(one.op)):
            carrier = self.carriers.get(tensor, tensor)
            if carrier in self.producers:
                costs = costs + self.resizes(carrier, folding[self.producers[carrier]].pe, one.reads[:, place], time)
        writes = np.array([choice.pe for choice in one.foldings])
        for reader, place in self.readers.get(one.op.output, ()):
            costs = costs + self.resizes(one.op.output, row_of(reader).reads(reader, folding[reader.name])[place], writes, time)
        return costs

    def use(self, planned: Planned, time: int) -> npt.NDArray[np.float64]:
        """The share of each resource that is used of what may be planned with."""
        found, may = planned.estimates, self.board.part.planned
        luts = max(found.lut / may.lut, found.ff / may.ff)
        memory = cycles_by_memory(found.ddr_bytes_per_frame, self.board) / time
        return np.array([luts, found.dsp / may.dsp, found.bram36 / may.bram36, memory, weight_readers(found) / WEIGHT_READERS_MAX])

    def scale(self, time: int) -> npt.NDArray[np.float64]:
        """What the costs of a folding are divided by to be shares of a board, in a time."""
        return np.array([1, 1, 1, time / cycles_by_memory(1, self.board), 1])

    def bound(self, time: int) -> float:
        """No plan for a time can use less than this share of the resource that it uses most.

        A weighted mean of the shares is no larger than the largest, and for given weights the least mean is that of the layers'
        cheapest foldings, each chosen alone; FIFOs and resizes come on top. The weights that give the highest bound are sought.
        """
        scale = self.scale(time)
        costs = [one.costs[one.cycles <= time] / scale for one in self.choices]
        if any(len(one) == 0 for one in costs):
            return inf
        weights, best = np.ones(len(PRICED)) / len(PRICED), 0.0
        for _ in range(BOUND_ROUNDS):
            use = shares(SYSTEM, self.board) + sum(one[(one @ weights).argmin()] for one in costs)
            best = max(best, float(use @ weights))
            weights = weights * np.exp(0.2 * (use / use.max() - 1))
            weights /= weights.sum()
        return best

    def rank(self, planned: Planned) -> tuple[float, int]:
        """Less is better: what fits before what does not, and then what is faster."""
        return max(1.0, self.excess(planned)), planned.estimates.interval_cycles

    def excess(self, planned: Planned) -> float:
        """The worst of the resources, as a multiple of what there is."""
        readers = weight_readers(planned.estimates) / WEIGHT_READERS_MAX
        return max(readers, *over_budget(planned.estimates, self.board.part.planned).values(), 0.0)

    def choose(self, time: int, prices: npt.NDArray[np.float64]) -> dict[str, Folding] | None:
        """The cheapest folding of each op in its turn, at these prices; None where an op cannot be so fast."""
        scale = prices / self.scale(time)
        tokens: dict[str, int] = {}
        folding: dict[str, Folding] = {}
        for one in self.choices:
            worth = np.where(one.cycles <= time, one.costs @ scale, inf)
            for place, tensor in enumerate(op_inputs(one.op)):
                carrier = self.carriers.get(tensor, tensor)
                if carrier in tokens:
                    worth = worth + self.resizes(carrier, tokens[carrier], one.reads[:, place], time) * prices[0]
            best = int(worth.argmin())
            if worth[best] == inf:
                return None
            folding[one.op.name] = one.foldings[best]
            tokens[one.op.output] = one.foldings[best].pe
        return folding

    def measured(self, folding: dict[str, Folding]) -> Planned:
        key = tuple(folding.values())
        if key not in self.known:
            flow = build(self.graph, folding)
            self.known[key] = Planned(folding, estimate_dataflow(self.graph, folding, flow, self.board))
        return self.known[key]

    def resizes(self, tensor: str, token: int, others: npt.NDArray[np.int64], time: int) -> npt.NDArray[np.float64]:
        """What it costs, in shares of LUTs, to change tokens to or from other sizes: infinite where it takes longer than `time`."""
        key = (tensor, token, others.tobytes(), time)
        if key not in self.resized:
            cycles = prod(self.graph.tensors[tensor].shape) // np.gcd(token, others)
            luts = np.array([_resize_luts(token, other) for other in others.tolist()])
            self.resized[key] = np.where(others == token, 0.0, np.where(cycles <= time, luts / self.luts, inf))
        return self.resized[key]


@lru_cache(maxsize=1 << 16)
def _resize_luts(token: int, other: int) -> float:
    return stage_cost(Resize("", "", values=token * other, token_in=token, token_out=other)).lut


def _ladder(low: int, high: int, step: float) -> tuple[int, ...]:
    times, time = [], float(low)
    while time < high:
        times.append(int(time))
        time = max(time + 1, time * step)
    return (*times, max(low, high))


def _refusal(search: _Search, time: int, fps: float | None, best: Planned | None) -> DoesNotFit:
    """What to say where no plan holds the board's shares for a time: what limits, where, and the best that can be."""
    board, name = search.board, search.graph.name
    nearest = search.nearest(time)
    wish = f"{name} at {fps:g} frames a second" if fps else name
    lines = [f"{wish} does not fit the {board.title} ({board.part.name}, {board.clock_mhz:g} MHz)."]
    if nearest is None:
        slowest = max(search.choices, key=lambda one: int(one.cycles.min()))
        least = int(slowest.cycles.min())
        lines.append(f"Layer '{slowest.op.name}' takes {least:,} cycles a frame at its widest folding, and {time:,} are allowed.")
        nearest = search.nearest(search.times[0])
    else:
        lines += limits(nearest.estimates, board, time)
    if best is not None:
        found = best.estimates
        lines.append(f"The best that fits: {found.fps:.1f} frames a second (estimated; slowest layer '{found.slowest_layer}').")
    elif fps is not None or nearest is not None:
        bound = search.bound(time)
        proof = (
            f": whatever the foldings, one of LUTs, DSPs, block RAM, DDR and memory masters is used to {bound:.0%} at least"
            if bound > 1
            else " was found"
        )
        lines.append(f"No plan that fits{proof}. Take a board with more, or a smaller network.")
    assert nearest is not None
    return DoesNotFit(" ".join(lines), nearest, best)
