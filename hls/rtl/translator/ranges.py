"""Between which numbers every value stays, as signed numbers: so many bits it has in the circuit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from edgekit.hls.rtl.circuit import StreamShape
from edgekit.hls.rtl.translator.llvm import SATURATING, Function, Instruction, Operand, Refused
from edgekit.hls.rtl.translator.memories import Memory, Pointers
from edgekit.hls.rtl.translator.walk import Walk

Range: TypeAlias = tuple[int, int]
PATIENCE = 12
"""Rounds after which what still grows is taken to fill its type."""


@dataclass(frozen=True)
class Ranges:
    """`values`: by name; by an array's name, of all that lies in it."""

    values: Mapping[str, Range]

    def of(self, value: Operand) -> Range:
        return (value, value) if isinstance(value, int) else self.values.get(value, (0, 0))

    def bits(self, one: Instruction) -> int:
        """Of the wire that has the value, its sign among them; of a truth value 1."""
        return 1 if one.width == 1 else max(2, bits(self.of(one.name)))


def bits(found: Range) -> int:
    """Of a signed number that holds both ends."""
    return max((end if end >= 0 else ~end).bit_length() for end in found) + 1


def full(width: int) -> Range:
    return (0, 1) if width == 1 else (-(1 << (width - 1)), (1 << (width - 1)) - 1)


def union(*found: Range | None) -> Range | None:
    """None: of what is not known yet."""
    known = [one for one in found if one is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def ranges_of(
    function: Function, pointers: Pointers, memories: Mapping[str, Memory], walked: Walk, shapes: Mapping[int, StreamShape]
) -> Ranges:
    """`shapes`: of the streams, by number."""
    values: dict[str, Range] = {array: memory.outside.bounds for array, memory in memories.items() if memory.outside}

    def of_one(one: Instruction) -> Range | None:
        if one.name in walked.ranges:
            return walked.ranges[one.name]
        if one.op == "load":
            found = values.get(pointers.accessed(one).array)
            return found if found is None else _within(found, one.width)
        if one.op == "edgekit_lane":
            half = 1 << (shapes[one.stream].width - 1)
            return (-half, half - 1) if shapes[one.stream].is_signed else (0, 2 * half - 1)
        parts = [(value, value) if isinstance(value, int) else values.get(value) for value in one.operands]
        if one.op in ("phi", "select"):
            return union(*(parts[1:] if one.op == "select" else parts))
        if one.op == "store":
            return union((0, 0), parts[0]) if parts[0] else None
        known = [part for part in parts if part is not None]
        return _within(_unbounded(one, known), one.width) if len(known) == len(parts) else None

    for turn in range(10 * PATIENCE):
        unknown, changed = False, False
        for one in function.instructions:
            name = pointers.accessed(one).array if one.op == "store" else one.name
            if not name or one.op in ("alloca", "getelementptr"):
                continue
            grown = union(values.get(name), found := of_one(one))
            unknown |= one.op == "store" and found is None
            if grown is not None and grown != values.get(name):
                patient = turn <= PATIENCE or one.op not in ("phi", "store")
                values[name] = grown if patient else full(one.width if one.op == "phi" else bits(grown))
                changed = True
        if not changed:
            if unknown:
                raise Refused(f"the translator finds no range of what {function.name} keeps in an array")
            return Ranges(values)
    raise Refused(f"the ranges of {function.name} do not come to rest")


def _within(found: Range, width: int) -> Range:
    """Where it does not fit, it wraps, and may be all that the width holds."""
    low, high = full(width)
    return found if low <= found[0] and found[1] <= high else (low, high)


MONOTONE: Mapping[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "sadd": operator.add,
    "ssub": operator.sub,
    "shl": operator.lshift,
    "ashr": operator.rshift,
    "lshr": operator.rshift,
    "smax": max,
    "smin": min,
    "umax": max,
    "umin": min,
}
"""What is least and most where each operand is least or most: of unsigned operands where these are not negative."""


def _unbounded(one: Instruction, parts: list[Range]) -> Range:
    """Of what a value is made of, before it is cut to its type's width; all that the type holds where nothing better is known."""
    op, whole, first, second = one.op, full(one.width), parts[0], parts[-1]
    positive = first[0] >= 0 and second[0] >= 0
    if op in ("shl", "ashr", "lshr") and not (second[0] >= 0 and second[1] <= one.width):
        return whole if op == "shl" or (op == "lshr" and first[0] < 0) else (min(first[0], 0), max(first[1], 0))
    if op == "lshr" and first[0] < 0:
        return (0, (1 << (one.width - second[0])) - 1) if second[0] > 0 else whole
    if op in MONOTONE and (positive or op not in ("umax", "umin")):
        corners = [MONOTONE[op](left, right) for left in first for right in second]
        low, high = (min(corners), max(corners))
        return (max(low, whole[0]), min(high, whole[1])) if op in SATURATING else (low, high)
    if op == "and":
        tops = [part[1] for part in (first, second) if part[0] >= 0]
        return (0, min(tops)) if tops else full(max(bits(first), bits(second)))
    if op in ("or", "xor"):
        low, high = full(max(2, bits(first), bits(second)))
        return (0, high) if positive else (low, high)
    if op == "zext":
        return first if first[0] >= 0 else (0, (1 << one.wide) - 1)
    if op == "sext":
        return (-first[1], -first[0]) if one.wide == 1 else first
    return first if op in ("trunc", "freeze") else (0, 1) if op == "icmp" else whole
