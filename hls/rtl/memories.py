"""What a stage keeps in arrays: every address as a sum of values, and from all addresses of an array the words of its memory.

A word is what lies between two steps of the addresses: of an array that is read in groups of eight, a word has eight lanes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd

from edgekit.hls.rtl.llvm import Function, Instruction, Module, Operand, Refused, operand, part, size, split

DEPTH_MAX = 16


@dataclass(frozen=True)
class Sum:
    """constant + sum of factor * value."""

    factors: tuple[tuple[str, int], ...] = ()
    constant: int = 0

    def plus(self, other: Sum, times: int = 1) -> Sum:
        factors = dict(self.factors)
        for name, factor in other.factors:
            factors[name] = factors.get(name, 0) + times * factor
        return Sum(tuple((name, factor) for name, factor in factors.items() if factor), self.constant + times * other.constant)


@dataclass(frozen=True)
class Pointer:
    """`at`: bytes from the array's beginning, or from that of its bank, where the array is one of arrays."""

    array: str
    at: Sum
    bank: Sum | None = None


@dataclass(frozen=True)
class Memory:
    """`lanes`: the bytes of a word where its parts begin. `banks`: memories of that shape. `content`: of a ROM, an element each."""

    array: str
    stride: int
    words: int
    lanes: tuple[int, ...]
    banks: int
    content: tuple[int, ...] | None
    element_bytes: int

    def lane(self, pointer: Pointer) -> int:
        return self.lanes.index(pointer.at.constant % self.stride)

    def word(self, pointer: Pointer) -> Sum:
        """The address of the word."""
        at = pointer.at
        return Sum(tuple((name, factor // self.stride) for name, factor in at.factors), at.constant // self.stride)

    def values(self, word: int) -> tuple[int, ...]:
        """What the lanes of a ROM's word hold; beyond its end zeros."""
        assert self.content is not None
        places = [(word * self.stride + lane) // self.element_bytes for lane in self.lanes]
        return tuple(self.content[place] if place < len(self.content) else 0 for place in places)


@dataclass
class Pointers:
    """The addresses of a function. `arrays`: those that it has itself, with their types."""

    function: Function
    structs: Mapping[str, str]
    arrays: dict[str, str] = field(default_factory=dict)
    known: dict[str, Pointer] = field(default_factory=dict)
    definitions: dict[str, Instruction] = field(default_factory=dict)

    def of(self, pointer: Operand) -> Pointer:
        """Raises Refused: it is no address of one array."""
        if isinstance(pointer, int):
            raise Refused(f"the translator knows no address {pointer}, which {self.function.name} uses")
        if pointer.startswith("@"):
            return Pointer(pointer, Sum())
        if pointer.startswith("getelementptr"):
            return self._element(pointer)
        if pointer not in self.known:
            found = self.definitions.get(pointer)
            if found is None or found.op != "getelementptr":
                raise Refused(f"the translator knows no pointer that is a {found.op if found else 'value'} ({self.function.name})")
            self.known[pointer] = self._element(found.about)
        return self.known[pointer]

    def sum_of(self, value: Operand, depth: int = 0) -> Sum:
        if isinstance(value, int):
            return Sum(constant=value)
        one = self.definitions.get(value)
        if one is not None and depth < DEPTH_MAX:
            last = one.operands[-1] if one.operands else None
            if one.op in ("add", "sub"):
                left, right = (self.sum_of(value, depth + 1) for value in one.operands)
                return left.plus(right, -1 if one.op == "sub" else 1)
            if one.op in ("mul", "shl") and isinstance(last, int):
                return Sum().plus(self.sum_of(one.operands[0], depth + 1), last if one.op == "mul" else 1 << last)
            if one.op == "or" and isinstance(last, int) and last >= 0:
                left, step = self.sum_of(one.operands[0], depth + 1), 1 << last.bit_length()
                if left.constant % step == 0 and all(factor % step == 0 for _, factor in left.factors):
                    return left.plus(Sum(constant=last))
        return Sum(((value, 1),))

    def _element(self, text: str) -> Pointer:
        found = re.match(r"getelementptr (?:inbounds )?\(?(.*?)\)?$", text)
        parts = split(found[1]) if found else []
        if len(parts) < 3 or not parts[1].startswith("ptr "):
            raise Refused(f"the translator does not know the address '{text}'")
        kind, base = parts[0], self.of(operand(parts[1].removeprefix("ptr ")))
        indices = [operand(one.split(None, 1)[1]) for one in parts[2:]]
        at, bank = base.at.plus(self.sum_of(indices[0]), size(kind, self.structs)), base.bank
        for place, index in enumerate(indices[1:]):
            inner = part(kind, self.structs)
            if place == 0 and self.arrays.get(base.array) == kind and banks_of(kind):
                bank = self.sum_of(index)
            else:
                at = at.plus(self.sum_of(index), size(inner, self.structs))
            kind = inner
        return Pointer(base.array, at, bank)


def banks_of(kind: str) -> int:
    """An array of arrays is one memory for each of these; 0 where the type is none."""
    found = re.match(r"\[(\d+) x \[\d+ x .*\]\]$", kind)
    return int(found[1]) if found else 0


def pointers_of(function: Function, module: Module) -> Pointers:
    found = Pointers(function, module.structs)
    for one in function.instructions:
        if one.name:
            found.definitions[one.name] = one
        if one.op == "alloca":
            found.arrays[one.name] = one.about
            bank = Sum() if banks_of(one.about) else None
            found.known[one.name] = Pointer(one.name, Sum(), bank)
    return found


def address(one: Instruction) -> Operand:
    """Of a load or a store."""
    return one.operands[-1]


def memories_of(pointers: Pointers, contents: Mapping[str, tuple[int, tuple[int, ...]]]) -> dict[str, Memory]:
    """Array -> its memory. `contents`: constant array -> bytes of an element, its elements.

    Raises:
        Refused: parts of words overlap, or an array is written that is constant.
    """
    accesses: dict[str, list[tuple[Instruction, Pointer]]] = {}
    for one in pointers.function.instructions:
        if one.op in ("load", "store"):
            pointer = pointers.of(address(one))
            accesses.setdefault(pointer.array, []).append((one, pointer))
    return {array: _memory(array, found, pointers, contents) for array, found in accesses.items()}


def _memory(
    array: str, accesses: list[tuple[Instruction, Pointer]], pointers: Pointers, contents: Mapping[str, tuple[int, tuple[int, ...]]]
) -> Memory:
    where = f"array {array} of {pointers.function.name}"
    if array in pointers.arrays:
        kind, content, element_bytes = pointers.arrays[array], None, 0
        banks = banks_of(kind)
        total = size(part(kind, pointers.structs) if banks else kind, pointers.structs)
    else:
        if array.removeprefix("@") not in contents or any(one.op == "store" for one, _ in accesses):
            raise Refused(f"the translator does not know what is in {where}")
        element_bytes, content = contents[array.removeprefix("@")]
        banks, total = 0, element_bytes * len(content)
    stride = gcd(*(factor for _, pointer in accesses for _, factor in pointer.at.factors)) or total
    widths: dict[int, set[int]] = {}
    for one, pointer in accesses:
        widths.setdefault(pointer.at.constant % stride, set()).add((one.width + 7) // 8)
    lanes = sorted(widths)
    ends = [lane + max(widths[lane]) for lane in lanes]
    if any(len(found) > 1 for found in widths.values()) or any(end > lane for end, lane in zip(ends, [*lanes[1:], stride], strict=True)):
        raise Refused(f"the translator does not know how the parts of {where} lie in words of {stride} bytes")
    return Memory(array, stride, max(1, -(-total // stride)), tuple(lanes), max(1, banks), content, element_bytes)
