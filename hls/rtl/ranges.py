"""Between which numbers every value stays, as signed numbers: so many bits it has in the circuit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgekit.hls.rtl.llvm import Function, Instruction, Operand, Refused
from edgekit.hls.rtl.memories import Memory, Pointers, address
from edgekit.hls.rtl.walk import Walk

Range: TypeAlias = tuple[int, int]
PATIENCE = 12
"""Rounds after which what still grows is taken to fill its type."""


@dataclass(frozen=True)
class Ranges:
    """`values`: by name; `arrays`: of what lies in each."""

    values: Mapping[str, Range]
    arrays: Mapping[str, Range]

    def of(self, value: Operand) -> Range:
        return (value, value) if isinstance(value, int) else self.values.get(value, (0, 0))

    def bits(self, one: Instruction) -> int:
        """Of the wire that has the value, its sign among them; of a truth value 1."""
        return 1 if one.width == 1 else max(2, bits(self.of(one.name)))


def bits(found: Range) -> int:
    """Of a signed number that holds both ends."""
    low, high = found
    return max(high.bit_length() if high >= 0 else (~high).bit_length(), low.bit_length() if low >= 0 else (~low).bit_length()) + 1


def full(width: int) -> Range:
    return (0, 1) if width == 1 else (-(1 << (width - 1)), (1 << (width - 1)) - 1)


def union(one: Range | None, other: Range | None) -> Range | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one[0], other[0]), max(one[1], other[1])


def ranges_of(
    function: Function, pointers: Pointers, memories: Mapping[str, Memory], walked: Walk, lanes: Callable[[int], tuple[int, bool]]
) -> Ranges:
    """`lanes`: stream -> bits of its values, and whether they are signed."""
    values: dict[str, Range] = {}
    arrays: dict[str, Range | None] = {}
    for array, memory in memories.items():
        arrays[array] = (min((0, *memory.content)), max((0, *memory.content))) if memory.content is not None else None

    def of(value: Operand) -> Range | None:
        return (value, value) if isinstance(value, int) else values.get(value)

    def of_one(one: Instruction) -> Range | None:
        if one.name in walked.ranges:
            return walked.ranges[one.name]
        if one.op == "load":
            found = arrays[pointers.of(address(one)).array]
            return found if found is None else _within(found, one.width)
        if one.op == "edgekit_lane":
            stream, _ = one.operands
            assert isinstance(stream, int)
            width, is_signed = lanes(stream)
            return full(width) if is_signed and width > 1 else (-1, 0) if is_signed else (0, (1 << width) - 1)
        parts = [of(value) for value in one.operands]
        if one.op in ("phi", "select"):
            parts = parts[1:] if one.op == "select" else parts
            joined: Range | None = None
            for part in parts:
                joined = union(joined, part)
            return joined
        known = [part for part in parts if part is not None]
        return _result(one, known) if len(known) == len(parts) else None

    for turn in range(10 * PATIENCE):
        changed = False
        for one in function.instructions:
            if one.op == "store":
                array = pointers.of(address(one)).array
                found = of(one.operands[0])
                grown = union(arrays[array], union((0, 0), found)) if found else arrays[array]
                if grown != arrays[array]:
                    arrays[array] = full(bits(grown)) if turn > PATIENCE and grown else grown
                    changed = True
            elif one.name and one.op not in ("alloca", "getelementptr"):
                grown = union(values.get(one.name), of_one(one))
                if grown is not None and grown != values.get(one.name):
                    values[one.name] = full(one.width) if turn > PATIENCE and one.op == "phi" else grown
                    changed = True
        if not changed:
            if any(one.op == "store" and of(one.operands[0]) is None for one in function.instructions):
                raise Refused(f"the translator finds no range of what {function.name} keeps in an array")
            return Ranges(values, {array: found or (0, 0) for array, found in arrays.items()})
    raise Refused(f"the ranges of {function.name} do not come to rest")


def _within(found: Range, width: int) -> Range:
    low, high = full(width)
    return found if low <= found[0] and found[1] <= high else (low, high)


def _corners(found: list[Range], of: Callable[[int, int], int]) -> Range:
    results = [of(left, right) for left in found[0] for right in found[1]]
    return min(results), max(results)


def _result(one: Instruction, parts: list[Range]) -> Range:
    """Of what a value is made of; all that its type holds where nothing better is known, or where it wraps."""
    return _within(_unbounded(one, parts), one.width)


def _unbounded(one: Instruction, parts: list[Range]) -> Range:
    op, whole = one.op, full(one.width)
    if op == "icmp":
        return 0, 1
    first, second = parts[0], parts[-1]
    positive = first[0] >= 0 and second[0] >= 0
    if op == "add":
        return first[0] + second[0], first[1] + second[1]
    if op == "sub":
        return first[0] - second[1], first[1] - second[0]
    if op in ("sadd", "ssub"):
        low, high = _unbounded(replace(one, op=op[1:]), parts)
        return max(low, whole[0]), min(high, whole[1])
    if op == "mul":
        return _corners(parts, lambda left, right: left * right)
    if op in ("shl", "ashr") and not (second[0] >= 0 and second[1] <= one.width):
        return whole if op == "shl" else (min(first[0], 0), max(first[1], 0))
    if op == "shl":
        return _corners(parts, lambda left, right: left << right)
    if op == "ashr":
        return _corners(parts, lambda left, right: left >> right)
    if op == "lshr":
        if first[0] >= 0:
            return _corners(parts, lambda left, right: left >> right) if second[0] >= 0 else (0, first[1])
        return (0, (1 << (one.width - second[0])) - 1) if second[0] > 0 else whole
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
    if op in ("trunc", "freeze"):
        return first
    if op in ("smax", "smin") or (op in ("umax", "umin") and positive):
        choose = max if op.endswith("max") else min
        return choose(first[0], second[0]), choose(first[1], second[1])
    return whole
