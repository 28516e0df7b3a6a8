"""The control of a stage, run for one frame: how many iterations it has, and between which numbers its counters stay.

Loops of the kernels depend on no data, so their counters are the same in every frame. They are run as a Python program that is made
from the function's instructions, without those that depend on streams and arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.hls.rtl.translator.control import Control
from edgekit.hls.rtl.translator.llvm import COMPARISONS, SIGNS, Function, Instruction, Operand, Refused

STEPS_MAX = 100_000_000
TEXTS = {
    **{op: f"{{0}} {sign} {{1}}" for op, sign in SIGNS.items()},
    **{op: f"({{0}} & {{mask}}) {sign} ({{1}} & {{mask}})" for op, sign in {"lshr": ">>", "udiv": "//", "urem": "%"}.items()},
    **{op: f"{op[1:]}({{0}}, {{1}})" for op in ("smax", "smin")},
    **{op: f"{op[1:]}({{0}} & {{mask}}, {{1}} & {{mask}})" for op in ("umax", "umin")},
    "shl": "{0} << {1}",
    "ashr": "{0} >> {1}",
    "select": "{1} if {0} else {2}",
    "zext": "{0} & {mask}",
    "trunc": "{0}",
    "freeze": "{0}",
}
"""What an instruction gives, as Python: of its operands as signed numbers and of all bits of what they are; then cut to its width."""


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
    places = {block: place for place, block in enumerate(function.blocks)}
    entered = {
        block: [one for one in instructions if one.op == "phi" and one.name not in data] for block, instructions in function.blocks.items()
    }

    def go(target: str, among: frozenset[str]) -> str:
        given = [(names[one.name], _text(_given(one, among)[0], names)) for one in entered[target]]
        left, right = zip(*given, ("at", str(places[target])), strict=True)
        return f"{', '.join(left)} = {', '.join(right)}"

    phis = [names[one.name] for found in entered.values() for one in found]
    lines = ["def run():", " at = steps = 0", *(f" {one} = 0; low_{one} = inf; high_{one} = -inf" for one in phis), " while True:"]
    for block, instructions in function.blocks.items():
        lines.append(f"  {'if' if block == control.states[0] else 'elif'} at == {places[block]}:")
        if block in control.heads:
            lines += ["   steps += 1", f"   if steps > {STEPS_MAX}: return None"]
        for one in instructions:
            name = names.get(one.name, "")
            if one in entered[block]:
                lines += [f"   if {name} < low_{name}: low_{name} = {name}", f"   if {name} > high_{name}: high_{name} = {name}"]
            elif one.name and one.name not in data and one.op not in ("phi", "alloca", "getelementptr"):
                lines.append(f"   {name} = {_expression(one, names)}")
        end = instructions[-1]
        if end.op == "ret":
            lines.append(f"   return steps, {{{', '.join(f'{one!r}: (low_{one}, high_{one})' for one in phis)}}}")
        elif block in jumps:
            lines.append(f"   {go(*jumps[block])}")
        else:
            ways = [go(target, frozenset({block})) for target in end.labels]
            lines += [f"   {ways[0]}"] if len(ways) == 1 else [f"   if {_text(end.operands[0], names)}: {ways[0]}", f"   else: {ways[1]}"]
    scope: dict[str, object] = {"inf": float("inf")}  # the program was just made, of numbers and of names that are made here
    exec("\n".join(lines), scope)
    run = scope["run"]
    assert callable(run)
    result = run()
    if result is None:
        raise Refused(f"{function.name} takes more than {STEPS_MAX} iterations a frame")
    iterations, ranges = result
    found = {name: ranges[short] for name, short in names.items() if short in ranges}
    return Walk(iterations, {name: (low, high) for name, (low, high) in found.items() if low <= high}, data)


def _dependent(function: Function, control: Control) -> tuple[frozenset[str], dict[str, tuple[str, frozenset[str]]]]:
    """The values that depend on data; and each branch that does, with where its ways meet and the blocks that come there."""
    found: set[str] = set()
    jumps: dict[str, tuple[str, frozenset[str]]] = {}
    while True:
        more = {
            one.name
            for one in function.instructions
            if one.name and (one.op in ("load", "edgekit_lane") or not found.isdisjoint(one.operands))
        }
        for block, (*_, end) in function.blocks.items():
            if end.op == "br" and not found.isdisjoint(end.operands) and block not in jumps:
                meeting, between = control.meeting(block)
                calls = [one.op for inner in between for one in function.blocks[inner] if one.op.startswith("edgekit_")]
                if not meeting or calls:
                    what = f"{calls[0] if calls else 'a loop'} hangs: {function.name}, {block}"
                    raise Refused(f"the translator knows no branch that depends on data and on which {what}")
                jumps[block] = meeting, between | {block}
        for meeting, between in jumps.values():
            phis = [one for block in (*between, meeting) for one in function.blocks[block] if one.op == "phi"]
            more |= {one.name for one in phis if len(_given(one, between)) > 1}
        if more <= found:
            return frozenset(found), jumps
        found |= more


def _given(phi: Instruction, among: frozenset[str]) -> list[Operand]:
    """The values that it takes when one comes from these blocks."""
    return list(dict.fromkeys(value for value, source in zip(phi.operands, phi.labels, strict=True) if source in among))


def _text(value: Operand, names: Mapping[str, str]) -> str:
    return f"({value})" if isinstance(value, int) else names.get(value, "0")


def _expression(one: Instruction, names: Mapping[str, str]) -> str:
    parts, mask = [_text(value, names) for value in one.operands], (1 << one.wide) - 1
    if one.op == "icmp":
        side = "({{{}}} & {{mask}})" if one.about[0] == "u" or one.wide == 1 else "{{{}}}"
        text = f"{side.format(0)} {COMPARISONS[one.about[-2:]]} {side.format(1)}"
    elif one.op == "sext":
        text = "-{0}" if one.wide == 1 else "{0}"
    elif one.op in TEXTS:
        text = TEXTS[one.op]
    else:
        raise Refused(f"the translator cannot run '{one.op}'")
    text = f"({text.format(*parts, mask=mask)})"
    half = 1 << (one.width - 1)
    return f"({text} & 1)" if one.width == 1 else f"(({text} + {half} & {2 * half - 1}) - {half})"
