"""Pickled data read as data: nothing that a pickle asks for is imported or called.

The stream is decoded by pickletools, which runs nothing, and its opcodes build lists, tuples, dictionaries and three inert records.
What an ordinary unpickler would call becomes a `Call`, a note of what was asked for. Which globals may be asked for is a list, and any
other one ends the reading: no weights file needs it.
"""

from __future__ import annotations

import pickletools
import sys
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from edgekit.errors import EdgekitError

OPCODES_MAX = 1_000_000
"""A tensor takes about 35; the largest training checkpoints of the networks here, below 100 000. Bounds time and memory."""
PUSH_ARGUMENT: Final = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
PUSH_CONSTANT: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


@dataclass(frozen=True, eq=False, repr=False)
class Global:
    """A name that the pickle asks for, as "module.name". It is on the list of those allowed, and was not imported."""

    path: str


@dataclass(frozen=True, eq=False, repr=False)
class Call:
    """What would have been `target(*args)`. State that the pickle would have given to the result is dropped."""

    target: str
    args: tuple[Any, ...]


@dataclass(frozen=True, eq=False, repr=False)
class _Mark:
    pass


_MARK = _Mark()


@dataclass
class _Machine:
    """The stack machine of pickle. `persistent` turns a persistent id into what stands for it."""

    allowed: Container[str]
    persistent: Callable[[Any], Any]
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def items_since_mark(self) -> list[Any]:
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def name(self, path: str) -> Global:
        if path not in self.allowed:
            whole_model = path.partition(".")[0] not in sys.stdlib_module_names
            advice = ". If it is a whole model, save its state_dict() instead" if whole_model else ""
            raise EdgekitError(f"it asks for '{path}', which no weights need; nothing of the file was run{advice}")
        return Global(path)

    def step(self, opcode: str, argument: Any) -> None:
        """One opcode. Raises EdgekitError for a name that is not allowed, ValueError or IndexError for a pickle that makes no sense."""
        stack = self.stack
        if opcode in PUSH_ARGUMENT:
            stack.append(argument)
        elif opcode in PUSH_CONSTANT:
            stack.append(PUSH_CONSTANT[opcode])
        else:
            match opcode:
                case "PROTO" | "FRAME" | "STOP":
                    pass
                case "MARK":
                    stack.append(_MARK)
                case "POP":
                    stack.pop()
                case "POP_MARK":
                    self.items_since_mark()
                case "DUP":
                    stack.append(stack[-1])
                case "PUT" | "BINPUT" | "LONG_BINPUT":
                    self.memo[argument] = stack[-1]
                case "MEMOIZE":
                    self.memo[len(self.memo)] = stack[-1]
                case "GET" | "BINGET" | "LONG_BINGET":
                    stack.append(self.memo[argument])
                case "EMPTY_LIST" | "EMPTY_SET":
                    stack.append([])
                case "LIST" | "FROZENSET":
                    stack.append(self.items_since_mark())
                case "EMPTY_TUPLE":
                    stack.append(())
                case "TUPLE":
                    stack.append(tuple(self.items_since_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    self._take_tuple(int(opcode[-1]))
                case "EMPTY_DICT":
                    stack.append({})
                case "DICT":
                    stack.append(_with_items({}, self.items_since_mark()))
                case "APPEND":
                    self._extend([stack.pop()])
                case "APPENDS" | "ADDITEMS":
                    self._extend(self.items_since_mark())
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    _with_items(stack[-1], [key, value])
                case "SETITEMS":
                    items = self.items_since_mark()
                    _with_items(stack[-1], items)
                case _:
                    self._record(opcode, argument)

    def _take_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError("a tuple of more than there is")
        items = tuple(self.stack[-count:])
        self.stack[-count:] = [items]

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Call):  # what is appended to an inert record is dropped
            raise ValueError("items for what is no list")

    def _record(self, opcode: str, argument: Any) -> None:
        """The opcodes under which an unpickler would import or call something."""
        stack = self.stack
        match opcode:
            case "GLOBAL":
                stack.append(self.name(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                if not (isinstance(name, str) and isinstance(module, str)):
                    raise ValueError("a global whose name is not text")
                stack.append(self.name(f"{module}.{name}"))
            case "INST":
                stack.append(_call(self.name(argument.replace(" ", ".", 1)), tuple(self.items_since_mark())))
            case "OBJ":
                target, *arguments = self.items_since_mark()
                stack.append(_call(target, tuple(arguments)))
            case "REDUCE" | "NEWOBJ":
                arguments, target = stack.pop(), stack.pop()
                stack.append(_call(target, arguments))
            case "NEWOBJ_EX":
                _, arguments, target = stack.pop(), stack.pop(), stack.pop()
                stack.append(_call(target, arguments))
            case "BUILD":
                stack.pop()
                if not isinstance(stack[-1], (Call, dict)):
                    raise ValueError("state for what takes none")
            case "BINPERSID":
                stack.append(self.persistent(stack.pop()))
            case _:
                raise ValueError(f"opcode {opcode}, which no weights need")


def read_pickle(stream: BytesIO, allowed: Container[str], persistent: Callable[[Any], Any]) -> Any:
    """The next pickle of `stream` as numbers, text, lists (sets too), tuples, dictionaries, `Global` and `Call` records.

    Dictionaries keep the entries whose key is text; OrderedDict is a dictionary. Values may be shared, nested deeply, and hold
    themselves: look at them level by level, and never compare, hash or print them.

    Args:
        allowed: the globals that the pickle may ask for, "module.name".
        persistent: what stands for a persistent id (PyTorch: a storage outside the pickle). Raises ValueError for one it cannot read.

    Raises:
        EdgekitError: a global that is not allowed (it is named), or too many opcodes.
        ValueError, IndexError, KeyError, TypeError, OverflowError: not a whole pickle.
    """
    machine = _Machine(allowed, persistent)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count == OPCODES_MAX:
            raise EdgekitError(f"it takes more than {OPCODES_MAX} steps to read, which no weights do")
        machine.step(opcode.name, argument)
    (value,) = machine.stack
    return value


def _call(target: Any, arguments: Any) -> Any:
    if not isinstance(target, Global) or not isinstance(arguments, tuple):
        raise ValueError("a call of what cannot be called")
    if target.path == "collections.OrderedDict":
        pairs = arguments[0] if arguments else []
        return _with_items({}, [part for pair in pairs for part in _pair(pair)])
    return Call(target.path, arguments)


def _pair(pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ValueError("a dictionary's entry that is no pair")
    return pair[0], pair[1]


def _with_items(target: Any, items: list[Any]) -> Any:
    """`target` with items [key, value, key, value, ...]. Other keys than text could be slow to hash by design, and name no tensor."""
    if isinstance(target, dict):
        target.update((key, value) for key, value in zip(items[::2], items[1::2], strict=True) if isinstance(key, str))
    elif not isinstance(target, Call):
        raise ValueError("entries for what is no dictionary")
    return target
