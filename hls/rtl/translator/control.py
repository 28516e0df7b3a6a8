"""The states of a stage: one for each innermost loop. Whatever lies between one iteration and the next one is done in one cycle.

A frame's end leads to its beginning, so that frames follow each other without a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from edgekit.hls.rtl.translator.llvm import Function


@dataclass(frozen=True)
class Control:
    """`states`: the blocks that begin a cycle, `heads` and the entry, which is first, and only left but for a function without loops.

    `paths`: state -> the blocks that may run in its cycle, in an order in which they can. `above`: state -> block -> the blocks of
    that cycle that may have run before it, with itself; `certain`: those of them that have. `targets`: of blocks.
    """

    states: tuple[str, ...]
    heads: frozenset[str]
    paths: Mapping[str, tuple[str, ...]]
    above: Mapping[str, Mapping[str, frozenset[str]]]
    certain: Mapping[str, Mapping[str, frozenset[str]]]
    targets: Mapping[str, tuple[str, ...]]

    def meeting(self, block: str) -> tuple[str, frozenset[str]]:
        """Where the ways from a branch meet again, in the same cycle or at the beginning of the next one, and the blocks between; no
        block, "", where they do not."""
        found: dict[str, frozenset[str]] = {}
        for one in self.targets:
            between = _reached(self.targets[block], self.targets, frozenset({one, *self.states}))
            if all(way == one or way in between for inner in (block, *between) for way in self.targets[inner]):
                found[one] = between
        return min(found.items(), key=lambda item: len(item[1]), default=("", frozenset()))


def _shared(sets: list[frozenset[str]]) -> frozenset[str]:
    return sets[0].intersection(*sets[1:]) if sets else frozenset()


def control_of(function: Function) -> Control:
    entry = next(iter(function.blocks))
    targets = {name: block[-1].labels or (entry,) for name, block in function.blocks.items()}
    sources = {name: tuple(one for one in targets if name in targets[one]) for name in targets}
    heads = _heads(targets, sources, entry)
    states = (entry, *(name for name in targets if name in heads and name != entry))
    paths, above, certain = {}, {}, {}
    for state in states:
        blocks = {state, *_reached(targets[state], targets, heads)}
        inner = {one: [] if one == state else [before for before in sources[one] if before in blocks] for one in targets if one in blocks}
        paths[state] = tuple(TopologicalSorter(inner).static_order())
        before: dict[str, frozenset[str]] = {}
        always: dict[str, frozenset[str]] = {}
        for one in paths[state]:
            before[one] = frozenset({one}).union(*(before[way] for way in inner[one]))
            always[one] = frozenset({one}) | _shared([always[way] for way in inner[one]])
        above[state], certain[state] = before, always
    return Control(states, heads, paths, above, certain, targets)


def _reached(starts: tuple[str, ...], targets: Mapping[str, tuple[str, ...]], barred: frozenset[str]) -> frozenset[str]:
    """The blocks that can be reached from these, with them, but for barred ones and what is behind those alone."""
    found: set[str] = set()
    work = list(starts)
    while work:
        one = work.pop()
        if one not in found and one not in barred:
            found.add(one)
            work += targets[one]
    return frozenset(found)


def _heads(targets: Mapping[str, tuple[str, ...]], sources: Mapping[str, tuple[str, ...]], entry: str) -> frozenset[str]:
    """The heads of innermost loops, and of any other ring of blocks that has none of these in it: of such a ring the first block.

    A loop is what an edge closes that leads to a block which every way to its beginning goes through: the head.
    """
    loops: dict[str, set[str]] = {}
    for last, ways in targets.items():
        for head in ways:
            if head != entry and last not in _reached((entry,), targets, frozenset({head})):
                loops.setdefault(head, {head}).update(_reached((last,), sources, frozenset({head})))
    heads = {head for head, body in loops.items() if not any(other != head and other in body for other in loops)}
    order = list(targets)
    while True:
        try:
            TopologicalSorter({one: [way for way in targets[one] if way not in heads] for one in targets}).prepare()
        except CycleError as ring:
            heads.add(min(ring.args[1], key=order.index))
        else:
            return frozenset(heads)
