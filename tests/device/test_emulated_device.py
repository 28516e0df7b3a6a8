"""The emulated Raspberry Pis: both runtimes and every kernel set compute the reference's integers; broken files are named, not timed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from activation_tables import all_inputs, gelu_graph, hard_swish_graph
from random_graphs import graph_of_every_op, random_inputs

from edgekit.bench import bench
from edgekit.connections.emulator import python_command
from edgekit.connections.folder import emulated_session
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.graph import MatMul, Tensor
from edgekit.graph import run as reference
from edgekit.targets.devices import AI_EDGE_LITERT, DEVICES, TFLITE_RUNTIME
from edgekit.targets.emulators import EMULATORS
from edgekit.tflite import float32_products
from edgekit.tflite.device_executors import EXECUTORS, prove_runs
from edgekit.tflite.flatbuffer import pack
from edgekit.tflite.op_versions import lacking
from edgekit.tflite.reader import describe, parse
from edgekit.tflite.writer import write_tflite
from edgekit.verify import verify
from edgekit.verify.devices import executors_on
from edgekit.verify.executors import ENTRIES, emulated_names

pytestmark = pytest.mark.emulator

EACH = [
    pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.name.startswith("rpi3") and "reference" not in one.name else [])
    for one in EXECUTORS
]
"""Half of such a test is the start of an emulated Python: of a Raspberry Pi 3 one kernel set is run each time, all in make test-slow."""


@pytest.mark.parametrize("executor", EACH)
def test_every_runtime_and_kernel_set_gives_the_references_integers(executor, rng):
    graph = graph_of_every_op(rng)
    inputs = random_inputs(rng, graph)
    expected = reference(graph, inputs)
    assert executor.missing(Artifact(graph)) is None
    with executor.open(Artifact(graph), lambda text: None) as run:
        actual = run(inputs)
    assert set(actual) == set(graph.tensors), "every tensor of the graph is seen, not only the output"
    for name in graph.tensors:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


@pytest.mark.parametrize("executor", EACH)
def test_the_ops_of_gelu_and_hard_swish_give_their_tables_and_the_lowest_product_is_right_in_int32(executor, monkeypatch):
    """Two subjects in one graph, as half of such a test is the start of an emulated Python. Arm kernels of tflite-runtime add two int8
    products in 16 bits, where 2 * -128 * -128 overflows: from 16 terms on."""
    monkeypatch.setattr(float32_products, "holds", lambda graph, op: False)
    gelu, hard_swish = gelu_graph(4, [4, 5, 6]), hard_swish_graph(4, [4, 5])
    side = gelu.tensors["x"].shape
    assert side[0] * side[1] == side[2] == 16
    scores = Tensor("scores", side, True, -2)
    product = MatMul("product", ("x", "x"), "scores", 1, True, np.zeros((1, 1, 1), np.int32))
    graph = replace(
        gelu,
        tensors={**gelu.tensors, **hard_swish.tensors, "scores": scores},
        ops=(*gelu.ops, *hard_swish.ops, product),
        outputs=(*gelu.outputs, *hard_swish.outputs, "scores"),
    )
    assert {op.name for op in describe(write_tflite(graph))} >= {"GELU", "DEQUANTIZE", "HARD_SWISH", "ADD", "QUANTIZE", "BATCH_MATMUL"}
    lowest = np.full((2, *side), -128, np.int8)
    lowest[1, :2] = 127
    inputs = np.concatenate([all_inputs(graph.tensors["x"]), lowest])
    expected = reference(graph, inputs)
    with executor.open(Artifact(graph), lambda text: None) as run:
        actual = run(inputs)
    for name in graph.tensors:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def test_the_registry_lists_exactly_these_executors():
    assert {entry.name for entry in ENTRIES if entry.emulates} == {executor.name for executor in EXECUTORS}
    assert len(emulated_names("rpi4")) == 6 and len(emulated_names("rpi3")) == 3


def test_verify_on_emulated_takes_the_targets_device_and_runtimes(make_bundle):
    bundle = make_bundle("rpi5", runtimes=("ai-edge-litert 2.1.6",))
    names, also = executors_on("emulated", bundle)
    assert names == [f"rpi4-ai-edge-litert-{kernels}" for kernels in ("reference", "optimized", "xnnpack")] and also == ()
    report = verify(bundle, count=4, executors=names[2:])
    assert report.passed and report.results[0].values > 0


def test_the_processor_is_the_one_that_it_says(graph):
    for emulator in EMULATORS.values():
        with emulated_session(emulator) as session:
            words = session.python(emulator.wheels[0].runtime.package)
            done = session.run([*words, "-c", "import sys, sysconfig; print(sysconfig.get_platform(), sys.maxsize > 2**32)"], 60)
        expected = {"rpi4": "linux-aarch64 True", "rpi3": "linux-armv7l False"}[emulator.device]
        assert done.stdout.strip() == expected
    assert "cortex-a72" in python_command(EMULATORS["rpi4"], "tflite-runtime")


def newer(graph, version: int) -> bytes:
    """The graph's file, which claims that its dense layer is of a newer version."""
    model = parse(write_tflite(graph))
    for code in model.operatorCodes:
        if code.builtinCode == 9:  # FULLY_CONNECTED
            code.version = version
    return pack(model)


def test_the_table_of_op_versions_is_what_the_runtimes_say(graph):
    """One version below and above the limit that the table names, on the runtime itself."""
    for emulator in EMULATORS.values():
        for runtime in (wheel.runtime for wheel in emulator.wheels):
            limit = {TFLITE_RUNTIME: 10, AI_EDGE_LITERT: 14}[runtime]
            assert not lacking(newer(graph, limit), runtime)
            (missing,) = lacking(newer(graph, limit + 1), runtime)
            assert f"FULLY_CONNECTED version {limit + 1} is not in {runtime.title}" in str(missing)
            with emulated_session(emulator) as session:
                session.push({"known.tflite": newer(graph, limit), "unknown.tflite": newer(graph, limit + 1)})
                module = runtime.package.replace("-", "_")
                opened = "; ".join(f"Interpreter('{name}.tflite'); print('{name}', flush=True)" for name in ("known", "unknown"))
                program = f"from {module}.interpreter import Interpreter; {opened}"
                finished = session.run([*session.python(runtime.package), "-c", program], 120)
                assert (finished.code, finished.stdout.split()) == (1, ["known"]), finished.stderr
                assert "Didn't find op" in finished.stderr, finished.stderr


def test_a_file_that_a_runtime_rejects_is_refused_by_running_it(graph):
    with pytest.raises(EdgekitError, match=r"tflite-runtime 2\.14\.0 does not run this file.*version '12'.*--runtime ai-edge-litert"):
        prove_runs(newer(graph, 12), DEVICES["rpi4"], None, lambda text: None)
    assert prove_runs(newer(graph, 12), DEVICES["rpi4"], "ai-edge-litert", lambda text: None) == []


def test_a_changed_weight_that_the_manifest_agrees_with_is_found_by_the_golden_vectors(make_bundle):
    """Whoever changed the file also wrote its hash into the manifest: then the outputs are wrong, on the device, before any time."""
    import hashlib

    from edgekit.bundle import open_bundle

    bundle = make_bundle("rpi3", runtimes=("tflite-runtime 2.14.0",))
    path = bundle.folder / "model.tflite"
    content = bytearray(path.read_bytes())
    weights = next(bytes(buffer.data) for buffer in parse(bytes(content)).buffers if buffer.data is not None and len(buffer.data) == 216)
    content[content.index(weights) + 100] ^= 0x40
    path.write_bytes(content)
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    manifest["files"]["model.tflite"] = hashlib.sha256(content).hexdigest()
    (bundle.folder / "manifest.json").write_text(json.dumps(manifest))
    measured = bench(open_bundle(bundle.folder), "emulated", iterations=1, warm_up=0)
    assert measured.problem and "golden values differ" in measured.problem
    assert measured.program == "run.py" and "latency_ms" not in measured.report
