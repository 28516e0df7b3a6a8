#!/usr/bin/env python3
"""Runs the model of this folder on the device: checks it, classifies an image, measures its latency.

    python3 run.py check                  is every file unchanged, and does this runtime compute the golden outputs?
    python3 run.py classify photo.jpg     check, then the five best classes (.npy, .ppm and .bmp; others need Pillow)
    python3 run.py predict INPUTS.npy     check, then what the model gives, for outputs that are no classes; -o OUT.npz keeps it.
                                          A model that takes no images takes .npy here and in classify: one input, or several
    python3 run.py time                   check, then the latency
    python3 run.py runtimes               what this Python can import
    python3 run.py tensors MODEL.tflite INPUTS.npy OUTPUTS.npz     what `edgekit verify` compares; checks nothing

Needs Python 3.9 or newer, numpy, and ai-edge-litert or tflite-runtime. Exit codes: 0 done, 1 the check failed, 2 it cannot be done.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SCHEMA = "edgekit/1"
MODEL, INPUT, OUTPUT, LABELS = "model.tflite", "golden/input.bin", "golden/output.bin", "labels.txt"
PIXELS, TABLE, VALUES = "pixels.py", "input_table.bin", "values.py"
MODULES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
KERNELS = {"reference": "BUILTIN_REF", "optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "BUILTIN"}
BEST = 5
SHOWN = 8
Result = dict[str, Any]
Golden = tuple[Result, bytes, bytes]
Array = Any
PIXELS_MAX = 1 << 28
ASSUMED = (
    "when this model was exported, nothing said how its images are normalized; -1..1 was assumed. If it was trained on anything else, "
    "what is shown below is wrong: export again with --preprocessing"
)


class Failed(Exception):
    """The check failed: exit code 1."""


class Refused(Exception):
    """The request cannot be carried out: exit code 2."""


def main(words: Sequence[str] | None = None) -> int:
    options = parser().parse_args(words)
    try:
        result = options.run(options)
    except (Failed, Refused) as error:
        if options.json:
            print(json.dumps({"schema": SCHEMA, "error": str(error)}))
        else:
            print(f"run.py: {error}", file=sys.stderr)
        return 1 if isinstance(error, Failed) else 2
    if options.json:
        print(json.dumps({"schema": SCHEMA, **result}, indent=2, allow_nan=False))
    else:
        show(result)
    return 0


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--runtime", choices=sorted(MODULES), help="default: the first that is installed")
    shared.add_argument("--kernels", choices=sorted(KERNELS), default="xnnpack", help="kernel set (default: xnnpack)")
    shared.add_argument("--threads", type=int, default=None, help="default: one for each processor core")
    shared.add_argument("--json", action="store_true", help="print one JSON object")
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = whole.add_subparsers(dest="command", required=True, metavar="check | classify | predict | time | tensors | runtimes")
    one = commands.add_parser("runtimes")
    one.add_argument("--json", action="store_true", help="print one JSON object")
    one.set_defaults(run=runtimes)
    commands.add_parser("check", parents=[shared]).set_defaults(run=check)
    one = commands.add_parser("classify", parents=[shared])
    one.add_argument("image", type=Path)
    one.set_defaults(run=classify)
    one = commands.add_parser("predict", parents=[shared])
    one.add_argument("input", type=Path)
    one.add_argument("-o", "--output", type=Path, help="an .npz file for all outputs, float64: keys are numbers, `names` has their names")
    one.set_defaults(run=predict)
    one = commands.add_parser("time", parents=[shared])
    one.add_argument("--warmup", type=int, default=10)
    one.add_argument("--iterations", type=int, default=100)
    one.set_defaults(run=measure)
    one = commands.add_parser("tensors", parents=[shared])
    for name in ("model", "inputs", "outputs"):
        one.add_argument(name, type=Path)
    one.set_defaults(run=tensors)
    return whole


# ---- the commands ----


def runtimes(options: argparse.Namespace) -> Result:
    """Every runtime that this Python can import."""
    found = []
    for name in MODULES:
        try:
            found.append({"name": name, "version": import_runtime(name, [name])[1]})
        except Refused:
            continue
    return {
        "command": "runtimes",
        "runtimes": found,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": platform.machine(),
    }


def check(options: argparse.Namespace) -> Result:
    manifest, model, golden = read_bundle()
    return checked(options, manifest, model, golden)[1]


def classify(options: argparse.Namespace) -> Result:
    manifest, model, golden = read_bundle()
    answers = manifest.get("answers", "classes")
    if answers == "numbers":
        raise Refused("the outputs of this model are no classes; run.py predict shows them")
    image = read_input(options.image, manifest)
    runner, result = checked(options, manifest, model, golden)
    values = input_of(image, runner.source, manifest)
    if len(values) != 1:
        raise Refused(f"{options.image} has {len(values)} inputs; classify takes one, run.py predict any number")
    output = runner.run(values)[0]
    scores = scores_of(answers, dequantize(output, runner.outputs[0]).reshape(-1))
    names = (HERE / LABELS).read_text(encoding="utf-8").splitlines() if (HERE / LABELS).is_file() else []
    best = np.argsort(-scores, kind="stable")[:BEST]
    classes = [{"class": int(i), "label": names[i] if i < len(names) else str(i), "score": float(scores[i])} for i in best]
    assumed = bool(manifest.get("preprocessing", {}).get("assumed"))
    found = {"image": str(options.image), "input_crc32": crc_of(values, runner.source), "classes": classes}
    return {**result, **found, "preprocessing_assumed": assumed}


def predict(options: argparse.Namespace) -> Result:
    """What the model gives for each input, real numbers; and how far that is from the inputs where it has their size."""
    if options.output is not None and options.output.suffix != ".npz":
        raise Refused(f"--output {options.output} should end in .npz")
    manifest, model, golden = read_bundle()
    given = read_input(options.input, manifest)
    runner, result = checked(options, manifest, model, golden)
    values = input_of(given, runner.source, manifest)
    rows = [[dequantize(one, tensor) for one, tensor in zip(runner.run(one[np.newaxis]), runner.outputs)] for one in values]
    found = {tensor["name"]: np.stack([row[i] for row in rows]) for i, tensor in enumerate(runner.outputs)}
    first = found[runner.outputs[0]["name"]]
    assumed = bool(manifest.get("preprocessing", {}).get("assumed"))
    about: Result = {"input": str(options.input), "input_crc32": crc_of(values, runner.source), "inputs": len(values)}
    about["shapes"] = {name: list(one.shape[1:]) for name, one in found.items()}
    about["outputs"] = {name: one.reshape(len(one), -1).tolist() for name, one in found.items()}
    about["preprocessing_assumed"] = assumed
    if of_values(manifest) and manifest.get("answers") == "numbers" and first[0].size == values[0].size > 1:
        distance = first.reshape(len(first), -1) - np.asarray(given, np.float64).reshape(len(first), -1)
        about["squared_errors"] = np.square(distance).mean(axis=1).tolist()
    if options.output is not None:
        try:
            arrays: Result = {str(i): one for i, one in enumerate(found.values())}
            np.savez(options.output, names=np.array(list(found)), **arrays)
        except OSError as error:
            raise Refused(f"{options.output} cannot be written: {error.strerror}") from error
    return {**result, **about}


def crc_of(values: Array, source: Result) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(values, source['dtype'].newbyteorder('<')).tobytes()):08x}"


def scores_of(answers: str, values: Array) -> Array:
    """A score for each class; of two classes a model may give one number, the second one's probability or its logit."""
    if answers == "probability":
        return np.array([1 - values[0], values[0]])
    return np.array([-values[0], values[0]]) if answers == "logit" else values


def measure(options: argparse.Namespace) -> Result:
    if options.warmup < 0 or options.iterations < 1:
        raise Refused("--iterations must be at least 1, and --warmup not below 0")
    manifest, model, golden = read_bundle()
    runner, result = checked(options, manifest, model, golden)
    return {**result, "latency_ms": runner.latency(options.warmup, options.iterations)}


def tensors(options: argparse.Namespace) -> Result:
    """Outputs of every input, by the tensor's name, in one .npz file: its keys are numbers, `names` has their names."""
    inputs = np.load(options.inputs, allow_pickle=False)
    runner = Runner(options.model.read_bytes(), options, tuple(MODULES))
    rows = [runner.run(image[np.newaxis]) for image in inputs]
    values: Result = {str(i): np.stack([row[i] for row in rows]) for i in range(len(runner.outputs))}
    names = np.array([detail["name"] for detail in runner.outputs])
    np.savez(options.outputs, names=names, **values)
    return {"command": "tensors", **runner.about(), "inputs": len(inputs)}


# ---- the check ----


def read_bundle() -> tuple[Result, bytes, Golden]:
    """Manifest, model and golden vectors, or Failed where a file is not the one that was exported."""
    try:
        manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
        hashes, golden = manifest["files"], manifest["golden"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"manifest.json cannot be read: {error}") from error
    if manifest.get("schema") != SCHEMA or not isinstance(golden, dict):
        raise Refused("manifest.json is of another version of edgekit; export again")
    if (HERE / LABELS).exists():
        read_exported(LABELS, hashes)
    model, inputs, outputs = (read_exported(name, hashes) for name in (MODEL, INPUT, OUTPUT))
    return manifest, model, (golden, inputs, outputs)


def read_exported(name: str, hashes: Result) -> bytes:
    try:
        content = (HERE / name).read_bytes()
    except OSError as error:
        raise Failed(f"{name} cannot be read: {error.strerror}; copy the bundle again") from error
    if hashlib.sha256(content).hexdigest() != hashes.get(name):
        raise Failed(f"{name} is not the file that was exported: its SHA-256 differs from the manifest's; copy the bundle again")
    return content


def checked(options: argparse.Namespace, manifest: Result, model: bytes, golden: Golden) -> tuple[Runner, Result]:
    """The model, loaded and found to compute its golden outputs; and the result so far."""
    runner = Runner(model, options, manifest["runtimes"])
    facts, inputs, expected = golden
    count, started = int(facts["inputs"]), time.perf_counter()
    sizes = (len(inputs), len(expected))
    wanted = (count * runner.source["bytes"], count * sum(detail["bytes"] for detail in runner.outputs))
    if sizes != wanted:
        raise Failed(f"golden vectors have {sizes} bytes, {count} inputs of this model need {wanted}; copy the bundle again")
    batch = np.frombuffer(inputs, runner.source["dtype"].newbyteorder("<")).reshape(count, *runner.source["shape"])
    actual, first_ms = [], None
    for image in batch:
        actual += runner.run(image)
        first_ms = first_ms or (time.perf_counter() - started) * 1e3
    result = compare(runner, facts, actual, expected)
    text = {"network": manifest["network"], "precision": manifest["precision"], "target": manifest["target"]}
    if not result["passed"]:
        raise Failed(
            f"{result['differing_values']} of {result['values']} golden values differ, by up to {result['largest_distance']}, on "
            f"{runner.name} {runner.version}, {options.kernels} kernels: this copy does not compute what was exported"
        )
    about = {**runner.about(), "load_ms": runner.load_ms, "first_run_ms": first_ms}
    return runner, {"command": options.command, "bundle": text, **about, "golden": result}


def compare(runner: Runner, facts: Result, actual: list[Array], expected: bytes) -> Result:
    """Exact bundles have no tolerance: 0. Floats have one, relative to the largest value. None: differences are only reported,
    because the kernel sets of a stock integer file round in different ways."""
    kinds = [detail["dtype"].newbyteorder("<") for detail in runner.outputs] * int(facts["inputs"])
    at, values, differing, largest, magnitude = 0, 0, 0, 0.0, 1.0
    for kind, one in zip(kinds, actual):
        golden = np.frombuffer(expected, kind, one.size, at).reshape(one.shape)
        at += one.nbytes
        distance = np.abs(golden.astype(np.float64) - one)
        values += one.size
        differing += int(np.count_nonzero(golden != one))
        largest = max(largest, float(distance.max())) if np.isfinite(distance).all() else float("inf")
        magnitude = max(magnitude, float(np.abs(golden.astype(np.float64)).max()))
    tolerance = facts["tolerance"]
    within = np.isfinite(largest) and (tolerance is None or largest <= tolerance * magnitude)
    crc = zlib.crc32(b"".join(np.ascontiguousarray(one, kind).tobytes() for one, kind in zip(actual, kinds)))
    return {
        "from": facts["executor"],
        "vectors": int(facts["inputs"]),
        "values": values,
        "differing_values": differing,
        "largest_distance": largest if np.isfinite(largest) else None,
        "tolerance": tolerance,
        "outputs_crc32": f"{crc:08x}",
        "expected_crc32": facts["crc32"],
        "passed": bool(within and (tolerance != 0 or differing == 0)),
    }


# ---- the runtime ----


class Runner:
    """A loaded model. `source` and `outputs`: name, shape, dtype, quantization and bytes of its tensors."""

    def __init__(self, model: bytes, options: argparse.Namespace, allowed: Sequence[str]) -> None:
        self.name, self.version, module = import_runtime(options.runtime, allowed)
        self.kernels = options.kernels
        self.threads = options.threads or len(os.sched_getaffinity(0))
        started = time.perf_counter()
        try:
            self.interpreter = module.Interpreter(
                model_content=model,
                num_threads=self.threads,
                experimental_op_resolver_type=getattr(module.OpResolverType, KERNELS[options.kernels]),
            )
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise Refused(f"{self.name} {self.version} does not load the model: {text}") from error
        self.load_ms = (time.perf_counter() - started) * 1e3
        self.outputs = [describe(one) for one in self.interpreter.get_output_details()]
        (self.source,) = [describe(one) for one in self.interpreter.get_input_details()]

    def about(self) -> Result:
        return {"runtime": {"name": self.name, "version": self.version}, "kernels": self.kernels, "threads": self.threads}

    def run(self, image: Array) -> list[Array]:
        """One input with its batch of 1 -> the outputs, without it where they have one."""
        self.interpreter.set_tensor(self.source["index"], np.ascontiguousarray(image, self.source["dtype"]))
        self.interpreter.invoke()
        values = [self.interpreter.get_tensor(detail["index"]) for detail in self.outputs]
        return [value[0] if value.shape[:1] == (1,) else value for value in values]

    def latency(self, warmup: int, iterations: int) -> Result:
        """Of invoke() alone, in milliseconds."""
        for _ in range(warmup):
            self.interpreter.invoke()
        times = []
        for _ in range(iterations):
            start = time.perf_counter()
            self.interpreter.invoke()
            times.append((time.perf_counter() - start) * 1e3)
        ordered = sorted(times)
        found = {f"p{q}": ordered[-(-q * iterations // 100) - 1] for q in (50, 90, 99)}  # nearest-rank: runs that happened
        spread = float(np.std(times, ddof=1)) if iterations > 1 else 0.0
        extremes = {"min": ordered[0], "mean": float(np.mean(times)), "max": ordered[-1]}
        return {"runs": iterations, "warm_up": warmup, **found, **extremes, "standard_deviation": spread, "samples": times}


def import_runtime(wanted: str | None, allowed: Sequence[str]) -> tuple[str, str, Any]:
    """Name, version and module of the runtime that was asked for, or of the first allowed one that is installed."""
    names = [name.split()[0] for name in allowed if name.split()[0] in MODULES]
    if wanted is not None and wanted not in names:
        raise Refused(f"this bundle was exported for {', '.join(allowed)}; export again with --runtime {wanted}")
    reasons = []
    for name in names if wanted is None else [wanted]:
        try:
            module = importlib.import_module(f"{MODULES[name]}.interpreter")
        except Exception as error:  # a runtime built for another numpy raises more than ImportError
            reasons.append(f"{name}: {type(error).__name__}: {error}")
            continue
        return name, importlib.metadata.version(name), module
    raise Refused(f"no runtime can be imported: pip install {names[0] if names else 'ai-edge-litert'} ({'; '.join(reasons)})")


def describe(detail: Result) -> Result:
    shape, dtype = tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"])
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    scale, zero_point = detail["quantization"]
    quantization = {"scale": float(scale), "zero_point": int(zero_point)}
    return {"name": detail["name"], "index": detail["index"], "shape": shape, "dtype": dtype, "bytes": size, **quantization}


def dequantize(values: Array, tensor: Result) -> Array:
    if tensor["dtype"].kind == "f":
        return values.astype(np.float64)
    return (values.astype(np.float64) - tensor["zero_point"]) * tensor["scale"]


# ---- inputs ----


def of_values(manifest: Result) -> bool:
    """Whether the model takes no images, but arrays of numbers."""
    return bool(manifest["preprocessing"].get("of") == "values")


def read_input(path: Path, manifest: Result) -> Array:
    return read_array(path) if of_values(manifest) else read_image(path)


def input_of(given: Array, source: Result, manifest: Result) -> Array:
    """Inputs of the model, (count, *shape): the image in its size, by pixels.py, and of each pixel what the table has for it; or an array's
    numbers, by values.py."""
    shape, hashes = source["shape"][1:], manifest["files"]
    if of_values(manifest):
        if given.size % int(np.prod(shape)) or sizes(given.shape) not in (sizes(shape), sizes((given.size // int(np.prod(shape)), *shape))):
            raise Refused(f"the array has shape {given.shape}; this model takes {shape}, or several of them")
        module, stated = load_module(VALUES, hashes), manifest["preprocessing"]
        real = module.normalized(given.reshape(-1, *shape), stated["mean"], stated["std"])
        if source["dtype"].kind == "f":
            return real.astype(source["dtype"])
        limits = np.iinfo(source["dtype"])
        return module.quantized(real, source["scale"], source["zero_point"], limits.min, limits.max).astype(source["dtype"])
    module = load_module(PIXELS, hashes)
    channels = module.map_shape(shape)[2]
    table = np.frombuffer(read_exported(TABLE, hashes), source["dtype"].newbyteorder("<"))
    if table.size != channels * 256:
        raise Failed(f"{TABLE} has {table.size} values, {channels} channels need {channels * 256}; export again")
    return module.look_up(module.fit(given, shape), table.reshape(channels, 256)).reshape(source["shape"])


def sizes(shape: Sequence[int]) -> list[int]:
    return [int(size) for size in shape if size != 1]


def load_module(name: str, hashes: Result) -> Any:
    """A module of this folder, if it is the one that was exported."""
    read_exported(name, hashes)
    spec = importlib.util.spec_from_file_location(Path(name).stem, HERE / name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_array(path: Path) -> Array:
    """The numbers in a .npy file."""
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise Refused(f"{path} is no .npy file with numbers, which this model takes: {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub" or not values.size:
        raise Refused(f"{path} holds no numbers; a .npy file with one array is read")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refused(f"{path} holds NaN or infinite values")
    return values


def read_image(path: Path) -> Array:
    """uint8 pixels, (rows, columns, channels)."""
    try:
        if path.suffix.lower() == ".npy":
            pixels = np.load(path, allow_pickle=False)
        else:
            content = path.read_bytes()
            pixels = read_ppm(content) if content[:2] in (b"P5", b"P6") else read_bmp(content) if content[:2] == b"BM" else None
            pixels = read_with_pillow(path) if pixels is None else pixels
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, struct.error, IndexError) as error:
        raise Refused(f"{path} is damaged, or no image that run.py reads: {error}") from error
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size or pixels.dtype.kind not in "ui":
        raise Refused(f"{path} has shape {pixels.shape} of {pixels.dtype}; integers 0..255 of shape (rows, columns, 1 or 3) are read")
    if pixels.min() < 0 or pixels.max() > 255:
        raise Refused(f"{path} has values outside 0..255")
    return pixels.astype(np.uint8)


def read_ppm(content: bytes) -> Array:
    """Binary PGM (P5) and PPM (P6) of 8 bits."""
    fields: list[int] = []
    at = 2
    while len(fields) < 3:
        while content[at : at + 1].isspace() or content[at : at + 1] == b"#":
            at = content.index(b"\n", at) + 1 if content[at : at + 1] == b"#" else at + 1
        start = at
        while content[at : at + 1].isdigit():
            at += 1
        fields.append(int(content[start:at]))
    columns, rows, highest = fields
    channels = 3 if content[:2] == b"P6" else 1
    if highest != 255:
        raise ValueError(f"its highest value is {highest}, only 255 is read")
    return np.frombuffer(content, np.uint8, checked_size(rows, columns, channels), at + 1).reshape(rows, columns, channels)


def read_bmp(content: bytes) -> Array:
    """BMP of 24 or 32 bits without compression, either way up."""
    start, _, columns, rows, _, bits, compression = struct.unpack_from("<IIiiHHI", content, 10)
    if bits not in (24, 32) or compression not in (0, 3) or columns < 1 or rows == 0:
        raise ValueError(f"a BMP of {bits} bits with compression {compression}; 24 or 32 bits without are read")
    step = (columns * bits // 8 + 3) // 4 * 4
    lines = np.frombuffer(content, np.uint8, checked_size(abs(rows), step, 1), start).reshape(abs(rows), step)
    pixels = lines[:, : columns * bits // 8].reshape(abs(rows), columns, bits // 8)[..., 2::-1]
    return pixels[::-1] if rows > 0 else pixels


def checked_size(rows: int, columns: int, channels: int) -> int:
    if not 0 < rows * columns * channels <= PIXELS_MAX:
        raise ValueError(f"{rows} x {columns} pixels")
    return rows * columns * channels


def read_with_pillow(path: Path) -> Array:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise Refused(f"{path}: Pillow reads this kind of image: pip install pillow. .npy, .ppm and .bmp are read without it") from None
    with Image.open(path) as image:
        if image.mode[0] in "IF":  # convert() would cut them off at 255
            raise ValueError(f"its pixels have more than 8 bits (Pillow's mode '{image.mode}'); save it with 8")
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


# ---- text ----


def show(result: Result) -> None:
    for one in result.get("runtimes", ()):
        print(f"{one['name']} {one['version']}")
    runtime = result.get("runtime")
    if runtime is None:
        return
    print(f"{runtime['name']} {runtime['version']}, {result['kernels']} kernels, threads: {result['threads']}")
    golden = result.get("golden")
    if golden:
        distance = f", by up to {golden['largest_distance']}" if golden["differing_values"] else ""
        print(f"golden vectors: {golden['differing_values']} of {golden['values']} values differ from {golden['from']}{distance}")
    if result.get("preprocessing_assumed"):
        print("WARNING: " + ASSUMED, file=sys.stderr)
    for one in result.get("classes", ()):
        print(f"  {one['score']:10.4f}  {one['label']}")
    for name, rows in result.get("outputs", {}).items():
        if len(result["outputs"]) > 1:
            print(f"{name}:")
        for number, row in enumerate(rows):
            more = f" ... {len(row)} values" if len(row) > SHOWN else ""
            error = f"   mean squared error {result['squared_errors'][number]:.6g}" if "squared_errors" in result else ""
            print(f"  {number}: " + " ".join(f"{value:.6g}" for value in row[:SHOWN]) + more + error)
    latency = result.get("latency_ms")
    if latency:
        print("latency in ms:  " + "  ".join(f"{name} {latency[name]:.2f}" for name in ("p50", "p90", "p99", "min", "mean", "max")))


if __name__ == "__main__":
    sys.exit(main())
