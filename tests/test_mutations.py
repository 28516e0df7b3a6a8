"""Damaged files of every kind, through the reader of that kind: it reads them, or refuses them with EdgekitError; no other error leaves it.

A few in every run; `make test-slow` takes a thousand of each kind, most of them seconds.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, is_zipfile

import numpy as np
import pytest
from random_graphs import random_graph

from edgekit.errors import EdgekitError

GOLDEN = Path(__file__).parent / "golden"
FEW, MANY = 12, 1000
SECONDS_MAX, BYTES_MAX = 10, 1 << 30
ODD_VALUES = (None, True, -1, 0, 1 << 70, 1e308, "", "x" * 300, "\0", "../..", [], {}, [[]], {"": None}, "NaN")


@dataclass(frozen=True)
class Kind:
    """`make()` gives a whole file and `read(path)` reads one. `steps`: every so many mutations are read, where one takes long."""

    name: str
    suffix: str
    make: Callable[[], bytes]
    read: Callable[[Path], Any]
    few: int = FEW


def golden(name: str) -> Callable[[], bytes]:
    def make() -> bytes:
        content = (GOLDEN / name).read_bytes()
        return gzip.decompress(content) if name.endswith(".gz") else content

    return make


def text(value: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(value).encode()


def graph_file() -> bytes:
    from edgekit.graph.onnx_write import write_onnx

    return write_onnx(random_graph(np.random.default_rng(1)))


def tflite_file() -> bytes:
    from edgekit.tflite.writer import write_tflite

    return write_tflite(random_graph(np.random.default_rng(1)))


def safetensors() -> bytes:
    values = {"features.0.weight": np.arange(12, dtype="<f4").reshape(3, 4), "head.bias": np.arange(5, dtype="<i8")}
    header, data = {}, b""
    for name, array in values.items():
        kind = {"f": "F32", "i": "I64"}[array.dtype.kind]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data


def manifest() -> bytes:
    from edgekit.bundle import Manifest, WeightsSource, bundle_plan
    from edgekit.images.preprocessing import MINUS_ONE_TO_ONE

    made = Manifest(
        kind="tflite",
        network="small",
        options={"alpha": 1.0},
        precision="qfx",
        target="rpi4",
        weights=WeightsSource("random", seed=0),
        preprocessing=MINUS_ONE_TO_ONE,
        command=("edgekit", "export"),
    )
    return bundle_plan({"model.tflite": b"TFL3", "labels.txt": b"a\nb\n"}, made).files["manifest.json"]


def image(kind: str) -> Callable[[], bytes]:
    def make() -> bytes:
        from PIL import Image

        stream = BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)).save(stream, kind)
        return stream.getvalue()

    return make


def weights_h5() -> bytes:
    import h5py

    stream = BytesIO()
    with h5py.File(stream, "w") as file:
        for name in ("conv", "dense"):
            group = file.create_group(name)
            for part in ("kernel:0", "bias:0"):
                group.create_dataset(f"{name}/{part}", data=np.arange(24, dtype="f4").reshape(4, 6), compression="gzip")
            group.attrs["weight_names"] = [f"{name}/kernel:0", f"{name}/bias:0"]
        file.attrs["layer_names"] = ["conv", "dense"]
    return stream.getvalue()


REPORT = """<profile><UserAssignments><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments><PerformanceEstimates>
<SummaryOfOverallLatency><Worst-caseLatency>100</Worst-caseLatency><Interval-max>90</Interval-max></SummaryOfOverallLatency>
</PerformanceEstimates><AreaEstimates><Resources><BRAM_18K>3</BRAM_18K><LUT>9</LUT><FF>8</FF><DSP>2</DSP></Resources></AreaEstimates>
</profile>"""
DESCRIPTION = {
    "graph": "small",
    "input": {"name": "image", "shape": [8, 8, 3], "signed": True},
    "outputs": [{"name": "out", "shape": [10], "signed": True}],
    "layers": [{"name": "conv", "values": 64, "tensors": [{"name": "conv", "shape": [8, 8, 1], "signed": False}]}],
}
LATENCY = {"schema": "edgekit-latency/1", "problem": None, "golden": {"inputs": 1}, "latency_ms": {"p50": 1.0}}


def read_graph(path: Path) -> None:
    from edgekit.graph import is_integer_graph, read_onnx

    is_integer_graph(path.read_bytes())
    read_onnx(path.read_bytes())


def read_float_onnx(path: Path) -> None:
    from edgekit.keras_models.files.onnx_model import read_onnx_model

    read_onnx_model(path)


def read_tflite(path: Path) -> None:
    from edgekit.tflite.float_reader import read_float_network
    from edgekit.tflite.reader import describe, probe, smallest_softmax_scale

    content = path.read_bytes()
    for read in (describe, probe, smallest_softmax_scale, read_float_network):
        read(content)


def read_keras(path: Path) -> None:
    from edgekit.jobs.model_files import read_model

    read_model(path)


def read_h5(path: Path) -> None:
    """What every reader of such weights does: the file is looked through, then read."""
    from edgekit.keras_models.files.hdf5 import open_hdf5
    from edgekit.keras_models.weights.load import _legacy_tensors

    with open_hdf5(path) as file:
        for datasets in _legacy_tensors(file).values():
            for dataset in datasets:
                dataset[()]


def read_checkpoint(path: Path) -> None:
    from edgekit.keras_models.files import checkpoints

    checkpoints.read_checkpoint(path)


def training_checkpoint() -> bytes:
    from edgekit.keras_models.training.checkpoint import MEMBER, SCHEMA

    stream = BytesIO()
    np.savez(stream, now_0=np.zeros((3, 4), np.float32), now_1=np.zeros(2, np.int64))
    step = {"epoch": 1, "epochs": 2, "batch": 3, "batches": 3, "loss": 0.5, "accuracy": 0.5, "held_out": None}
    with ZipFile(stream, "a") as archive:
        archive.writestr(MEMBER, json.dumps({"schema": SCHEMA, "words": {"epochs": 2, "patience": None}, "history": [step]}))
    return stream.getvalue()


def read_training_checkpoint(path: Path) -> None:
    from edgekit.keras_models.training.checkpoint import read_checkpoint

    read_checkpoint(path, {"epochs": 2, "patience": None}, [np.zeros((3, 4), np.float32), np.zeros(2, np.int64)], 1)


def samples(suffix: str) -> Callable[[], bytes]:
    def make() -> bytes:
        stream, x = BytesIO(), np.arange(24, dtype=np.float32).reshape(4, 6)
        if suffix == ".npy":
            np.save(stream, x)
        else:
            np.savez_compressed(stream, x=x, y=np.arange(4))
        return stream.getvalue()

    return make


def read_arrays(path: Path) -> None:
    from edgekit.jobs.samples import read_samples

    read_samples(path)


GRAPH = "saved_model.pb"


@cache
def saved_model() -> dict[str, bytes]:
    """The files of a SavedModel that Keras wrote."""
    from tempfile import TemporaryDirectory

    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    model = keras.Sequential([keras.layers.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()])
    with TemporaryDirectory() as folder:
        model.save(folder, save_format="tf")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def part_of_saved_model(changed: str) -> tuple[Callable[[], bytes], Callable[[Path], None]]:
    """How one file of a SavedModel is made, and how the model is read with that file changed."""

    def read(path: Path) -> None:
        from edgekit.jobs.model_files import read_model

        folder = path.with_suffix(".saved")
        for name, content in (saved_model() | {changed: path.read_bytes()}).items():
            if changed == GRAPH and name == "keras_metadata.pb":
                continue  # where Keras' configuration is, the graph is not read
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        read_model(folder)

    return lambda: saved_model()[changed], read


def read_manifest(path: Path) -> None:
    from edgekit.bundle import open_bundle, parse_manifest

    parse_manifest(path.read_bytes())
    folder = path.with_suffix(".bundle")
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(path.read_bytes())
    open_bundle(folder)


def read_labels(path: Path) -> None:
    from edgekit.jobs import labels

    labels.read_labels(path)


def read_folding(path: Path) -> None:
    from edgekit.hls import folding

    folding.read_folding(path)


def read_precisions(path: Path) -> None:
    from edgekit.keras_models.qfx import precision

    precision.read_precisions(path)


def read_results(path: Path) -> None:
    from edgekit.bench import results

    results.read_results(path)


def read_description(path: Path) -> None:
    from edgekit.hls.project import description

    folder = path.with_suffix(".project")
    folder.mkdir(exist_ok=True)
    (folder / description.FILE_NAME).write_bytes(path.read_bytes())
    description.read_description(folder)


def read_report(path: Path) -> None:
    from edgekit.hls.simulation import synthesis

    folder = path.with_suffix(".project")
    (folder / synthesis.REPORTS).mkdir(parents=True, exist_ok=True)
    (folder / synthesis.REPORTS / f"{synthesis.NETWORK}_csynth.xml").write_bytes(path.read_bytes())
    synthesis.read_reports(folder)


def read_latency(path: Path) -> None:
    from edgekit.tflite.application import parse_report

    parse_report(path.read_bytes().decode(errors="replace"))


def read_image(path: Path) -> None:
    from edgekit.images.decoding import decode

    decode(path)


KINDS = (
    Kind("integer graph", ".onnx", graph_file, read_graph),
    Kind("trained integer graph", ".onnx", golden("qfx.onnx.gz"), read_graph),
    Kind("float ONNX", ".onnx", golden("torch_exported_opset13.onnx"), read_float_onnx, few=4),
    Kind("TFLite", ".tflite", tflite_file, read_tflite),
    Kind("Keras 3 archive", ".keras", golden("keras3_sequential.keras"), read_keras, few=4),
    Kind("Keras 3 HDF5", ".h5", golden("keras3_sequential.h5"), read_keras, few=4),
    Kind("QFX archive", ".keras", golden("qfx_trained.keras"), read_keras, few=3),
    Kind("HDF5 weights", ".h5", weights_h5, read_h5),
    Kind("PyTorch archive", ".pth", golden("tiny_state_dict.pth"), read_checkpoint),
    Kind("PyTorch training state", ".pth", golden("tiny_training_checkpoint.pth"), read_checkpoint),
    Kind("PyTorch legacy", ".pth", golden("tiny_legacy.pth"), read_checkpoint),
    Kind("npz", ".npz", golden("tiny_state_dict.npz"), read_checkpoint),
    Kind("safetensors", ".safetensors", safetensors, read_checkpoint),
    Kind("training checkpoint", ".checkpoint", training_checkpoint, read_training_checkpoint),
    Kind("inputs, npy", ".npy", samples(".npy"), read_arrays),
    Kind("inputs, npz", ".npz", samples(".npz"), read_arrays),
    Kind("SavedModel, graph", ".pb", *part_of_saved_model(GRAPH), few=2),
    Kind("SavedModel, Keras", ".pb", *part_of_saved_model("keras_metadata.pb"), few=2),
    Kind("SavedModel, variables", ".index", *part_of_saved_model("variables/variables.index"), few=2),
    Kind("manifest", ".json", manifest, read_manifest),
    Kind("labels", ".txt", lambda: "tench\ngoldfish\nécole\n".encode(), read_labels),
    Kind("folding", ".json", text({"conv": {"pe": 4, "simd": 2, "weights": "rom"}}), read_folding),
    Kind("precisions", ".json", text({"conv*": {"weight_bits": 4, "k_hot": 2}}), read_precisions),
    Kind("bench results", ".json", text({"schema": "edgekit-bench/1", "results": [{"time": "now", "network": "small"}]}), read_results),
    Kind("project description", ".json", text(DESCRIPTION), read_description),
    Kind("synthesis report", ".xml", REPORT.encode, read_report),
    Kind("latency report", ".json", text(LATENCY), read_latency),
    *(Kind(f"image {kind}", f".{kind.lower()}", image(kind), read_image) for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "PPM")),
)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Inside an archive or JSON most mutations would fall to a checksum or the grammar; so half are of what is in them."""
    if rng.integers(2):
        if is_zipfile(BytesIO(content)):
            return _mutated_archive(content, rng)
        if content[:1] in (b"{", b"["):
            return _mutated_json(content, rng)
    return _mutated_bytes(content, rng)


def _mutated_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(found) or 1))
        length = int(rng.integers(1, 9))
        match int(rng.integers(7)):
            case 0 if found:
                found[at] ^= 1 << int(rng.integers(8))
            case 1:
                found[at : at + length] = rng.bytes(length)
            case 2:
                found[at : at + length] = b"\xff" * length
            case 3:
                found[at : at + length] = bytes(length)
            case 4:
                found[at:at] = rng.bytes(length)
            case 5:
                del found[at : at + length * 8]
            case _:
                other = int(rng.integers(len(found) or 1))
                found[at : at + length * 4] = found[other : other + length * 4]
    return bytes(found[: int(rng.integers(len(found) + 1))] if rng.integers(8) == 0 else found)


def _mutated_archive(content: bytes, rng: np.random.Generator) -> bytes:
    """One member is changed, or goes; the archive is whole."""
    with ZipFile(BytesIO(content)) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = list(members)[int(rng.integers(len(members)))]
    if rng.integers(10) == 0:
        del members[name]
    else:
        members[name] = mutated(members[name], rng)
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED if rng.integers(4) == 0 else ZIP_STORED) as archive:
        for one, value in members.items():
            archive.writestr(one, value)
    return stream.getvalue()


def _mutated_json(content: bytes, rng: np.random.Generator) -> bytes:
    """One value anywhere is another one, or goes."""
    try:
        root = json.loads(content)
    except (ValueError, RecursionError):
        return _mutated_bytes(content, rng)
    holders: list[tuple[Any, Any]] = []

    def look(node: Any) -> None:
        for key, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
            holders.append((node, key))
            look(value)

    look(root)
    if not holders:
        return b"null"
    node, key = holders[int(rng.integers(len(holders)))]
    if rng.integers(6) == 0:
        del node[key]
    else:
        node[key] = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
    return json.dumps(root).encode()


def peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def read_mutations(kind: Kind, folder: Path, count: int) -> None:
    whole, path = kind.make(), folder / f"file{kind.suffix}"
    path.write_bytes(whole)
    try:
        kind.read(path)
    except EdgekitError as error:  # a manifest's files are not there
        assert "damaged" not in str(error) and "not read" not in str(error), error
    for number in range(count):
        rng = np.random.default_rng([zlib.crc32(kind.name.encode()), number])
        path.write_bytes(mutated(whole, rng))
        Path("/proc/self/clear_refs").write_text("5")  # of this file alone: TensorFlow keeps a few MB of every model that was read
        before = peak_bytes()
        begun = time.process_time()
        try:
            kind.read(path)
        except EdgekitError as error:
            assert str(error)
        except Exception as error:
            raise AssertionError(f"mutation {number} of a file of kind '{kind.name}'") from error
        assert time.process_time() - begun < SECONDS_MAX, number
        assert peak_bytes() - before < BYTES_MAX, number


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_few_mutations(kind: Kind, tmp_path: Path) -> None:
    read_mutations(kind, tmp_path, kind.few)


def test_a_text_as_long_as_its_place_says_takes_no_memory(tmp_path: Path) -> None:
    """A text is kept as its length, the heap in which it lies, and its number there: the first two of one are damaged."""
    content, path = bytearray(weights_h5()), tmp_path / "long.h5"
    heap = content.find(b"GCOL").to_bytes(8, "little")
    place = content.find(heap)
    assert place > 0
    content[place - 4 : place + 8] = (3 << 30).to_bytes(4, "little") + (7 << 40).to_bytes(8, "little")
    path.write_bytes(content)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_bytes()
    with pytest.raises(EdgekitError, match="is damaged"):
        read_h5(path)
    assert peak_bytes() - before < 1 << 28


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_thousand_mutations(kind: Kind, tmp_path: Path) -> None:
    read_mutations(kind, tmp_path, MANY)
