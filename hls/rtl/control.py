"""The states of a stage: one for each innermost loop. Whatever lies between one iteration and the next one is done in one cycle.

A frame's end leads to its beginning, so that frames follow each other without a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from edgekit.hls.rtl.llvm import Function


@dataclass(frozen=True)
class Control:
    """`states`: the blocks that begin a cycle; the entry is first, and only left but for a function without loops.

    `paths`: state -> the blocks that may run in its cycle, in an order in which they can. `above`: state -> block -> the blocks of
    that cycle that may have run before it, with itself; `certain`: those of them that have. `targets`, `sources`: of blocks.
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
        behind: dict[str, frozenset[str]] = {}

        def certain(one: str) -> frozenset[str]:
            """The blocks that every way from this one goes through."""
            if one not in behind:
                ends = one in self.heads or self.targets[one] == self.states[:1]
                behind[one] = frozenset({one}) | (frozenset() if ends else _shared([certain(way) for way in self.targets[one]]))
            return behind[one]

        common = _shared([certain(way) for way in self.targets[block]])
        if not common:
            return "", frozenset()
        nearest = max(common, key=lambda one: len(behind[one]))
        return nearest, frozenset(_reached(self.targets[block], self.targets, frozenset({nearest})))


def _shared(sets: list[frozenset[str]]) -> frozenset[str]:
    return sets[0].intersection(*sets[1:]) if sets else frozenset()


def control_of(function: Function) -> Control:
    entry = function.entry
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


def _reached(starts: tuple[str, ...], targets: Mapping[str, tuple[str, ...]], barred: frozenset[str]) -> set[str]:
    """The blocks that can be reached from these, with them, but for barred ones and what is behind those alone."""
    found: set[str] = set()
    work = list(starts)
    while work:
        one = work.pop()
        if one not in found and one not in barred:
            found.add(one)
            work += targets[one]
    return found


def _heads(targets: Mapping[str, tuple[str, ...]], sources: Mapping[str, tuple[str, ...]], entry: str) -> frozenset[str]:
    """The heads of innermost loops, and of any other ring of blocks that has none of these in it: of such a ring the first block.

    A loop is what an edge closes that leads to a block which every way to its beginning goes through: the head.
    """
    every = frozenset(targets)
    through = {name: frozenset({entry}) if name == entry else every for name in targets}
    while True:
        now = {
            name: through[name] if name == entry else frozenset({name}) | _shared([through[one] for one in sources[name]])
            for name in targets
        }
        if now == through:
            break
        through = now
    loops: dict[str, set[str]] = {}
    for last, ways in targets.items():
        for head in ways:
            if head != entry and head in through[last]:
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
