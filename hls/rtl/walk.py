"""The control of a stage, run for one frame: how many iterations it has, and between which numbers its counters stay.

Loops of the kernels depend on no data, so their counters are the same in every frame. They are run as a Python program that is made
from the function's instructions, without those that depend on streams and arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.hls.rtl.control import Control
from edgekit.hls.rtl.llvm import Function, Instruction, Operand, Refused

STEPS_MAX = 100_000_000
COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}


@dataclass(frozen=True)
class Walk:
    """`iterations`: cycles of a frame. `ranges`: of the values that a block begins with and that depend on no data. `data`: the others."""

    iterations: int
    ranges: Mapping[str, tuple[int, int]]
    data: frozenset[str]


def walk(function: Function, control: Control) -> Walk:
    """Raises Refused: what the loops do depends on data."""
    data, jumps = _dependent(function, control)
    names = {one.name: f"v{place}" for place, one in enumerate(function.instructions) if one.name}
    phis = [one for one in function.instructions if one.op == "phi" and one.name not in data]
    places = {block: place for place, block in enumerate(function.blocks)}
    lines = ["def run():", " at, steps = 0, 0"]
    lines += [f" {names[one.name]} = 0; low_{names[one.name]} = high_{names[one.name]} = None" for one in phis]
    lines += [" while True:"]
    for block, instructions in function.blocks.items():
        lines.append(f"  {'if' if block == function.entry else 'elif'} at == {places[block]}:")
        if block in control.heads:
            lines += ["   steps += 1", f"   if steps > {STEPS_MAX}: return None"]
        own = [one for one in instructions if one.name and one.name not in data]
        lines += [f"   {names[one.name]} = {_expression(one, names)}" for one in own if one.op not in ("phi", "alloca", "getelementptr")]
        end = instructions[-1]
        if end.op == "ret":
            lines.append("   break")
        labels, among = ((jumps[block][0],), jumps[block][1]) if block in jumps else (end.labels, frozenset({block}))
        for place, target in enumerate(labels):
            condition = f"if {_text(end.operands[0], names)}:" if len(labels) > 1 and place == 0 else "else:"
            space = "   " if len(labels) == 1 else "    "
            lines += [] if len(labels) == 1 else [f"   {condition}"]
            entered = [one for one in function.blocks[target] if one.op == "phi" and one.name not in data]
            if entered:
                given = ", ".join(_text(_given(one, among)[0], names) for one in entered)
                lines.append(f"{space}{', '.join(names[one.name] for one in entered)} = {given}")
            for one in entered:
                name = names[one.name]
                lines.append(f"{space}if low_{name} is None or {name} < low_{name}: low_{name} = {name}")
                lines.append(f"{space}if high_{name} is None or {name} > high_{name}: high_{name} = {name}")
            lines.append(f"{space}at = {places[target]}")
    found = ", ".join(f"{one.name!r}: (low_{names[one.name]}, high_{names[one.name]})" for one in phis)
    lines.append(f" return steps, {{{found}}}")
    scope: dict[str, object] = {}  # the program was just made, of numbers and of names that are made here
    exec("\n".join(lines), scope)
    run = scope["run"]
    assert callable(run)
    result = run()
    if result is None:
        raise Refused(f"{function.name} takes more than {STEPS_MAX} iterations a frame")
    iterations, ranges = result
    return Walk(iterations, {name: both for name, both in ranges.items() if both[0] is not None}, data)


def _dependent(function: Function, control: Control) -> tuple[frozenset[str], dict[str, tuple[str, frozenset[str]]]]:
    """The values that depend on data; and each branch that does, with where its ways meet and the blocks that come there."""
    found: set[str] = set()
    jumps: dict[str, tuple[str, frozenset[str]]] = {}
    ends = {block: instructions[-1] for block, instructions in function.blocks.items()}
    while True:
        more = {
            one.name
            for one in function.instructions
            if one.name and (one.op in ("load", "edgekit_lane") or not found.isdisjoint(one.operands))
        }
        for block, end in ends.items():
            if end.op == "br" and end.operands and end.operands[0] in found and block not in jumps:
                meeting, between = control.meeting(block)
                calls = [one.op for inner in between for one in function.blocks[inner] if one.op.startswith("edgekit_")]
                if not meeting or calls:
                    what = calls[0] if calls else "a loop"
                    raise Refused(
                        f"the translator knows no branch that depends on data and on which {what} hangs: {function.name}, {block}"
                    )
                jumps[block] = meeting, between | {block}
        for meeting, between in jumps.values():
            entered = [one for block in (*between, meeting) for one in function.blocks[block] if one.op == "phi"]
            more |= {one.name for one in entered if len(_given(one, between)) > 1}
        if more <= found:
            return frozenset(found), jumps
        found |= more


def _given(phi: Instruction, among: frozenset[str]) -> list[Operand]:
    """The values that it takes when one comes from these blocks."""
    return list(dict.fromkeys(value for value, source in zip(phi.operands, phi.labels, strict=True) if source in among))


def _text(value: Operand, names: Mapping[str, str]) -> str:
    return f"({value})" if isinstance(value, int) else names.get(value, "0")


def _signed(text: str, width: int) -> str:
    if width == 1:
        return f"(({text}) & 1)"
    half = 1 << (width - 1)
    return f"((({text}) + {half} & {2 * half - 1}) - {half})"


def _expression(one: Instruction, names: Mapping[str, str]) -> str:
    parts = [_text(value, names) for value in one.operands]
    width = one.width
    mask = (1 << (one.wide or width)) - 1
    simple = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^", "shl": "<<"}
    if one.op in simple:
        return _signed(f"{parts[0]} {simple[one.op]} {parts[1]}", width)
    if one.op in ("lshr", "udiv", "urem"):
        sign = {"lshr": ">>", "udiv": "//", "urem": "%"}[one.op]
        return _signed(f"({parts[0]} & {mask}) {sign} ({parts[1]} & {mask})", width)
    if one.op == "ashr":
        return f"({parts[0]} >> {parts[1]})"
    if one.op == "icmp":
        if one.about[0] == "u" or one.wide == 1:
            parts = [f"({part} & {mask})" for part in parts]
        return f"int({parts[0]} {COMPARE[one.about[-2:]]} {parts[1]})"
    if one.op == "select":
        return f"({parts[1]} if {parts[0]} else {parts[2]})"
    if one.op == "zext":
        return f"({parts[0]} & {mask})"
    if one.op == "sext":
        return f"(-{parts[0]})" if one.wide == 1 else parts[0]
    if one.op in ("trunc", "freeze"):
        return _signed(parts[0], width)
    if one.op in ("smax", "smin"):
        return f"{one.op[1:]}({parts[0]}, {parts[1]})"
    if one.op in ("umax", "umin"):
        return _signed(f"{one.op[1:]}({parts[0]} & {mask}, {parts[1]} & {mask})", width)
    raise Refused(f"the translator cannot run '{one.op}'")
