"""Files and folders that no command should take, each wrong in its way; made in one folder, mostly small."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from random_graphs import random_graph

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = ("keras", "h5", "onnx", "tflite", "npz", "pth", "safetensors", "txt", "json")


def make_bad_inputs(folder: Path) -> None:
    for suffix in SUFFIXES:
        os.mkfifo(folder / f"pipe.{suffix}")
        (folder / f"zero.{suffix}").symlink_to("/dev/zero")
        (folder / f"circle.{suffix}").symlink_to(f"circle.{suffix}")
        (folder / f"folder.{suffix}").mkdir()
        (folder / f"empty.{suffix}").touch()
        (folder / f"noise.{suffix}").write_bytes(np.random.default_rng(0).bytes(4096))
    (folder / "circle").symlink_to("circle")
    (folder / "file").touch()
    _keras_files(folder)
    _arrays(folder)
    _graphs(folder)
    _images(folder)
    _bundles(folder)


def _archive(path: Path, members: Mapping[str, bytes]) -> None:
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _keras_files(folder: Path) -> None:
    whole = (GOLDEN / "keras3_functional.keras").read_bytes()
    with ZipFile(BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    zeros = bytes(192 << 20)
    _archive(folder / "config_bomb.keras", members | {"config.json": b" " * (20 << 20)})
    _archive(folder / "weights_bomb.keras", members | {"model.weights.h5": zeros})
    (folder / "cut.keras").write_bytes(whole[: len(whole) // 2])
    config = json.loads(members["config.json"])
    dense = next(layer for layer in config["config"]["layers"] if layer["class_name"] in ("Dense", "Conv2D"))
    dense["config"]["units" if dense["class_name"] == "Dense" else "filters"] = 10**9
    _archive(folder / "wide.keras", members | {"config.json": json.dumps(config).encode()})
    _archive(folder / "deep.keras", members | {"config.json": b"[" * 100_000})
    h5 = bytearray((GOLDEN / "keras3_sequential.h5").read_bytes())
    (folder / "cut.h5").write_bytes(h5[: len(h5) // 3])
    _damaged_h5(folder / "damaged.h5")
    _declared_h5(folder / "declared.h5")


def _damaged_h5(path: Path) -> None:
    """The weights of a network of the zoo, whole to look at, but a compressed chunk of numbers is damaged: h5py says so when it is read."""
    import h5py

    import edgekit

    source = path.with_name("whole.h5")
    edgekit.build_model("mobilenet_v1", alpha=0.25, size=32).save_weights(source)
    with h5py.File(source) as whole, h5py.File(path, "w") as file:
        for group in (whole, *(one for one in whole.values() if isinstance(one, h5py.Group))):
            file.require_group(group.name).attrs.update(dict(group.attrs))
        found: list[str] = []
        whole.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in found:
            values = whole[name][()]
            stored = file.create_dataset(name, data=values, chunks=values.shape, compression="gzip")
        chunk = stored.id.get_chunk_info(0)
    source.unlink()
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 40] = bytes(40)
    path.write_bytes(content)


def _declared_h5(path: Path) -> None:
    """Tensors of 1.6 GB of which nothing is stored."""
    import h5py

    with h5py.File(path, "w") as file:
        file.create_group("Conv1").create_dataset("kernel:0", shape=(400 << 20,), dtype="f4", chunks=(1 << 20,))
        file["Conv1"].attrs["weight_names"] = ["kernel:0"]
        file.attrs["layer_names"] = ["Conv1"]


def _arrays(folder: Path) -> None:
    npy = BytesIO()
    np.save(npy, np.zeros(3, np.float32))
    broken = npy.getvalue().replace(b"{'descr'", b"((((('de")
    _archive(folder / "parentheses.npz", {"a.npy": broken})
    _archive(folder / "bomb.npz", {"a.npy": npy.getvalue() + bytes(192 << 20)})
    pickled = BytesIO()
    np.savez(pickled, a=np.array([{}], dtype=object))
    (folder / "objects.npz").write_bytes(pickled.getvalue())
    (folder / "long.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    torch = (GOLDEN / "tiny_state_dict.pth").read_bytes()
    (folder / "cut.pth").write_bytes(torch[: len(torch) // 2])
    (folder / "system.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00trueq\x00\x85Rq\x01.")


def _graphs(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    from edgekit.graph.onnx_write import write_onnx
    from edgekit.tflite.reader import parse
    from edgekit.tflite.writer import write_tflite

    graph = random_graph(np.random.default_rng(1))
    whole = write_onnx(graph)
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    model = onnx.load_from_string(whole)
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[1:3]:
        dimension.dim_value = 1 << 20
    (folder / "huge.onnx").write_bytes(model.SerializeToString())
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 30_000, 30_000)) for name in "xy"]
    _onnx(folder / "huge_float.onnx", nodes, ends)
    small = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8)) for name in "xy"]
    shape = helper.make_tensor("shape", TensorProto.INT64, (2,), (1 << 20, 1 << 20))
    fill = helper.make_node("ConstantOfShape", ["shape"], ["filled"])
    _onnx(folder / "filled.onnx", [fill, helper.make_node("Add", ["x", "filled"], ["y"])], small, [shape])
    steps = [helper.make_tensor(name, TensorProto.INT64, (), (value,)) for name, value in (("a", 0), ("b", 1 << 40), ("c", 1))]
    counted = helper.make_node("Range", ["a", "b", "c"], ["counted"])
    _onnx(folder / "range.onnx", [counted, helper.make_node("Add", ["x", "counted"], ["y"])], small, steps)
    tflite = write_tflite(graph)
    (folder / "cut.tflite").write_bytes(tflite[: len(tflite) // 2])
    from edgekit.tflite.flatbuffer import pack

    parsed = parse(tflite)
    parsed.subgraphs[0].tensors[int(parsed.subgraphs[0].inputs[0])].shape = np.array([1, 1 << 20, 1 << 20, 3], np.int32)
    (folder / "huge.tflite").write_bytes(pack(parsed))


def _onnx(path: Path, nodes: list[Any], ends: list[Any], constants: list[Any] | None = None) -> None:
    from onnx import helper

    made = helper.make_graph(nodes, "made", ends[:1], ends[1:], constants or [])
    path.write_bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def _images(folder: Path) -> None:
    from PIL import Image

    def kept(name: str) -> Path:
        (folder / name / "class").mkdir(parents=True)
        return folder / name / "class"

    (folder / "images_empty").mkdir()
    os.mkfifo(kept("images_pipe") / "a.png")
    (kept("images_zero") / "a.png").symlink_to("/dev/zero")
    (kept("images_circle") / "a.png").symlink_to("a.png")
    (kept("images_noise") / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnoise")
    (kept("images_huge") / "a.png").write_bytes(_png(13_000, 13_000))
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(kept("images_float") / "a.tiff")
    Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8)).save(kept("images_int32") / "a.tiff")


def _png(columns: int, rows: int) -> bytes:
    """A black image of 1 bit a pixel, whatever its size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = columns.to_bytes(4, "big") + rows.to_bytes(4, "big") + b"\x01\0\0\0\0"
    lines = zlib.compress(bytes((1 + (columns + 7) // 8) * rows), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def _bundles(folder: Path) -> None:
    from edgekit.bundle import Manifest, WeightsSource, bundle_plan
    from edgekit.graph.onnx_write import write_onnx
    from edgekit.images.preprocessing import MINUS_ONE_TO_ONE
    from edgekit.tflite.writer import write_tflite

    graph = random_graph(np.random.default_rng(1))
    manifest = Manifest(
        kind="tflite",
        network="small",
        options={},
        precision="qfx",
        target="rpi4",
        weights=WeightsSource("random", seed=0),
        preprocessing=MINUS_ONE_TO_ONE,
        command=("edgekit", "export"),
    )
    plan = bundle_plan({"model.tflite": write_tflite(graph), "model.onnx": write_onnx(graph)}, manifest)
    text = plan.files["manifest.json"]
    for name in ("good", "bundle_pipe", "bundle_text", "bundle_deep", "bundle_out", "bundle_link", "bundle_kind", "bundle_damaged"):
        (folder / name).mkdir()
        for file, content in plan.files.items():
            (folder / name / file).write_bytes(content)
    for name in ("bundle_pipe", "bundle_link"):
        (folder / name / "manifest.json").unlink()
    os.mkfifo(folder / "bundle_pipe" / "manifest.json")
    (folder / "bundle_link" / "manifest.json").symlink_to("/dev/zero")
    (folder / "bundle_text" / "manifest.json").write_bytes(text[: len(text) // 2])
    (folder / "bundle_deep" / "manifest.json").write_bytes(b"[" * 100_000)
    (folder / "bundle_out" / "manifest.json").write_bytes(text.replace(b"model.onnx", b"../../file"))
    (folder / "bundle_kind" / "manifest.json").write_bytes(text.replace(b'"tflite"', b'"firmware"', 1))
    onnx = bytearray(plan.files["model.onnx"])
    from edgekit.digest import digest_of

    onnx[len(onnx) // 2 :] = b""
    (folder / "bundle_damaged" / "model.onnx").write_bytes(onnx)
    changed = text.replace(digest_of(plan.files["model.onnx"]).encode(), digest_of(bytes(onnx)).encode())
    (folder / "bundle_damaged" / "manifest.json").write_bytes(changed)
