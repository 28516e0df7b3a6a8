"""Changes that someone may make to a bundle or an HLS project, each with the hashes of the manifest mended: what verify has to name."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edgekit.digest import digest_of_file
from edgekit.graph import read_onnx, write_onnx
from edgekit.graph.ir import IntegerGraph, WeightedOp
from edgekit.hls.engine.program_file import CHECKSUM_AT, HEAD, JOB_BYTES
from edgekit.plan import MANIFEST
from edgekit.tflite.writer import write_tflite

Rng: TypeAlias = np.random.Generator


class Unchanged(Exception):
    """There is nothing of that kind in the folder."""


@dataclass(frozen=True)
class Mutation:
    """`change(folder, rng)` changes files and says what it did. Raises Unchanged."""

    name: str
    change: Callable[[Path, Rng], str]


def mend(folder: Path) -> None:
    """Writes the hashes of what is there into the manifest; names that are gone go."""
    manifest = json.loads((folder / MANIFEST).read_text())
    there = [name for name in manifest["files"] if (folder / name).is_file()]
    manifest["files"] = {name: digest_of_file(folder / name) for name in there}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def mutated(original: Path, folder: Path, mutation: Mutation, rng: Rng) -> str:
    """A copy of a folder with one change, and what it is."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    said = mutation.change(folder, rng)
    mend(folder)
    return said


def number_in(files: str, pattern: str, by: Sequence[int] = (-1, 1)) -> Callable[[Path, Rng], str]:
    """One of the numbers that a pattern's group finds, in one of the files that a glob names, is another."""

    def change(folder: Path, rng: Rng) -> str:
        places = [
            (path, found.span(1)) for path in sorted(folder.glob(files)) for found in re.finditer(pattern, path.read_text(), re.MULTILINE)
        ]
        if not places:
            raise Unchanged
        path, (start, end) = places[int(rng.integers(len(places)))]
        text = path.read_text()
        number = int(text[start:end]) + int(rng.choice(by))
        path.write_text(f"{text[:start]}{number}{text[end:]}")
        return f"{path.relative_to(folder)} {text[start:end]} -> {number}"

    return change


def byte_in(files: str) -> Callable[[Path, Rng], str]:
    """One bit of one of the files is another."""

    def change(folder: Path, rng: Rng) -> str:
        paths = [path for path in sorted(folder.glob(files)) if path.is_file() and path.stat().st_size]
        if not paths:
            raise Unchanged
        path = paths[int(rng.integers(len(paths)))]
        content = bytearray(path.read_bytes())
        at, bit = int(rng.integers(len(content))), int(rng.integers(8))
        content[at] ^= 1 << bit
        path.write_bytes(content)
        return f"{path.relative_to(folder)} byte {at}, bit {bit}"

    return change


def line_gone(files: str, pattern: str) -> Callable[[Path, Rng], str]:
    """One of the lines that match is taken out."""

    def change(folder: Path, rng: Rng) -> str:
        found = [(path, line) for path in sorted(folder.glob(files)) for line in re.findall(pattern, path.read_text(), re.MULTILINE)]
        if not found:
            raise Unchanged
        path, line = found[int(rng.integers(len(found)))]
        path.write_text(path.read_text().replace(line, "", 1))
        return f"{path.relative_to(folder)} without {line.strip()[:60]}"

    return change


def _weighted(graph: IntegerGraph, rng: Rng) -> WeightedOp:
    ops = [op for op in graph.ops if isinstance(op, WeightedOp)]
    return ops[int(rng.integers(len(ops)))]


def _weight(graph: IntegerGraph, rng: Rng) -> IntegerGraph:
    op = _weighted(graph, rng)
    weights = op.weights.copy()
    at = tuple(int(rng.integers(size)) for size in weights.shape)
    weights[at] += 4 if weights[at] <= 0 else -4
    return _with(graph, op, weights=weights)


def _bias(graph: IntegerGraph, rng: Rng) -> IntegerGraph:
    op = _weighted(graph, rng)
    bias = op.bias.copy()
    bias[int(rng.integers(len(bias)))] += int(rng.choice([-4, 4, 256]))
    return _with(graph, op, bias=bias)


def _shift(graph: IntegerGraph, rng: Rng) -> IntegerGraph:
    op = _weighted(graph, rng)
    points = list(op.weight_binary_points)
    points[int(rng.integers(len(points)))] += 1
    return _with(graph, op, weight_binary_points=tuple(points))


def _scale(graph: IntegerGraph, rng: Rng) -> IntegerGraph:
    """The binary point of the last tensor: the integers stay, what they mean does not."""
    name = graph.outputs[-1]
    tensor = dataclasses.replace(graph.tensors[name], binary_point=graph.tensors[name].binary_point + 1)
    return dataclasses.replace(graph, tensors={**graph.tensors, name: tensor})


def _with(graph: IntegerGraph, changed: Any, **fields: Any) -> IntegerGraph:
    ops = tuple(dataclasses.replace(op, **fields) if op is changed else op for op in graph.ops)
    return dataclasses.replace(graph, ops=ops)


def in_graph(how: Callable[[IntegerGraph, Rng], IntegerGraph], file: str) -> Callable[[Path, Rng], str]:
    """The model of another graph takes the place of one file, written as edgekit writes it."""

    def change(folder: Path, rng: Rng) -> str:
        if not (folder / file).is_file():
            raise Unchanged
        graph = how(read_onnx((folder / "model.onnx").read_bytes()), rng)
        (folder / file).write_bytes(write_onnx(graph) if file == "model.onnx" else write_tflite(graph))
        return f"{how.__name__.strip('_')} in {file}"

    return change


def _stranger(folder: Path, rng: Rng) -> str:
    (folder / "extra.txt").write_text("hello")
    return "a file that nobody lists"


def _listed_stranger(folder: Path, rng: Rng) -> str:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / "extra.sh").write_text("#!/bin/sh\n")
    manifest["files"]["extra.sh"] = ""
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return "a file that the manifest lists and edgekit does not make"


def _gone(folder: Path, rng: Rng) -> str:
    names = sorted(json.loads((folder / MANIFEST).read_text())["files"])
    name = names[int(rng.integers(len(names)))]
    (folder / name).unlink()
    return f"{name} is gone, from the manifest, too"


def _option(folder: Path, rng: Rng) -> str:
    manifest = json.loads((folder / MANIFEST).read_text())
    options: dict[str, Any] = manifest["options"]
    if "clock_mhz" not in options:
        raise Unchanged
    options["clock_mhz"] += 1
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return "the clock in the manifest"


def _preprocessing(folder: Path, rng: Rng) -> str:
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["kind"] != "tflite":
        raise Unchanged
    manifest["preprocessing"]["mean"] = [120.0]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return "the mean in the manifest"


def _program(change_of: Callable[[bytearray, Mapping[str, int], Rng], str]) -> Callable[[Path, Rng], str]:
    """Changes an engine's program and mends its checksum, so that only what it says is another."""

    def change(folder: Path, rng: Rng) -> str:
        path = folder / "network.program"
        if not path.is_file():
            raise Unchanged
        content = bytearray(path.read_bytes())
        head = dict(zip(HEAD, np.frombuffer(content, "<u4", len(HEAD), 8).tolist(), strict=True))
        said = change_of(content, head, rng)
        content[CHECKSUM_AT : CHECKSUM_AT + 4] = bytes(4)
        content[CHECKSUM_AT : CHECKSUM_AT + 4] = zlib.crc32(content).to_bytes(4, "little")
        path.write_bytes(content)
        return f"network.program, {said}, and its checksum"

    return change


def _job(content: bytearray, head: Mapping[str, int], rng: Rng) -> str:
    array = ("matrix", "vector")[int(rng.integers(2))]
    number, at = int(rng.integers(head[f"{array}_jobs"])), int(rng.integers(JOB_BYTES))
    content[head[f"{array}_at"] + JOB_BYTES * number + at] ^= 1 << int(rng.integers(8))
    return f"byte {at} of job {number} of the {array} array"


def _row(content: bytearray, head: Mapping[str, int], rng: Rng) -> str:
    at = int(rng.integers(head["rows"] * head["row_bytes"]))
    content[head["rows_at"] + at] ^= 1 << int(rng.integers(8))
    return f"byte {at} of the rows of weights"


def _head(content: bytearray, head: Mapping[str, int], rng: Rng) -> str:
    name = [one for one in HEAD if one != "checksum"][int(rng.integers(len(HEAD) - 1))]
    content[8 + 4 * HEAD.index(name)] ^= 1 << int(rng.integers(8))
    return f"{name} in the head"


GRAPHS: Mapping[str, Callable[[IntegerGraph, Rng], IntegerGraph]] = {"weight": _weight, "bias": _bias, "shift": _shift, "scale": _scale}
OF_BOTH = (
    *(Mutation(f"{what} of model.onnx", in_graph(how, "model.onnx")) for what, how in GRAPHS.items()),
    Mutation("a stranger", _stranger),
    Mutation("a listed stranger", _listed_stranger),
    Mutation("a file that is gone", _gone),
    Mutation("a bit of any file", byte_in("**/*.*")),
)
OF_BUNDLES = (
    *OF_BOTH,
    *(Mutation(f"{what} of model.tflite", in_graph(how, "model.tflite")) for what, how in GRAPHS.items()),
    Mutation("a bit of model.tflite", byte_in("model.tflite")),
    Mutation("a golden output", byte_in("golden/output.bin")),
    Mutation("the input table", byte_in("input_table.bin")),
    Mutation("a script", byte_in("*.py")),
    Mutation("preprocessing", _preprocessing),
)
_INTEGER = r"(?<=[ {])(-?\d+)(?=[,}])"
OF_BOARDS = (
    *OF_BOTH,
    Mutation("Tcl", number_in("*.tcl", r"(\d+)")),
    Mutation("a line of Tcl", line_gone("*.tcl", r"^[a-z]\w+ .*\n")),
    Mutation("the driver", number_in("driver.py", r"(\d+)")),
    Mutation("the accelerator", number_in("accelerator*.[chj]*", r"(\d+)")),
    Mutation("the application", byte_in("application/**/*.*")),
    Mutation("the device tree", byte_in("overlay.dts")),
    Mutation("the Makefile", byte_in("*akefile")),
    Mutation("an estimate", number_in("estimates.json", r": (\d+),")),
    Mutation("expected outputs", byte_in("tb_data/*.bin")),
    Mutation("the clock", _option),
)
OF_ENGINES = (
    *OF_BOARDS,
    Mutation("a bit of a program", byte_in("network.program")),
    Mutation("a job", _program(_job)),
    Mutation("a row of weights", _program(_row)),
    Mutation("a program's head", _program(_head)),
    Mutation("a constant of the engine", number_in("firmware/*.h", r"= (\d+);")),
    Mutation("a field of a job", number_in("firmware/edgekit_engine_job.h", r"half\[(\d+)\]")),
    Mutation("a pragma", line_gone("firmware/**/*.[hc]*", r"^ *#pragma HLS .*\n")),
    Mutation("what reads programs", number_in("program_file.py", r"(\d+)")),
    Mutation("the engine's facts", number_in("engine.json", r": (\d+)")),
    Mutation("the picture", number_in("timeline.svg", r"(\d+)")),
)
OF_PROJECTS = (
    *OF_BOARDS,
    Mutation("a weight of the C simulation", number_in("firmware/weights/weight*.txt", r"(-?\d+)")),
    Mutation("a bias of the C simulation", number_in("firmware/weights/bias*.txt", r"(-?\d+)")),
    Mutation("a weight of synthesis", number_in("firmware/weights/weight*.h", _INTEGER)),
    Mutation("a bias of synthesis", number_in("firmware/weights/bias*.h", _INTEGER)),
    Mutation("a shift of synthesis", number_in("firmware/weights/shift*.h", _INTEGER)),
    Mutation("weights in memory", byte_in("firmware/memory/*.bin")),
    Mutation("a type", number_in("firmware/*.h", r"ap_u?int<(\d+)>", (-3, -1, 1))),
    Mutation("a type of a kernel", number_in("firmware/nnet_utils/edgekit_*.h", r"ap_u?int<(\d+)>", (-3, -1))),
    Mutation("a constant of a kernel", number_in("firmware/nnet_utils/edgekit_*.h", r"= (\d+);")),
    Mutation("a constant of a stage", number_in("firmware/parameters.h", r"static const \w+ \w+ = (-?\d+);")),
    Mutation("a FIFO's depth", number_in("firmware/edgekit_network.cpp", r"depth=(\d+)")),
    Mutation("a pragma", line_gone("firmware/**/*.[hc]*", r"^ *#pragma HLS .*\n")),
    Mutation("a folding", number_in("folding.json", r"\"pe\": (\d+)")),
)
