"""A bundle made again: every file that follows from the graph, the folding and the manifest's options, as this edgekit writes it.

The same arguments always give the same bytes, so a file of the bundle either is the one that was made here, or something else, whatever
its hash says. What has no origin in the bundle cannot be made again; `Remade.given` says of each such file what is checked instead.
Of an HLS project only what was made here is compiled: nothing that came from outside.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import (
    CLOCK_MHZ,
    ENGINE_FORM,
    ENGINE_IDENTITY,
    FORM,
    GOLDEN_INPUT,
    GOLDEN_OUTPUT,
    GRAPH,
    INTERFACE,
    LABELS,
    SENSITIVITY,
    TFLITE,
    Bundle,
    class_count,
    manifest_text,
)
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.fpga_projects.files import FOLDING, MAPPED, MAPPED_PICTURE, project_files
from edgekit.graph import IntegerGraph, write_onnx
from edgekit.graph.ir import WeightedOp
from edgekit.keras_models.qfx.sensitivity import read_sensitivity, sensitivity_json
from edgekit.plan import MANIFEST
from edgekit.progress import Note
from edgekit.targets import AXI_MASTER, Board, at_clock, check_interface, find_board
from edgekit.verify.golden import computed_again, golden_bytes, graph_golden, input_table, labels_text, stock_table

LABELS_CHECKED = "the names of the classes are whoever exported it's to say"
GOLDEN_INPUT_CHECKED = "images are data; the outputs for them were computed again"
SENSITIVITY_CHECKED = "it was measured on calibration images, which are not here; the layers that it names are the graph's"
MAPPED_CHECKED = "Yosys counted; 'edgekit hls --measure' has it count again"
STOCK_MODEL_CHECKED = "TensorFlow made it of a model that is not here; its outputs for the golden inputs were computed again"
STOCK_OUTPUT_CHECKED = "they were computed again and compared, as closely as the precision's tolerance says"


@dataclass(frozen=True)
class Remade:
    """`files`: what the bundle's have to be, by name. `given`: what cannot be made again -> what is known of it. `wrong`: files that were
    compared by what is in them -> what is wrong."""

    files: Mapping[str, bytes]
    given: Mapping[str, str]
    wrong: Mapping[str, str]


def remake(bundle: Bundle, note: Note = lambda _: None) -> Remade:
    """Makes it again, from what is in `bundle.artifact` and the files of foldings and golden inputs.

    Raises EdgekitError where the model, the folding or an option that it is made of is missing, or cannot be used.
    """
    graph = bundle.artifact.graph
    if bundle.manifest.kind == "hls":
        if graph is None:
            raise EdgekitError(f"{GRAPH} cannot be used, from which all else is made; export again")
        note("making the HLS project again")
        given = {SENSITIVITY: SENSITIVITY_CHECKED, MAPPED: MAPPED_CHECKED, MAPPED_PICTURE: MAPPED_CHECKED}
        wrong = _wrong_manifest(bundle) | _wrong_sensitivity(bundle, graph)
        return Remade({**remade_project(bundle), GRAPH: write_onnx(graph)}, given, wrong)
    from edgekit.tflite import device_scripts

    note("making the bundle again")
    given = {LABELS: LABELS_CHECKED, GOLDEN_INPUT: GOLDEN_INPUT_CHECKED, SENSITIVITY: SENSITIVITY_CHECKED}
    files, wrong = device_scripts(bundle.manifest.preprocessing.of), _wrong_manifest(bundle)
    if graph is not None:
        found, problems = _exact(bundle, graph)
    else:
        found, problems = _stock(bundle)
        given |= {TFLITE: STOCK_MODEL_CHECKED, GOLDEN_OUTPUT: STOCK_OUTPUT_CHECKED}
    return Remade({**files, **found}, given, {**wrong, **problems})


def remade_artifact(bundle: Bundle) -> Artifact:
    """The bundle's artifact with its HLS project, made again, where it is one of that kind. Raises EdgekitError as `remake` does."""
    return replace(bundle.artifact, hls_project=remade_project(bundle)) if bundle.manifest.kind == "hls" else bundle.artifact


def remade_project(bundle: Bundle) -> dict[str, bytes]:
    """The HLS project of a bundle's graph, folding and options. Raises EdgekitError."""
    from edgekit.hls import plan_of, read_folding

    graph = bundle.artifact.graph
    if graph is None:
        raise EdgekitError(f"{bundle.folder} has no {GRAPH} that could be used, of which the HLS project is made; export again")
    board, interface = _board(bundle)
    if bundle.manifest.options.get(FORM) is not None:
        return _engine_project(bundle, graph, board)
    planned = plan_of(graph, board, read_folding(_plain(bundle, FOLDING)))
    return project_files(graph, board, planned, interface)


def _engine_project(bundle: Bundle, graph: IntegerGraph, board: Board) -> dict[str, bytes]:
    from edgekit.fpga_projects.engine_plan import engine_project_files, plan_engine

    if bundle.manifest.options[FORM] != ENGINE_FORM:
        raise EdgekitError(f"{MANIFEST}: the option {FORM} is '{ENGINE_FORM}' where it is there; export again")
    plan = plan_engine(graph, board, board.clock_mhz)
    if bundle.manifest.options.get(ENGINE_IDENTITY) != f"{plan.identity:08x}":
        raise EdgekitError(f"{MANIFEST}: the option {ENGINE_IDENTITY} is not that of the engine that this edgekit writes; export again")
    return engine_project_files(graph, plan)


def _board(bundle: Bundle) -> tuple[Board, str]:
    """The board at the project's clock, and the interface."""
    options = bundle.manifest.options
    clock, interface = options.get(CLOCK_MHZ), options.get(INTERFACE, AXI_MASTER)
    if not (clock is None or (isinstance(clock, int | float) and not isinstance(clock, bool))) or not isinstance(interface, str):
        raise EdgekitError(f"{MANIFEST}: the options {CLOCK_MHZ} and {INTERFACE} are a number and a name; export again")
    board = at_clock(find_board(bundle.manifest.target), clock)
    check_interface(board, interface)
    return board, interface


def _plain(bundle: Bundle, name: str) -> Path:
    """The path of a file of the bundle that is a plain one inside it. Raises EdgekitError for any other."""
    path = bundle.folder / name
    if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(bundle.folder.resolve()):
        raise EdgekitError(f"{bundle.folder} has no plain file {name}; export again")
    return path


def _wrong_manifest(bundle: Bundle) -> dict[str, str]:
    """A manifest that says more, or says it in another way, than edgekit writes."""
    text = read_bounded(_plain(bundle, MANIFEST), MODEL_BYTES_MAX)
    return {} if text == manifest_text(bundle.manifest) else {MANIFEST: "is not as edgekit writes one"}


def _exact(bundle: Bundle, graph: IntegerGraph) -> tuple[dict[str, bytes], dict[str, str]]:
    from edgekit.tflite import write_tflite

    files = {TFLITE: write_tflite(graph), GRAPH: write_onnx(graph), **input_table(graph, bundle.manifest.preprocessing)}
    source, outputs = graph.tensors[graph.input], [graph.tensors[name] for name in graph.outputs]
    inputs = _golden_inputs(bundle, source.shape, np.dtype(np.int8))
    files[GOLDEN_OUTPUT] = golden_bytes(graph_golden(graph, inputs))
    wrong = _wrong_labels(bundle, class_count(bundle.manifest.answers, prod(outputs[0].shape)))
    wrong |= _wrong_sensitivity(bundle, graph)
    golden = bundle.manifest.golden
    if golden is None or (golden.executor, golden.tolerance, golden.inputs) != ("reference", 0.0, len(inputs)):
        wrong[MANIFEST] = "says other things of its golden vectors than edgekit does of an exact network's"
    return files, wrong | _wrong_crc(bundle, files[GOLDEN_OUTPUT])


def _stock(bundle: Bundle) -> tuple[dict[str, bytes], dict[str, str]]:
    """The outputs of a stock file are compared within the tolerance that its precision has; integers with equality."""
    tflite, golden = bundle.artifact.tflite, bundle.manifest.golden
    if tflite is None or golden is None:
        raise EdgekitError(f"{bundle.folder} has no {TFLITE} with golden vectors that could be used; export again")
    kind, table = stock_table(tflite, bundle.manifest.preprocessing)
    inputs = _golden_inputs(bundle, kind.shape, kind.dtype)
    computed = computed_again(tflite, inputs, golden.executor)
    recorded = read_bounded(_plain(bundle, GOLDEN_OUTPUT), MODEL_BYTES_MAX)
    wrong = _wrong_labels(bundle, class_count(bundle.manifest.answers, computed[0][0].size)) | _wrong_crc(bundle, recorded)
    if len(inputs) != golden.inputs:
        wrong[MANIFEST] = f"says {golden.inputs} golden inputs, and there are {len(inputs)}"
    if not _within(computed, recorded, golden.tolerance):
        wrong[GOLDEN_OUTPUT] = f"is not what {golden.executor} computes of {TFLITE} and {GOLDEN_INPUT}"
    return table, wrong


def _within(computed: list[Array], recorded: bytes, tolerance: float | None) -> bool:
    content = golden_bytes(computed)
    if content == recorded:
        return True
    if not tolerance or len(content) != len(recorded) or any(one.dtype != np.float32 for one in computed):
        return False
    now, then = (np.frombuffer(one, "<f4") for one in (content, recorded))
    return bool(np.abs(now - then).max() <= tolerance * max(1.0, float(np.abs(now).max())))


def _golden_inputs(bundle: Bundle, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    content = read_bounded(_plain(bundle, GOLDEN_INPUT), MODEL_BYTES_MAX)
    size = prod(shape) * dtype.itemsize
    if not content or len(content) % size:
        raise EdgekitError(f"{GOLDEN_INPUT} has {len(content):,} bytes, which is no number of inputs of {size:,}; export again")
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(-1, *shape)


def _wrong_crc(bundle: Bundle, output: bytes) -> dict[str, str]:
    golden = bundle.manifest.golden
    right = golden is None or golden.crc32 == f"{zlib.crc32(output):08x}"
    return {} if right else {MANIFEST: f"has another CRC32 of {GOLDEN_OUTPUT} than its content"}


def _wrong_labels(bundle: Bundle, classes: int) -> dict[str, str]:
    if (LABELS in bundle.manifest.files) != (classes > 0):
        return {LABELS: "names classes of outputs that are none" if classes == 0 else "is not in the manifest"}
    if classes == 0:
        return {}
    content = read_bounded(_plain(bundle, LABELS), MODEL_BYTES_MAX)
    lines = content.decode(errors="replace").split("\n")
    if len(lines) != classes + 1:
        return {LABELS: f"has {len(lines) - 1} lines for {classes} classes"}
    try:
        same = labels_text(lines[:-1], classes) == content
    except EdgekitError:
        same = False
    return {} if same else {LABELS: "has characters that cannot be printed"}


def _wrong_sensitivity(bundle: Bundle, graph: IntegerGraph) -> dict[str, str]:
    """Its numbers were measured; which layers it names, and how it is written, can be seen."""
    if SENSITIVITY not in bundle.manifest.files:
        return {}
    content = read_bounded(_plain(bundle, SENSITIVITY), MODEL_BYTES_MAX)
    try:
        losses = read_sensitivity(content)
    except EdgekitError as error:
        return {SENSITIVITY: str(error)}
    weighted = {op.name for op in graph.ops if isinstance(op, WeightedOp)}
    names = [loss.name for loss in losses]
    if len(set(names)) != len(names) or not weighted.issuperset(names):
        return {SENSITIVITY: "names other layers than those of the graph that have weights, each once"}
    return {} if sensitivity_json(losses) == content else {SENSITIVITY: "is not as edgekit writes one"}
