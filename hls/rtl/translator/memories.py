"""What a stage keeps in arrays: every address as a sum of values, and from all addresses of an array the words of its memory.

A word is what lies between two steps of the addresses: of an array that is read in groups of eight, a word has eight lanes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

from edgekit.hls.rtl.translator.llvm import Function, Instruction, Operand, Refused, operand, parts_of, size, split


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
    at: Sum = Sum()
    bank: Sum = Sum()


@dataclass(frozen=True)
class Outside:
    """An array that is not the function's own: `elements` of `element_bytes` each, all of them numbers in `bounds`. `content`: what they
    are, if they are constants; an array of which this is not known lies in memory, behind an AXI master."""

    element_bytes: int
    elements: int
    bounds: tuple[int, int]
    content: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Memory:
    """`lanes`: the bytes of a word where its parts begin. `banks`: memories of that shape."""

    stride: int
    words: int
    lanes: tuple[int, ...]
    banks: int
    outside: Outside | None

    @property
    def behind_master(self) -> bool:
        return self.outside is not None and self.outside.content is None

    def lane(self, pointer: Pointer) -> int:
        return self.lanes.index(pointer.at.constant % self.stride)

    def word(self, pointer: Pointer) -> Sum:
        """The address of the word."""
        at = pointer.at
        return Sum(tuple((name, factor // self.stride) for name, factor in at.factors), at.constant // self.stride)

    def words_of(self, width: int) -> tuple[int, ...] | None:
        """A ROM's words, with lanes of so many bits side by side; beyond its end zeros."""
        if self.outside is None or self.outside.content is None:
            return None
        content, mask = dict(enumerate(self.outside.content)), (1 << width) - 1
        places = [[(word * self.stride + lane) // self.outside.element_bytes for lane in self.lanes] for word in range(self.words)]
        return tuple(sum((content.get(one, 0) & mask) << (width * lane) for lane, one in enumerate(word)) for word in places)


@dataclass
class Pointers:
    """The addresses of a function. `arrays`: those that it has itself, with their types."""

    function: Function
    structs: Mapping[str, str]

    def __post_init__(self) -> None:
        self.definitions = {one.name: one for one in self.function.instructions if one.name}
        self.arrays = {one.name: one.about for one in self.definitions.values() if one.op == "alloca"}
        self.known = {name: Pointer(name) for name in self.arrays}

    def of(self, pointer: Operand) -> Pointer:
        """Raises Refused: it is no address of one array."""
        if isinstance(pointer, str) and pointer not in self.known:
            found = self.definitions.get(pointer)
            if pointer.startswith("@"):
                self.known[pointer] = Pointer(pointer)
            elif pointer.startswith("getelementptr"):
                self.known[pointer] = self._element(pointer)
            elif found is not None and found.op == "getelementptr":
                self.known[pointer] = self._element(found.about)
        if isinstance(pointer, int) or pointer not in self.known:
            raise Refused(f"the translator knows no array at the address '{pointer}', which {self.function.name} uses")
        return self.known[pointer]

    def accessed(self, one: Instruction) -> Pointer:
        """By a load or a store."""
        return self.of(one.operands[-1])

    def sum_of(self, value: Operand) -> Sum:
        if isinstance(value, int):
            return Sum(constant=value)
        one = self.definitions.get(value)
        if one is not None:
            last = one.operands[-1] if one.operands else None
            if one.op in ("add", "sub"):
                left, right = (self.sum_of(value) for value in one.operands)
                return left.plus(right, -1 if one.op == "sub" else 1)
            if one.op in ("mul", "shl") and isinstance(last, int):
                return Sum().plus(self.sum_of(one.operands[0]), last if one.op == "mul" else 1 << last)
            if one.op == "or" and isinstance(last, int) and last >= 0:
                left, step = self.sum_of(one.operands[0]), 1 << last.bit_length()
                if left.constant % step == 0 and all(factor % step == 0 for _, factor in left.factors):
                    return left.plus(Sum(constant=last))
        return Sum(((value, 1),))

    def _element(self, text: str) -> Pointer:
        parts = split(re.sub(r"^(?:getelementptr )?(?:inbounds )?\(?(.*?)\)?$", r"\1", text))
        if len(parts) < 3 or not parts[1].startswith("ptr "):
            raise Refused(f"the translator does not know the address '{text}'")
        kind, base = parts[0], self.of(operand(parts[1].removeprefix("ptr ")))
        at, bank, whole = base.at, base.bank, self.arrays.get(base.array, "")
        bank_kind = parts_of(whole, self.structs)[1] if banks_of(whole) else ""
        for place, text in enumerate(parts[2:]):
            index = self.sum_of(operand(text.split(None, 1)[1]))
            if place > 0:
                _, kind = parts_of(kind, self.structs)
            if kind == bank_kind:
                bank = bank.plus(index)
            else:
                at = at.plus(index, size(kind, self.structs))
        return Pointer(base.array, at, bank)


def banks_of(kind: str) -> int:
    """An array of arrays is one memory for each of these; 0 where the type is none."""
    found = re.match(r"\[(\d+) x \[\d+ x .*\]\]$", kind)
    return int(found[1]) if found else 0


def memories_of(pointers: Pointers, outside: Mapping[str, Outside]) -> dict[str, Memory]:
    """Array -> its memory. `outside`: the arrays that are not the function's own, by name.

    Raises:
        Refused: parts of words overlap, or an array is written that is constant.
    """
    accesses: dict[str, list[tuple[Instruction, Pointer]]] = {}
    for one in pointers.function.instructions:
        if one.op in ("load", "store"):
            pointer = pointers.accessed(one)
            accesses.setdefault(pointer.array, []).append((one, pointer))
    return {array: _memory(array, found, pointers, outside.get(array.removeprefix("@"))) for array, found in accesses.items()}


def _memory(array: str, accesses: list[tuple[Instruction, Pointer]], pointers: Pointers, outside: Outside | None) -> Memory:
    where = f"array {array} of {pointers.function.name}"
    kind, is_stored = pointers.arrays.get(array), any(one.op == "store" for one, _ in accesses)
    banks = max(1, banks_of(kind)) if kind else 1
    if kind:
        total = size(kind, pointers.structs) // banks
    elif outside is None or (is_stored and outside.content is not None):
        raise Refused(f"the translator does not know what is in {where}")
    else:
        total = outside.element_bytes * outside.elements
    stride = gcd(*(factor for _, pointer in accesses for _, factor in pointer.at.factors)) or total
    if outside is not None and outside.content is None:
        stride = outside.element_bytes  # a word of the master's port
    widths: dict[int, set[int]] = {}
    for one, pointer in accesses:
        widths.setdefault(pointer.at.constant % stride, set()).add((one.width + 7) // 8)
    lanes = sorted(widths)
    ends = [lane + max(widths[lane]) for lane in lanes]
    if any(len(found) > 1 for found in widths.values()) or any(end > lane for end, lane in zip(ends, [*lanes[1:], stride], strict=True)):
        raise Refused(f"the translator does not know how the parts of {where} lie in words of {stride} bytes")
    return Memory(stride, max(1, -(-total // stride)), tuple(lanes), banks, outside)
