"""Where in the map memory each store lies.

Stores that are in use at the same time do not overlap. A bank is read once and written once a beat, so the two arrays should find what they
read, and what they write, in different banks: a store goes where the fewest others that are in use have another reader or another writer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from edgekit.hls.engine.lower import Lowered
from edgekit.hls.engine.order import Use
from edgekit.hls.engine.size import EngineSize

MARGIN = 8
"""Tiles by which a store's time is taken longer, on both sides, where there is room: the schedule runs ahead by some."""
APART = 4
"""How much it weighs that two maps whose values are added share a bank, against an array that finds another one in its bank."""


@dataclass(frozen=True)
class Placed:
    """A store's name, its first word, its words, its time, and the arrays that write and read it: True for the matrix array."""

    name: str
    base: int
    words: int
    first: int
    last: int
    writers: frozenset[bool]
    readers: frozenset[bool]


def place(lowered: Lowered, uses: Mapping[str, Use], size: EngineSize) -> tuple[dict[str, int], int]:
    """The first word of each store; and words that are missing, 0 if all were placed (else the dictionary is of no use)."""
    if (missing := peak(lowered, uses) - size.map_words) > 0:
        return {}, missing
    for margin in (MARGIN, 2, 0):
        found, missing = _place(lowered, uses, size, margin)
        if not missing:
            break
    return found, missing


def peak(lowered: Lowered, uses: Mapping[str, Use]) -> int:
    """The most words that are in use at a time."""
    change = np.zeros(2 + max(use.last for use in uses.values()), np.int64)
    for name, use in uses.items():
        words = use.ring * lowered.stores[name].row_words
        change[use.first] += words
        change[use.last + 1] -= words
    return int(np.cumsum(change).max())


def _place(lowered: Lowered, uses: Mapping[str, Use], size: EngineSize, margin: int) -> tuple[dict[str, int], int]:
    writers = {task.output: task.matrix for task in lowered.tasks}
    readers: dict[str, set[bool]] = {name: set() for name in uses}
    for task in lowered.tasks:
        for read in task.reads:
            readers[read.store].add(task.matrix)
    together = {frozenset(read.store for read in task.reads) for task in lowered.tasks if len(task.reads) == 2 and not task.matrix}
    words = {name: use.ring * lowered.stores[name].row_words for name, use in uses.items()}
    placed: dict[str, Placed] = {}
    for name in sorted(uses, key=lambda one: (-words[one] * (uses[one].last - uses[one].first + 1), uses[one].first)):
        first, last = uses[name].first - margin, uses[name].last + margin
        rivals = [one for one in placed.values() if one.first <= last and first <= one.last]
        wanted = Placed(name, 0, words[name], first, last, frozenset({writers[name]}), frozenset(readers[name]))
        partners = {other for pair in together if name in pair for other in pair}
        base = _best(wanted, rivals, partners, size)
        if base is None:
            return {}, words[name]
        placed[name] = replace(wanted, base=base)
    return {name: one.base for name, one in placed.items()}, 0


def _best(wanted: Placed, rivals: Sequence[Placed], partners: AbstractSet[str], size: EngineSize) -> int | None:
    """The place with the least in the way, the lowest of several."""
    edges = {bank * size.bank_words for bank in range(size.banks)} | {one.base + one.words for one in rivals}
    edges |= {one.base - wanted.words for one in rivals} | {(bank + 1) * size.bank_words - wanted.words for bank in range(size.banks)}
    best: tuple[int, int] | None = None
    for base in sorted(edges):
        end = base + wanted.words
        if base < 0 or end > size.map_words or any(base < one.base + one.words and one.base < end for one in rivals):
            continue
        first, last = base // size.bank_words, (end - 1) // size.bank_words
        against = sum(
            len(one.writers ^ wanted.writers) + len(one.readers ^ wanted.readers) + APART * (one.name in partners)
            for one in rivals
            if one.base // size.bank_words <= last and first <= (one.base + one.words - 1) // size.bank_words
        )
        if best is None or against < best[0]:
            best = (against, base)
    return best[1] if best else None
