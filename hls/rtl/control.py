"""The states of a stage: one for each innermost loop. Whatever lies between one iteration and the next one is done in one cycle.

A frame's end leads to its beginning, so that frames follow each other without a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.hls.rtl.llvm import Function


@dataclass(frozen=True)
class Control:
    """`states`: the blocks that begin a cycle; the entry is first, and only left but for a function without loops.

    `paths`: state -> the blocks that may run in its cycle, in an order in which they can. `above`: state -> block -> the blocks of
    that cycle that may have run before it, with itself. `targets`, `sources`: of blocks.
    """

    states: tuple[str, ...]
    heads: frozenset[str]
    paths: Mapping[str, tuple[str, ...]]
    above: Mapping[str, Mapping[str, frozenset[str]]]
    targets: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, tuple[str, ...]]

    def certain(self, state: str, first: str, then: str) -> bool:
        """Whether each way from the state's beginning to block `then` goes through `first`."""
        if first in (state, then):
            return True
        known = self.above[state]
        seen, work = {state}, [state]
        while work:
            block = work.pop()
            if block == then:
                return False
            for target in self.targets[block]:
                if target not in self.heads and target != first and target not in seen and target in known:
                    seen.add(target)
                    work.append(target)
        return True

    def meeting(self, block: str) -> tuple[str, frozenset[str]]:
        """Where the ways from a branch meet again, in the same cycle or at the beginning of the next one, and the blocks between; no
        block, "", where they do not."""
        behind: dict[str, frozenset[str]] = {}

        def certain(one: str) -> frozenset[str]:
            """The blocks that every way from this one goes through."""
            if one not in behind:
                ends = one in self.heads or self.targets[one] == self.states[:1]
                behind[one] = frozenset({one}) if ends else frozenset({one}) | self._shared([certain(way) for way in self.targets[one]])
            return behind[one]

        common = self._shared([certain(way) for way in self.targets[block]])
        if not common:
            return "", frozenset()
        nearest = max(common, key=lambda one: len(behind[one]))
        between: set[str] = set()
        work = list(self.targets[block])
        while work:
            one = work.pop()
            if one != nearest and one not in between:
                between.add(one)
                work += self.targets[one]
        return nearest, frozenset(between)

    @staticmethod
    def _shared(sets: list[frozenset[str]]) -> frozenset[str]:
        return sets[0].intersection(*sets[1:])


def control_of(function: Function) -> Control:
    entry = function.entry
    targets = {name: block[-1].labels or (entry,) for name, block in function.blocks.items()}
    sources = {name: tuple(one for one in targets if name in targets[one]) for name in targets}
    heads = _heads(targets, sources, entry)
    states = (entry, *(name for name in targets if name in heads and name != entry))
    paths = {state: _path(state, targets, heads) for state in states}
    above: dict[str, dict[str, frozenset[str]]] = {}
    for state, path in paths.items():
        found: dict[str, frozenset[str]] = {}
        for block in path:
            before = () if block == state else sources[block]
            found[block] = frozenset({block}).union(*(found[one] for one in before if one in found))
        above[state] = found
    return Control(states, heads, paths, above, targets, sources)


def _heads(targets: Mapping[str, tuple[str, ...]], sources: Mapping[str, tuple[str, ...]], entry: str) -> frozenset[str]:
    """The heads of innermost loops, and of any other ring of blocks that has none of these in it."""
    backward = [(last, head) for last, head in _backward(targets, (entry,), frozenset()) if head != entry]
    loops: dict[str, set[str]] = {}
    for last, head in backward:
        body = loops.setdefault(head, {head})
        work = [last]
        while work:
            block = work.pop()
            if block not in body:
                body.add(block)
                work += sources[block]
    heads = {head for head, body in loops.items() if not any(other != head and other in body for other in loops)}
    while rest := _backward(targets, (entry, *sorted(heads)), frozenset(heads)):
        heads.add(rest[0][1])
    return frozenset(heads)


def _backward(targets: Mapping[str, tuple[str, ...]], starts: tuple[str, ...], barred: frozenset[str]) -> list[tuple[str, str]]:
    """The edges that a search in depth finds to lead back. No edge into a barred block is followed."""
    found: list[tuple[str, str]] = []
    ended: set[str] = set()
    for start in starts:
        if start in ended:
            continue
        stack, on_way = [(start, iter(targets[start]))], {start}
        while stack:
            block, rest = stack[-1]
            target = next((one for one in rest if one not in barred and one not in ended), None)
            if target is None:
                stack.pop()
                on_way.discard(block)
                ended.add(block)
            elif target in on_way:
                found.append((block, target))
            else:
                on_way.add(target)
                stack.append((target, iter(targets[target])))
    return found


def _path(state: str, targets: Mapping[str, tuple[str, ...]], heads: frozenset[str]) -> tuple[str, ...]:
    order: list[str] = []
    seen, stack = {state}, [(state, iter(targets[state]))]
    while stack:
        block, rest = stack[-1]
        target = next((one for one in rest if one not in heads and one not in seen), None)
        if target is None:
            stack.pop()
            order.append(block)
        else:
            seen.add(target)
            stack.append((target, iter(targets[target])))
    return tuple(reversed(order))
