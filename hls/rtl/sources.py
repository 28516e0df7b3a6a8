"""A project's C++ made ready for clang: what its top function calls, as one function without arguments a stage.

Everything is read from the written files, as synthesis would read them (`__SYNTHESIS__` is defined). So that a loop nest comes out whose
structure is the circuit's, `#pragma HLS UNROLL` becomes clang's own, arrays of weights are only declared, and a stream is a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from edgekit.errors import EdgekitError

TOP_FILE = "edgekit_network.cpp"
ACCELERATOR_FILES = ("accelerator.cpp", "accelerator.h", "mover.h")
MOVED = {"images": "image", "results": "result"}
"""What the accelerator moves over its own masters: the array, and the name in its header's constants."""
SIMULATION_ONLY = re.compile(r"^#ifndef __SYNTHESIS__\n.*?^#endif\n", re.MULTILINE | re.DOTALL)
UNROLL = re.compile(r"^\s*#pragma HLS UNROLL\b")
HLS_PRAGMA = re.compile(r"^\s*#pragma HLS\b")
SELF_ASSIGNED = "if (&other == this)"
ARRAY = re.compile(r"^#else\n(?P<type>[\w:]+) (?P<name>\w+)\[(?P<size>\d+)\] = \{(?P<values>[^}]*)\};", re.MULTILINE)


@dataclass(frozen=True)
class StageCall:
    """One call of a kernel in the top function. `arguments` are names of streams and arrays; `statement` is what is called, in C++."""

    kernel: str
    arguments: tuple[str, ...]
    statement: str


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
    """An array of `size` elements of a C++ type. `values`: of constants, the integers that its header gives to synthesis; of one that lies
    in memory (`in_memory`), those that are there before the first frame, or none."""

    cpp_type: str
    size: int
    values: tuple[int, ...]
    in_memory: bool = False


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
    calls = re.findall(r"^\s*(nnet::(\w+)<[^()]+>\((.*)\);)", body, re.MULTILINE)
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
        calls=tuple(StageCall(kernel, tuple(re.split(r",\s*", names)), statement) for statement, kernel, names in calls),
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
            name, kind, size = found["name"], found["type"], int(found["size"])
            arrays[name] = Array(kind, size, _integers(header, found["values"], size))
            text = f"#pragma once\nextern const {kind} {name}[{size}];\n"
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(for_clang(text))
    for name, (kind, words) in top.memories.items():
        arrays[name] = Array(kind, words, _memory(firmware / "memory" / f"{name}.bin", words), in_memory=True)
    for file in resources.files("edgekit.hls.rtl").joinpath("include").iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "stages.cpp").write_text(translation_unit(top, arrays))
    return Sources(top, arrays)


def prepare_accelerator(project: Path, folder: Path, frames: int) -> Sources:
    """As `prepare`, of the accelerator around the network: its loop over frames goes round what reads images and what writes results.

    Raises:
        EdgekitError: the project has no accelerator with AXI masters.
    """
    if not all((project / name).is_file() for name in ACCELERATOR_FILES):
        raise EdgekitError(f"{project} has no {ACCELERATOR_FILES[0]}: it was not written with --interface axi-master")
    inner = prepare(project, folder)
    text, header, mover = ((project / name).read_text() for name in ACCELERATOR_FILES)
    called = re.search(r"edgekit_network\((.*)\);", text)
    names = dict(zip(re.split(r",\s*", called[1]) if called else (), (*inner.top.ends, *inner.top.memories), strict=False))
    own = {names[name]: int(depth) for name, depth in re.findall(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)", text)}
    calls: dict[str, list[StageCall]] = {"read_image": [], "write_result": []}
    for statement, kernel, arguments in re.findall(r"(edgekit::(read_image|write_result)<.*>\((.*)\);)", text):
        for name, stream in names.items():
            statement, arguments = (re.sub(rf"\b{name}\b", stream, one) for one in (statement, arguments))
        loop = f"for (unsigned index = 0; index < {frames}; index++) {{ {statement} }}"
        calls[kernel].append(StageCall(kernel, tuple(re.split(r",\s*", arguments)), loop))
    words = {name: int(size) for name, size in re.findall(r"constexpr unsigned (image|result)_words = (\d+);", header)}
    moved = {name: Array("edgekit::word_t", frames * words[one], (), in_memory=True) for name, one in MOVED.items()}
    arrays = {**inner.arrays, **moved}
    (folder / "mover.h").write_text(for_clang(mover))
    (folder / "accelerator.h").write_text(header.replace("firmware/", ""))
    around = (*calls["read_image"], *inner.top.calls, *calls["write_result"])
    top = replace(inner.top, ends=(), depths={**inner.top.depths, **own}, calls=around)
    (folder / "stages.cpp").write_text('#include "accelerator.h"\n' + translation_unit(top, arrays))
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


def translation_unit(top: Top, arrays: Mapping[str, Array]) -> str:
    """C++ with a function `stage0`, `stage1`.. for each call, and constants that tell lanes and widths of streams and arrays."""
    lines = ['#include "hls_stream.h"', '#include "defines.h"', '#include "parameters.h"']
    lines += [f"extern {one.cpp_type} {name}[{one.size}];" for name, one in arrays.items() if one.in_memory]
    lines += ["template <class T> struct edgekit_shape { static const int width = T::width, is_signed = T::is_signed; };"]
    for name, kind in top.streams.items():
        shape = f"edgekit_shape<{kind}::value_type>"
        lines.append(f'extern "C" const int edgekit_stream_{name}[3] = {{{kind}::size, {shape}::width, {shape}::is_signed}};')
    for name, one in arrays.items():
        lines.append(f'extern "C" const int edgekit_array_{name}[2] = {{{one.cpp_type}::width, {one.cpp_type}::is_signed}};')
    ports = top.ports
    for index, call in enumerate(top.calls):
        streams = [name for name in call.arguments if name in ports]
        declared = " ".join(f"hls::stream<{top.streams[name]}> {name}({ports[name]});" for name in dict.fromkeys(streams))
        lines.append(f'extern "C" void stage{index}() {{ {declared} {call.statement} }}')
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
