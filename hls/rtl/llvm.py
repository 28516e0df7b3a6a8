"""The part of LLVM IR that inlined kernels are made of, read from its text into plain data. Everything else is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from edgekit.errors import EdgekitError

Operand: TypeAlias = int | str
"""A constant, the name of a value (%x), or a pointer: a global (@x) or a constant getelementptr."""

NAME = r'%(?:"[^"]+"|[\w.$-]+)'
ARITHMETIC = frozenset({"add", "sub", "mul", "and", "or", "xor", "shl", "lshr", "ashr", "udiv", "urem"})
CASTS = frozenset({"zext", "sext", "trunc", "freeze"})
STREAM_CALLS = frozenset({"edgekit_lane", "edgekit_pop", "edgekit_put", "edgekit_push"})
CHOICES = frozenset({"smax", "smin", "umax", "umin"})
SATURATING = frozenset({"sadd", "ssub", "uadd", "usub"})
"""LLVM's intrinsics of two operands that are known, by the second word of their names."""
FLAGS = r"(?:(?:nuw|nsw|exact|inbounds|noundef|nonnull|signext|zeroext|dereferenceable\(\d+\)|align \d+) )*"
UNDEFINED = frozenset({"undef", "poison", "zeroinitializer"})


class Refused(EdgekitError):
    """The translator does not understand something, which the message names."""


@dataclass(frozen=True)
class Instruction:
    """`name`: of its value, "" if it has none. `width`: bits of the value (of what is stored, put). `labels`: of a phi the blocks that its
    operands come from, of a branch its targets. `wide`: bits of what is cast or compared. `about`: a comparison's predicate, the type of
    an alloca, the text of a getelementptr."""

    name: str
    op: str
    width: int
    operands: tuple[Operand, ...]
    block: str
    labels: tuple[str, ...] = ()
    wide: int = 0
    about: str = ""


@dataclass(frozen=True)
class Function:
    """`blocks`: in the order of the text, the entry first."""

    name: str
    blocks: Mapping[str, tuple[Instruction, ...]]

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return tuple(one for block in self.blocks.values() for one in block)

    @property
    def entry(self) -> str:
        return next(iter(self.blocks))


@dataclass(frozen=True)
class Module:
    """`structs`: name -> its type. `constants`: global arrays of integers that are defined. `functions`: name -> its text."""

    structs: Mapping[str, str]
    constants: Mapping[str, tuple[int, ...]]
    functions: Mapping[str, str] = field(repr=False)


def read_module(text: str) -> Module:
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
        label = re.match(r'^("[^"]+"|[\w.$-]+):', raw)
        if label:
            current = "%" + label[1]
            blocks[current] = []
        elif line and not line.startswith(";"):
            found = _instruction(line, current, name)
            if found is not None:
                blocks.setdefault(current, []).append(found)
    return Function(name, {block: tuple(found) for block, found in blocks.items()})


def _loads_of_either(text: str) -> str:
    """A load from one of two addresses, as clang makes it of a choice between two arrays' elements, is two loads and a choice."""
    for name, condition, first, second in re.findall(rf"^  ({NAME}) = select i1 (\S+), ptr ([^,\n]+), ptr ([^,\n]+)$", text, re.MULTILINE):
        loads = rf"  \1.first = load \2, ptr {first}\n  \1.second = load \2, ptr {second}\n"
        chosen = rf"  \1 = select i1 {condition}, \2 \1.first, \2 \1.second"
        text, count = re.subn(
            rf"^  (%[\w.$-]+) = load (\S+), ptr {re.escape(name)}(?![\w.$-]).*$", loads + chosen, text, flags=re.MULTILINE
        )
        if count:
            text = re.sub(rf"^  {re.escape(name)} = select .*\n", "", text, flags=re.MULTILINE)
    return text


def split(text: str) -> list[str]:
    """At the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    quoted = False
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif not quoted:
            depth += (letter in "([{") - (letter in ")]}")
            if letter == "," and depth == 0:
                parts.append(text[start:at].strip())
                start = at + 1
    return [*parts, text[start:].strip()] if text.strip() else []


def operand(text: str) -> Operand:
    if text in UNDEFINED:
        return 0
    if text in ("true", "false"):
        return int(text == "true")
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if text[0] in "%@" or text.startswith("getelementptr"):
        return text
    raise Refused(f"the translator does not know the operand '{text}'")


def _typed(text: str) -> Operand:
    """Of `type flags operand`."""
    found = re.match(rf"\S+ {FLAGS}(.*)$", text)
    if found is None:
        raise Refused(f"the translator does not know the operand '{text}'")
    return operand(found[1])


def _width(text: str, line: str) -> int:
    if not re.fullmatch(r"i\d+", text):
        raise Refused(f"the translator knows no values of type '{text}': {line}")
    return int(text[1:])


def _instruction(line: str, block: str, function: str) -> Instruction | None:
    """None: one that does nothing here."""
    named = re.match(rf"({NAME}) = (.*)$", line)
    name, text = (named[1], named[2]) if named else ("", line)
    op = text.split()[0]

    def made(op: str, width: int, *operands: Operand, labels: tuple[str, ...] = (), wide: int = 0, about: str = "") -> Instruction:
        return Instruction(name, op, width, operands, block, labels, wide, about)

    if op in ARITHMETIC and (found := re.match(rf"\w+ {FLAGS}(i\d+) (.*)$", text)):
        return made(op, _width(found[1], line), *map(operand, split(found[2])))
    if op in CASTS and (found := re.match(rf"\w+ (i\d+) ({NAME}|-?\d+|undef|poison)(?: to (i\d+))?$", text)):
        return made(op, _width(found[3] or found[1], line), operand(found[2]), wide=_width(found[1], line))
    if op == "icmp" and (found := re.match(r"icmp (\w+) (\S+) (.*)$", text)):
        return made(op, 1, *map(operand, split(found[3])), wide=_width(found[2], line), about=found[1])
    if op == "select":
        parts = split(text.removeprefix("select "))
        return made(op, _width(parts[1].split()[0], line), *map(_typed, parts))
    if op == "phi" and (found := re.match(r"phi (\S+) (.*)$", text)):
        pairs = re.findall(rf"\[ ([^,]+), ({NAME}) \]", found[2])
        return made(op, _width(found[1], line), *(operand(value) for value, _ in pairs), labels=tuple(source for _, source in pairs))
    if op == "load" and (found := re.match(r"load (\S+), ptr (.*?)(?:, align \d+)?$", text)):
        return made(op, _width(found[1], line), operand(found[2]))
    if op == "store" and (found := re.match(r"store (\S+) (\S+), ptr (.*?)(?:, align \d+)?$", text)):
        return made(op, _width(found[1], line), operand(found[2]), operand(found[3]))
    if op == "getelementptr":
        return made(op, 32, about=text)
    if op == "alloca" and (found := re.match(r"alloca (.*?)(?:, align \d+)?$", text)):
        return made(op, 32, about=found[1])
    if op == "br" and (found := re.match(rf"br i1 (\S+), label ({NAME}), label ({NAME})", text)):
        return made(op, 0, operand(found[1]), labels=(found[2], found[3]))
    if op == "br" and (found := re.match(rf"br label ({NAME})", text)):
        return made(op, 0, labels=(found[1],))
    if text == "ret void":
        return made("ret", 0)
    if op in ("call", "tail") and (found := re.match(r"(?:tail )?call (void|i\d+) @([\w.]+)\((.*)\)", text)):
        called = found[2]
        if called.startswith(("llvm.lifetime.", "llvm.assume", "llvm.experimental.noalias")):
            return None
        intrinsic = re.fullmatch(r"llvm\.(\w+)(?:\.sat)?\.i\d+", called)
        known = intrinsic[1] if intrinsic else called
        if known not in STREAM_CALLS | CHOICES | SATURATING:
            raise Refused(f"the translator knows no function '{called}', which {function} calls")
        return made(known, 0 if found[1] == "void" else int(found[1][1:]), *map(_typed, split(found[3])))
    raise Refused(f"the translator does not know '{op}', which {function} has: {line}")


def size(kind: str, structs: Mapping[str, str]) -> int:
    """Bytes. Integers have whole bytes here and a struct one kind of part, so that nothing lies between parts.

    Raises:
        Refused: a type of another kind.
    """
    if kind in structs:
        return size(structs[kind], structs)
    if (found := re.fullmatch(r"i(\d+)", kind)) and int(found[1]) % 8 == 0:
        return int(found[1]) // 8
    if found := re.fullmatch(r"\[(\d+) x (.*)\]", kind):
        return int(found[1]) * size(found[2], structs)
    parts = split(kind[1:-1]) if kind[0] == "{" else []
    if len(set(parts)) != 1:
        raise Refused(f"the translator knows no memory of type '{kind}'")
    return len(parts) * size(parts[0], structs)


def part(kind: str, structs: Mapping[str, str]) -> str:
    """The type of an aggregate's parts."""
    size(kind, structs)
    inner = structs.get(kind, kind)
    return split(inner[1:-1])[0] if inner[0] == "{" else inner.removesuffix("]").split(" x ", 1)[1]
