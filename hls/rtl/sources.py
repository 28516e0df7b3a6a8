"""A project's C++ made ready for clang: what its top function calls, as one function without arguments a stage.

Everything is read from the written files, as synthesis would read them (`__SYNTHESIS__` is defined). So that a loop nest comes out whose
structure is the circuit's, `#pragma HLS UNROLL` becomes clang's own, arrays of weights are only declared, and a stream is a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgekit.errors import EdgekitError

TOP_FILE = "edgekit_network.cpp"
SIMULATION_ONLY = re.compile(r"^#ifndef __SYNTHESIS__\n.*?^#endif\n", re.MULTILINE | re.DOTALL)
UNROLL = re.compile(r"^\s*#pragma HLS UNROLL\b")
HLS_PRAGMA = re.compile(r"^\s*#pragma HLS\b")
SELF_ASSIGNED = "if (&other == this)"
ARRAY = re.compile(r"^#else\n(?P<type>[\w:]+) (?P<name>\w+)\[(?P<size>\d+)\] = \{(?P<values>[^}]*)\};", re.MULTILINE)


@dataclass(frozen=True)
class StageCall:
    """One call of a kernel in the top function. `arguments` are names of streams and arrays."""

    kernel: str
    config: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Top:
    """What the generated top function has.

    `streams`: name -> C++ type of its tokens, inputs and outputs first; a stream's number is its place. `depths`: of its FIFO, by
    name. `traced`: layer -> the stream that the simulation shows for it. `memories`: argument -> (C++ type, words).
    """

    streams: Mapping[str, str]
    ends: tuple[str, ...]
    depths: Mapping[str, int]
    traced: Mapping[str, str]
    memories: Mapping[str, tuple[str, int]]
    calls: tuple[StageCall, ...]

    @property
    def ports(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.streams)}


@dataclass(frozen=True)
class Array:
    """An array of constants: its C++ type and the integers that its header gives to synthesis."""

    cpp_type: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Sources:
    top: Top
    arrays: Mapping[str, Array]


def read_top(text: str) -> Top:
    """Raises EdgekitError: the text is no top function that edgekit wrote."""
    found = re.search(r"^void edgekit_network\((?P<head>.*?)\) \{\n(?P<body>.*)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise EdgekitError(f"{TOP_FILE} has no function edgekit_network")
    head = found["head"]
    traced = {layer: stream for stream, layer in re.findall(r'nnet::save_layer_output<\w+>\((\w+), "(\w+)"', found["body"])}
    body = SIMULATION_ONLY.sub("", found["body"])
    ends = {name: kind for kind, name in re.findall(r"hls::stream<(\w+)> &(\w+)", head)}
    inner = {name: kind for kind, name in re.findall(r'^\s*hls::stream<(.+)> (\w+)\("\w+"\);', body, re.MULTILINE)}
    calls = re.findall(r"^\s*nnet::(\w+)<([^()]+)>\((.*)\);", body, re.MULTILINE)
    statements = len(re.findall(r"^\s*nnet::.*;", body, re.MULTILINE))
    if len(calls) != statements:
        raise EdgekitError(f"{TOP_FILE} has {statements} statements that call kernels, {len(calls)} of them understood")
    depths = re.findall(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)", body)
    return Top(
        streams=ends | inner,
        ends=tuple(ends),
        depths={name: int(depth) for name, depth in depths},
        traced=traced,
        memories={name: (kind, int(words)) for kind, name, words in re.findall(r"(\w+) (memory\d+)\[(\d+)\]", head)},
        calls=tuple(StageCall(kernel, config, tuple(one.strip() for one in names.split(","))) for kernel, config, names in calls),
    )


def prepare(project: Path, folder: Path) -> Sources:
    """Writes stages.cpp and the headers that it includes into `folder`; the project is only read.

    Raises:
        EdgekitError: the folder has no project of edgekit.
    """
    firmware = project / "firmware"
    if not (firmware / TOP_FILE).is_file():
        raise EdgekitError(f"{project} has no firmware/{TOP_FILE}; name a folder that 'edgekit hls' wrote")
    top = read_top((firmware / TOP_FILE).read_text())
    arrays = {}
    for header in sorted(firmware.rglob("*.h")):
        inside = header.relative_to(firmware)
        if inside.parts[0] in ("native", "ap_types"):
            continue
        text = header.read_text()
        if inside.parts[0] == "weights":
            found = ARRAY.search(text)
            if found is None:
                raise EdgekitError(f"{header} has no array for synthesis")
            name, kind = found["name"], found["type"]
            arrays[name] = Array(kind, _integers(header, found["values"], int(found["size"])))
            text = f"#pragma once\nextern const {kind} {name}[{found['size']}];\n"
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(for_clang(text))
    for name, (kind, words) in top.memories.items():
        arrays[name] = Array(kind, _memory(project / "firmware" / "memory" / f"{name}.bin", words))
    for file in resources.files("edgekit.hls.rtl").joinpath("include").iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "stages.cpp").write_text(translation_unit(top, {name: array.cpp_type for name, array in arrays.items()}))
    return Sources(top, arrays)


def for_clang(text: str) -> str:
    """Clang wants UNROLL in front of the loop, HLS behind its head; HLS' other pragmas say nothing to clang, and tokens have no address."""
    lines: list[str] = []
    for line in text.split("\n"):
        if UNROLL.match(line):
            lines.insert(len(lines) - 1, "#pragma clang loop unroll(full)")
        elif not HLS_PRAGMA.match(line):
            lines.append(line)
    return "\n".join(lines).replace(SELF_ASSIGNED, "if (false)")


def translation_unit(top: Top, arrays: Mapping[str, str]) -> str:
    """C++ with a function `stage0`, `stage1`.. for each call, and constants that tell lanes and widths of streams and arrays."""
    lines = ['#include "hls_stream.h"', '#include "defines.h"', '#include "parameters.h"']
    lines += [f"extern const {kind} {name}[{words}];" for name, (kind, words) in top.memories.items()]
    lines += ["template <class T> struct edgekit_shape { static const int width = T::width, is_signed = T::is_signed; };"]
    for name, kind in top.streams.items():
        shape = f"edgekit_shape<{kind}::value_type>"
        lines.append(f'extern "C" const int edgekit_stream_{name}[3] = {{{kind}::size, {shape}::width, {shape}::is_signed}};')
    for name, kind in arrays.items():
        lines.append(f'extern "C" const int edgekit_array_{name}[2] = {{{kind}::width, {kind}::is_signed}};')
    ports = top.ports
    for index, call in enumerate(top.calls):
        streams = [name for name in call.arguments if name in ports]
        declared = " ".join(f"hls::stream<{top.streams[name]}> {name}({ports[name]});" for name in dict.fromkeys(streams))
        lines.append(f'extern "C" void stage{index}() {{ {declared} nnet::{call.kernel}<{call.config}>({", ".join(call.arguments)}); }}')
    return "\n".join(lines) + "\n"


def _integers(header: Path, text: str, count: int) -> tuple[int, ...]:
    values = tuple(int(one) for one in text.split(","))
    if len(values) != count:
        raise EdgekitError(f"{header} has {len(values)} values for an array of {count}")
    return values


def _memory(path: Path, words: int) -> tuple[int, ...]:
    content = path.read_bytes()
    size = len(content) // words
    return tuple(int.from_bytes(content[at : at + size], "little") for at in range(0, words * size, size))
