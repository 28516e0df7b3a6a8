"""The part of LLVM IR that inlined kernels are made of, read from its text into plain data. Everything else is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from edgekit.errors import EdgekitError

Operand: TypeAlias = int | str
"""A constant, the name of a value (%x), or a pointer: a global (@x) or a constant getelementptr."""

NAME = r"%[\w.$-]+"
CHOICES = frozenset({"smax", "smin", "umax", "umin"})
SATURATING = frozenset({"sadd", "ssub", "uadd", "usub"})
"""LLVM's intrinsics of two operands that are known, by the second word of their names."""
SIGNS = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
"""As Python and Verilog both write them; comparisons without their first letter, which says whether numbers are signed."""
FLAGS = r"(?:(?:nuw|nsw|exact|inbounds|noundef|nonnull|signext|zeroext|dereferenceable\(\d+\)|align \d+) )*"
CONSTANTS = {"undef": 0, "poison": 0, "zeroinitializer": 0, "false": 0, "true": 1}
SAYS_NOTHING = re.compile(r"(?:tail )?call void @llvm\.(?:lifetime\.|assume|experimental\.noalias)")
CALL = r"(?:tail )?call (?:void|(?P<type>\S+)) @"
FORMS = (
    rf"(?P<op>add|sub|mul|and|or|xor|shl|lshr|ashr|udiv|urem) {FLAGS}(?P<type>\S+) (?P<plain>.*)",
    r"(?P<op>freeze) (?P<type>\S+) (?P<plain>\S+)",
    r"(?P<op>zext|sext|trunc) (?P<wide>\S+) (?P<plain>\S+) to (?P<type>\S+)",
    r"(?P<op>icmp) (?P<about>\w+) (?P<wide>\S+) (?P<plain>.*)",
    r"(?P<op>select) (?P<typed>i1 \S+, (?P<type>\S+) .*)",
    r"(?P<op>phi) (?P<type>\S+) (?P<ways>.*)",
    r"(?P<op>load) (?P<type>\S+), (?P<typed>ptr .*?)(?:, align \d+)?",
    r"(?P<op>store) (?P<typed>(?P<type>\S+) .*?)(?:, align \d+)?",
    r"(?P<op>getelementptr) (?P<about>.*)",
    r"(?P<op>alloca) (?P<about>.*?)(?:, align \d+)?",
    r"(?P<op>br) i1 (?P<plain>[^,]+), (?P<targets>.*)",
    r"(?P<op>br) (?P<targets>label .*)",
    r"(?P<op>ret) void",
    rf"{CALL}(?P<op>edgekit_\w+)\(i32 {FLAGS}(?P<stream>\d+)(?:, i32 {FLAGS}(?P<lane>\d+))?(?:, (?P<typed>.*))?\)",
    rf"{CALL}(?P<called>(?:llvm\.)?(?P<op>\w+)[\w.]*)\((?P<typed>.*)\)",
)
"""How instructions are written. Operands are `plain`, or `typed` one by one, or come by the `ways` of a phi."""


class Refused(EdgekitError):
    """The translator does not understand something, which the message names."""


@dataclass(frozen=True)
class Instruction:
    """`name`: of its value, "" if it has none. `width`: bits of the value (of what is stored). `labels`: of a phi the blocks that its
    operands come from, of a branch its targets. `wide`: bits of what is cast or compared. `about`: a comparison's predicate, the type of
    an alloca, the text of a getelementptr. `stream`, `lane`: of a call about a stream, which are no operands."""

    name: str
    op: str
    width: int
    operands: tuple[Operand, ...]
    block: str
    labels: tuple[str, ...] = ()
    wide: int = 0
    about: str = ""
    stream: int = -1
    lane: int = 0


@dataclass(frozen=True)
class Function:
    """`blocks`: in the order of the text, the entry first."""

    name: str
    blocks: Mapping[str, tuple[Instruction, ...]]

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return tuple(one for block in self.blocks.values() for one in block)


@dataclass(frozen=True)
class Module:
    """`structs`: name -> its type. `constants`: global arrays of integers that are defined. `functions`: name -> its text."""

    structs: Mapping[str, str]
    constants: Mapping[str, tuple[int, ...]]
    functions: Mapping[str, str] = field(repr=False)


def read_module(text: str) -> Module:
    """Names in quotation marks, which may have any letters in them, become plain ones."""
    plain: dict[str, str] = {}
    text = re.sub(r'"[^"\n]*"', lambda found: plain.setdefault(found[0], f"quoted.{len(plain)}"), text)
    structs = re.findall(rf"^({NAME}) = type (.*)$", text, re.MULTILINE)
    constants = re.findall(r"^@([\w.]+) = .*?constant \[\d+ x i\d+\] (?:\[(.*?)\]|zeroinitializer)", text, re.MULTILINE)
    functions = re.findall(r"^define [^\n]*@(\w+)\(\)[^\n]*\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    integers = {name: tuple(int(one.split()[1]) for one in values.split(", ") if one) for name, values in constants}
    return Module(dict(structs), integers, dict(functions))


def read_function(module: Module, name: str) -> Function:
    """Raises Refused: it has an instruction that is not known."""
    blocks: dict[str, list[Instruction]] = {}
    current = "%entry"
    for raw in _loads_of_either(module.functions[name]).split("\n"):
        line = re.sub(r"(, ![a-z].*| #\d+)+$", "", raw.strip())
        if label := re.match(r"([\w.$-]+):", raw):
            current = "%" + label[1]
            blocks[current] = []
        elif line and not line.startswith(";") and not SAYS_NOTHING.match(line):
            blocks.setdefault(current, []).append(_instruction(line, current, name))
    return Function(name, {block: tuple(found) for block, found in blocks.items()})


def _loads_of_either(text: str) -> str:
    """A load from one of two addresses, as clang makes it of a choice between two arrays' elements, is two loads and a choice."""
    for name, condition, first, second in re.findall(rf"^  ({NAME}) = select i1 (\S+), ptr ([^,\n]+), ptr ([^,\n]+)$", text, re.MULTILINE):
        loads = rf"  \1.first = load \2, ptr {first}\n  \1.second = load \2, ptr {second}\n"
        chosen = rf"  \1 = select i1 {condition}, \2 \1.first, \2 \1.second"
        text, count = re.subn(rf"^  ({NAME}) = load (\S+), ptr {re.escape(name)}(?![\w.$-]).*$", loads + chosen, text, flags=re.MULTILINE)
        if count:
            text = re.sub(rf"^  {re.escape(name)} = select .*\n", "", text, flags=re.MULTILINE)
    return text


def split(text: str) -> list[str]:
    """At the commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [one.strip() for one in parts if one.strip()]


def operand(text: str) -> Operand:
    if text in CONSTANTS:
        return CONSTANTS[text]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if text[0] in "%@" or text.startswith("getelementptr"):
        return text
    raise Refused(f"the translator does not know the operand '{text}'")


def _width(kind: str, line: str) -> int:
    if not re.fullmatch(r"i\d+", kind):
        raise Refused(f"the translator knows no values of type '{kind}': {line}")
    return int(kind[1:])


def _instruction(line: str, block: str, function: str) -> Instruction:
    named = re.match(rf"({NAME}) = (.*)$", line)
    name, text = (named[1], named[2]) if named else ("", line)
    found = next((match.groupdict("") for form in FORMS if (match := re.fullmatch(form, text))), None)
    if found is None:
        raise Refused(f"the translator does not know '{text.split()[0]}', which {function} has: {line}")
    if "called" in found and found["op"] not in CHOICES | SATURATING:
        raise Refused(f"the translator knows no function '{found['called']}', which {function} calls")
    ways = re.findall(rf"\[ ([^,]+), ({NAME}) \]", found.get("ways", ""))
    texts = [value for value, _ in ways] or split(found.get("plain", ""))
    texts += [re.sub(rf"^\S+ {FLAGS}", "", one) for one in split(found.get("typed", ""))]
    width, wide = (_width(kind, line) if (kind := found.get(part)) else 0 for part in ("type", "wide"))
    return Instruction(
        name=name,
        op=found["op"],
        width=1 if found["op"] == "icmp" else width,
        operands=tuple(map(operand, texts)),
        block=block,
        labels=tuple(source for _, source in ways) or tuple(re.findall(NAME, found.get("targets", ""))),
        wide=wide or width,
        about=found.get("about", ""),
        stream=int(found.get("stream") or -1),
        lane=int(found.get("lane") or 0),
    )


def parts_of(kind: str, structs: Mapping[str, str]) -> tuple[int, str]:
    """How many parts an aggregate has, and their type. A struct has one kind of part here, so that nothing lies between parts.

    Raises:
        Refused: it is none, or has parts of several kinds.
    """
    inner = structs.get(kind, kind)
    if found := re.fullmatch(r"\[(\d+) x (.*)\]", inner):
        return int(found[1]), found[2]
    parts = split(inner[1:-1]) if inner[0] == "{" else []
    if len(set(parts)) != 1:
        raise Refused(f"the translator knows no memory of type '{kind}'")
    return len(parts), parts[0]


def size(kind: str, structs: Mapping[str, str]) -> int:
    """Bytes. Integers have whole bytes here.

    Raises:
        Refused: a type of another kind.
    """
    if (found := re.fullmatch(r"i(\d+)", kind)) and int(found[1]) % 8 == 0:
        return int(found[1]) // 8
    count, part = parts_of(kind, structs)
    return count * size(part, structs)
