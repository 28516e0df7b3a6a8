"""A bundle: the folder that edgekit exports, with a manifest that says what it is and how it was made.

    manifest.json    the Manifest below as JSON
    model.onnx       the integer graph, of an exact network
    model.tflite     of kind "tflite", and with it:
    labels.txt       a line for each class, where outputs are classes
    golden/          input.bin and output.bin: inputs of the model and its outputs, one after the other, raw little-endian
    input_table.bin  what the input holds for each pixel: (channels, 256) values of the input's type, raw little-endian
    sensitivity.json what each layer loses, of an exact network that was reconstructed
    run.py           checks and runs the model on the device
    pixels.py        brings images to the model's size, for run.py
    values.py        instead of pixels.py and input_table.bin where the network takes no images
    everything else  of kind "hls": the HLS project, in the folder itself

What is read here may come from anyone: every field is checked, no name leaves the folder, only plain files are opened.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.accuracy import Accuracy, parse_accuracy
from edgekit.digest import digest_of, digest_of_file
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.files import MODEL_BYTES_MAX, check_path, read_bounded
from edgekit.graph import check
from edgekit.images.preprocessing import PIXELS as OF_PIXELS
from edgekit.images.preprocessing import VALUES as OF_VALUES
from edgekit.images.preprocessing import Preprocessing
from edgekit.plan import MANIFEST, MANIFEST_BYTES_MAX, SCHEMA, Plan, check_name
from edgekit.version import __version__

GRAPH, TFLITE, LABELS, RUN = "model.onnx", "model.tflite", "labels.txt", "run.py"
INPUT_TABLE, PIXELS, SENSITIVITY = "input_table.bin", "pixels.py", "sensitivity.json"
VALUES = "values.py"
GOLDEN_INPUT, GOLDEN_OUTPUT = "golden/input.bin", "golden/output.bin"
KINDS = ("tflite", "hls")
INTERFACE, CLOCK_MHZ, FORM, ENGINE_IDENTITY = "interface", "clock_mhz", "form", "engine"
"""Options of an HLS project's manifest that its files depend on, beside graph, board and folding. Projects of an engine name their form."""
ENGINE_FORM = "engine"
WEIGHT_ORIGINS = ("random", "file", "trained")
PACKAGES = ("tensorflow", "tf_keras", "qkeras", "hls4ml", "ai-edge-litert", "onnx", "onnxruntime", "numpy")

CHANGED = "changed since it was exported"
ANSWERS = CLASSES, PROBABILITY, LOGIT, NUMBERS = ("classes", "probability", "logit", "numbers")
"""What outputs are: a score for each class; of two classes, the second one's probability or its logit; or numbers, not classes at all."""

Option: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class WeightsSource:
    """Where weights came from: `origin` "random" with its seed, "file" with name and SHA-256, "trained" with the data's name in `file`."""

    origin: str
    seed: int | None = None
    file: str | None = None
    sha256: str | None = None
    accuracy: Accuracy | None = None


@dataclass(frozen=True)
class Golden:
    """Where the golden outputs of so many inputs come from, and how far a runtime's may be from them.

    `tolerance`: 0: every bit counts. Above: of float outputs, relative to the largest value (or 1). None: a stock integer file, whose
    kernel sets round in different ways: differences are reported only. `crc32`: of output.bin, zlib's, in hex.
    """

    executor: str
    inputs: int
    tolerance: float | None
    crc32: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`target` is a device for kind "tflite" and a board for "hls"; `files` holds the SHA-256, in hex, of each file but the manifest.

    `command` is what the user typed, as a list of words; `runtimes` are those that the model was made for, with their versions.
    `assumed`: nothing said what the preprocessing is, and -1..1 was taken. `answers` is one of ANSWERS.
    `versions` and `files` are filled in when the bundle is written.
    """

    kind: str
    network: str
    options: Mapping[str, Option]
    precision: str
    target: str
    weights: WeightsSource
    preprocessing: Preprocessing
    versions: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    runtimes: tuple[str, ...] = ()
    golden: Golden | None = None
    assumed: bool = False
    answers: str = CLASSES


@dataclass(frozen=True)
class Bundle:
    """`changed`: name of each file that is no longer what was exported, and how. A changed model is not loaded into `artifact`.

    The artifact has no HLS project: nothing in the folder is compiled. edgekit.verify.remake makes the project again.
    """

    folder: Path
    manifest: Manifest
    artifact: Artifact
    changed: Mapping[str, str]


def class_count(answers: str, values: int) -> int:
    """How many classes outputs tell apart that are `answers`, the first one of so many values; 0 where there are none."""
    return {CLASSES: values, NUMBERS: 0}.get(answers, 2)


def bundle_plan(files: Mapping[str, bytes], manifest: Manifest) -> Plan:
    """The files and their manifest, ready to write; what `manifest` says of files and versions is filled in here."""
    hashes = {name: digest_of(content) for name, content in sorted(files.items())}
    text = manifest_text(dataclasses.replace(manifest, files=hashes, versions=versions()))
    parse_manifest(text)  # what is written can be read
    return Plan({**files, MANIFEST: text})


def manifest_text(manifest: Manifest) -> bytes:
    """The manifest as its file has it; parse_manifest is the inverse."""
    return (json.dumps({"schema": SCHEMA, **_as_json(manifest)}, indent=2) + "\n").encode()


def _as_json(manifest: Manifest) -> dict[str, Any]:
    """What most networks have in common stands there only where it is otherwise; `assumed` with the preprocessing."""
    fields = dataclasses.asdict(manifest)
    if fields.pop("assumed"):
        fields["preprocessing"]["assumed"] = True
    if manifest.preprocessing.of == OF_PIXELS:
        fields["preprocessing"].pop("of")
    if manifest.answers == CLASSES:
        fields.pop("answers")
    return fields


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that may change a bundle's bytes, by name."""
    found = {"python": platform.python_version(), "edgekit": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def open_bundle(folder: Path) -> Bundle:
    """Reads and checks a bundle. Raises EdgekitError where it is no bundle, or its manifest or an unchanged model is broken."""
    check_path(folder)
    if not folder.is_dir():
        raise EdgekitError(f"{folder} is no folder; name one that 'edgekit export' or 'edgekit hls' wrote")
    path = folder / MANIFEST
    if not path.is_file():
        raise EdgekitError(f"{folder} has no {MANIFEST}; name a folder that 'edgekit export' or 'edgekit hls' wrote")
    manifest = parse_manifest(read_bounded(path, MANIFEST_BYTES_MAX))
    changed = {name: problem for name, digest in manifest.files.items() if (problem := _change(folder, name, digest))}

    return Bundle(folder, manifest, _artifact(folder, [name for name in manifest.files if name not in changed]), changed)


def with_changes(bundle: Bundle) -> Bundle:
    """The same with its changed models loaded, too, for who takes responsibility for them. Raises EdgekitError where one is broken."""
    there = [name for name, problem in bundle.changed.items() if problem == CHANGED]
    names = [name for name in bundle.manifest.files if name not in bundle.changed or name in there]
    return dataclasses.replace(bundle, artifact=_artifact(bundle.folder, names))


def _artifact(folder: Path, names: Collection[str]) -> Artifact:
    """Those of the models that are among the names."""

    def model(name: str) -> bytes | None:
        return read_bounded(folder / name, MODEL_BYTES_MAX) if name in names else None

    onnx, graph = model(GRAPH), None
    if onnx is not None:
        from edgekit.graph import read_onnx

        graph = read_onnx(onnx)
        check(graph)
    return Artifact(graph, model(TFLITE))


def parse_manifest(text: bytes) -> Manifest:
    """JSON -> Manifest. Raises EdgekitError naming the field that is wrong."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EdgekitError(f"{MANIFEST} is not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise EdgekitError(f"{MANIFEST} is not of schema '{SCHEMA}'; export again with this version of edgekit")
    weights, preprocessing = _object(data, "weights"), _object(data, "preprocessing")
    manifest = Manifest(
        kind=_choice(data, "kind", KINDS),
        network=_text(data, "network"),
        options=_map(data, "options", str | int | float | bool | None),
        precision=_text(data, "precision"),
        target=_text(data, "target"),
        weights=WeightsSource(
            _choice(weights, "origin", WEIGHT_ORIGINS, "weights."),
            _field(weights, "seed", int | None, "weights."),
            _field(weights, "file", str | None, "weights."),
            _field(weights, "sha256", str | None, "weights."),
            _accuracy(weights),
        ),
        preprocessing=Preprocessing(
            _numbers(preprocessing, "mean"),
            _numbers(preprocessing, "std"),
            _choice({"of": OF_PIXELS} | preprocessing, "of", (OF_PIXELS, OF_VALUES), "preprocessing."),
        ),
        versions=_map(data, "versions", str),
        command=tuple(_list(data, "command", str)),
        files=_map(data, "files", str),
        runtimes=tuple(_list(data, "runtimes", str)),
        golden=_golden(data),
        assumed=_field({"assumed": False} | preprocessing, "assumed", bool, "preprocessing."),
        answers=_choice({"answers": CLASSES} | data, "answers", ANSWERS),
    )
    if 0.0 in manifest.preprocessing.std or not manifest.preprocessing.mean:
        raise _wrong("preprocessing", "needs a mean, and a std that is not 0")
    for name, digest in manifest.files.items():
        check_name(name)
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise _wrong("files", f"'{name}' has no SHA-256")
    if manifest.kind == "tflite" and TFLITE not in manifest.files:
        raise _wrong("files", f"a bundle of kind 'tflite' has a {TFLITE}")
    if manifest.kind == "hls" and GRAPH not in manifest.files:
        raise _wrong("files", f"a bundle of kind 'hls' has a {GRAPH}")
    return manifest


def _accuracy(weights: Mapping[str, Any]) -> Accuracy | None:
    try:
        return parse_accuracy(weights.get("accuracy"))
    except ValueError as error:
        raise _wrong("weights.accuracy", str(error)) from error


def _golden(data: Mapping[str, Any]) -> Golden | None:
    if "golden" not in data:
        raise _wrong("golden", "is missing")
    found = _field(data, "golden", dict | None)
    if found is None:
        return None
    tolerance = _field(found, "tolerance", int | float | None, "golden.")
    golden = Golden(_text(found, "executor"), _field(found, "inputs", int | None, "golden."), tolerance, _text(found, "crc32"))
    if not golden.inputs or golden.inputs < 1 or (tolerance is not None and tolerance < 0):
        raise _wrong("golden", "needs at least one input, and a tolerance that is not below 0")
    return golden


def _change(folder: Path, name: str, digest: str) -> str | None:
    """How a file differs from what was exported, or None. Never opens what is no plain file inside the folder."""
    path = folder / name
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        return "is a link now"
    if not path.is_file():
        return "is missing"
    if path.stat().st_size > MODEL_BYTES_MAX:
        return f"is larger than {MODEL_BYTES_MAX:,} bytes now"
    try:
        return None if digest_of_file(path) == digest else CHANGED
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _wrong(field: str, problem: str) -> EdgekitError:
    return EdgekitError(f"{MANIFEST}: '{field}' {problem}; export again")


def _field(data: Mapping[str, Any], name: str, kind: Any, path: str = "") -> Any:
    if name not in data:
        raise _wrong(path + name, "is missing")
    value = data[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind == int | None):
        raise _wrong(path + name, f"is of type {type(value).__name__}, not {getattr(kind, '__name__', kind)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(path + name, "is not a finite number")
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    text = _field(data, name, str)
    if not text.isprintable() or not 0 < len(text) <= 1000:
        raise _wrong(name, "is empty, very long, or has unprintable characters")
    return str(text)


def _choice(data: Mapping[str, Any], name: str, known: tuple[str, ...], path: str = "") -> str:
    value = _field(data, name, str, path)
    if value not in known:
        raise _wrong(path + name, f"is {value!r}, not one of {', '.join(known)}")
    return str(value)


def _object(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(_field(data, name, dict))


def _map(data: Mapping[str, Any], name: str, kind: Any) -> dict[str, Any]:
    found = _object(data, name)
    return {key: _field(found, key, kind, f"{name}.") for key in found}


def _list(data: Mapping[str, Any], name: str, kind: Any, path: str = "") -> list[Any]:
    values = _field(data, name, list, path)
    return [_field({name: value}, name, kind, path) for value in values]


def _numbers(data: Mapping[str, Any], name: str) -> tuple[float, ...]:
    return tuple(float(value) for value in _list(data, name, int | float, "preprocessing."))
