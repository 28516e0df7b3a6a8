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
    for raw in module.functions[name].split("\n"):
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
    if op in ("call", "tail"):
        return _call(text, function, made)
    raise Refused(f"the translator does not know '{op}', which {function} has: {line}")


def _call(text: str, function: str, made: object) -> Instruction | None:
    found = re.match(r"(?:tail )?call (void|i\d+) @([\w.]+)\((.*)\)", text)
    called = found[2] if found else text
    if found is None or not callable(made):
        raise Refused(f"the translator does not know a call that {function} has: {text}")
    if called.startswith(("llvm.lifetime.", "llvm.assume", "llvm.experimental.noalias")):
        return None
    intrinsic = re.fullmatch(r"llvm\.(\w+)(?:\.sat)?\.i\d+", called)
    known = intrinsic[1] if intrinsic else called
    if known not in STREAM_CALLS | CHOICES | SATURATING:
        raise Refused(f"the translator knows no function '{called}', which {function} calls")
    made_one = made(known, 0 if found[1] == "void" else int(found[1][1:]), *map(_typed, split(found[3])))
    assert isinstance(made_one, Instruction)
    return made_one


def alignment(kind: str, structs: Mapping[str, str]) -> int:
    if re.fullmatch(r"i\d+", kind):
        bits = int(kind[1:])
        return 1 if bits <= 8 else 2 if bits <= 16 else 4
    if kind[0] == "%":
        return alignment(structs[kind], structs)
    if kind[0] == "[":
        return alignment(element(kind, 0, structs)[0], structs)
    if kind[0] == "{":
        return max(alignment(part, structs) for part in split(kind[1:-1]))
    raise Refused(f"the translator knows no memory of type '{kind}'")


def size(kind: str, structs: Mapping[str, str]) -> int:
    """Bytes, on the machine that the kernels are compiled for."""
    align = alignment(kind, structs)
    if kind[0] == "i":
        length = (int(kind[1:]) + 7) // 8
    elif kind[0] == "%":
        return size(structs[kind], structs)
    elif found := re.match(r"\[(\d+) x (.*)\]$", kind):
        length = int(found[1]) * size(found[2], structs)
    else:
        parts = split(kind[1:-1])
        last, start = element(kind, len(parts) - 1, structs)
        length = start + size(last, structs)
    return -(-length // align) * align


def element(kind: str, index: int, structs: Mapping[str, str]) -> tuple[str, int]:
    """The type of an aggregate's part and the byte where it begins."""
    if kind[0] == "%":
        return element(structs[kind], index, structs)
    if found := re.match(r"\[(\d+) x (.*)\]$", kind):
        return found[2], index * size(found[2], structs)
    start = 0
    for place, part in enumerate(split(kind[1:-1])):
        align = alignment(part, structs)
        start = -(-start // align) * align
        if place == index:
            return part, start
        start += size(part, structs)
    raise Refused(f"the translator finds no part {index} in '{kind}'")
