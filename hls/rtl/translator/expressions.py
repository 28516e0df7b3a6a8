"""One instruction as one expression of Verilog.

Every value is a signed wire of as many bits as its range needs, and a truth value an unsigned wire of one. So an expression never mixes
signed and unsigned operands, of which Verilog would make unsigned ones; what is unsigned passes through a wire of its type's width.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekit.hls.rtl.translator.llvm import CHOICES, COMPARISONS, SATURATING, SIGNS, Instruction, Refused
from edgekit.hls.rtl.translator.ranges import Range, bits, full

TRUTHS = {**SIGNS, "add": "^", "sub": "^", "mul": "&"}


def literal(value: int, width: int) -> str:
    """A signed number with as few bits as it needs, two at least; of width 1 a truth value."""
    if width == 1:
        return f"1'b{value & 1}"
    needed = max(2, bits((value, value)))
    return f"{needed}'sh{value & ((1 << needed) - 1):x}"


def times(text: str, factor: int) -> str:
    """A product with a constant as shifts and sums, which take no multiplier: its digits are -1, 0 and 1, no two neighbours both set.

    Right where it is assigned to a wire, whose width it then has.
    """
    terms, rest, place = [], factor, 0
    while rest:
        if rest & 1:
            digit = 2 - (rest & 3)
            terms.append((digit, f"({text} <<< {place})" if place else text))
            rest -= digit
        rest >>= 1
        place += 1
    terms.sort(key=lambda term: -term[0])
    signs = "".join(f" {'+' if digit > 0 else '-'} {term}" for digit, term in terms)
    return f"({signs.removeprefix(' + ')})" if terms and terms[0][0] > 0 else f"(2'sh0{signs})"


def expression(one: Instruction, parts: list[str], ranges: list[Range], unsigned: Callable[[str, int], str]) -> str:
    """`parts`, `ranges`: of its operands. `unsigned`: a wire of so many bits that gets an expression's bits.

    Raises:
        Refused: there is none for it.
    """
    op, width, wide = one.op, one.width, one.wide
    positive = all(low >= 0 for low, _ in ranges)
    if op == "icmp":
        if wide > 1 and one.about[0] == "u" and not positive:
            parts = [unsigned(part, wide) for part in parts]
        if wide == 1 and one.about not in ("eq", "ne", "ult", "ugt", "ule", "uge"):
            raise Refused(f"the translator does not compare truth values by '{one.about}'")
        return f"{parts[0]} {COMPARISONS[one.about[-2:]]} {parts[1]}"
    if op == "select":
        return f"{parts[0]} ? {parts[1]} : {parts[2]}"
    if op == "mul" and width > 1 and (factors := [operand for operand in one.operands if isinstance(operand, int)]):
        return times(next(part for part, operand in zip(parts, one.operands, strict=True) if not isinstance(operand, int)), factors[0])
    if op in SIGNS:
        return f"{parts[0]} {(TRUTHS if width == 1 else SIGNS)[op]} {parts[1]}"
    if op == "shl":
        return f"{parts[0]} <<< {parts[1]}"
    if op == "ashr" or (op == "lshr" and ranges[0][0] >= 0):
        return f"{parts[0]} >>> {parts[1]}"
    if op == "lshr":
        return f"$signed({{1'b0, {unsigned(parts[0], width)} >> {parts[1]}}})"
    if op in ("udiv", "urem"):
        left, right = (unsigned(part, width) for part in parts)
        return f"$signed({{1'b0, {left} {'/' if op == 'udiv' else '%'} {right}}})"
    if op == "zext":
        return parts[0] if wide > 1 and positive else f"$signed({{1'b0, {unsigned(parts[0], wide)}}})"
    if op == "sext":
        return f"{parts[0]} ? 2'sh3 : 2'sh0" if wide == 1 else parts[0]
    if op in ("trunc", "freeze"):
        return f"{unsigned(parts[0], wide)}[0]" if width == 1 < wide else parts[0]
    if op in CHOICES:
        compared = [unsigned(part, width) for part in parts] if op[0] == "u" and not positive else parts
        return f"({compared[0]} {'>' if op.endswith('max') else '<'} {compared[1]}) ? {parts[0]} : {parts[1]}"
    if op in SATURATING:
        sign = "+" if op.endswith("add") else "-"
        low, high = full(width) if op[0] == "s" else (0, (1 << width) - 1)
        added = parts if op[0] == "s" or positive else [f"$signed({{1'b0, {unsigned(part, width)}}})" for part in parts]
        whole = f"$signed({unsigned(f'{added[0]} {sign} {added[1]}', width + 2)})"
        return f"({whole} > {literal(high, 0)}) ? {literal(high, 0)} : ({whole} < {literal(low, 0)}) ? {literal(low, 0)} : {whole}"
    raise Refused(f"the translator has no circuit for '{op}' of {width} bits")
