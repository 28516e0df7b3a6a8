"""Op versions: the table, the refusal that names op, version and who has it, and the dynamic file that is written anew."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import pytest
from random_graphs import graph_of_every_op

from edgekit.errors import EdgekitError
from edgekit.targets.devices import AI_EDGE_LITERT, ANDROID_TFLITE, DEVICES, TFLITE_RUNTIME, runtimes_for
from edgekit.tflite import op_versions
from edgekit.tflite.op_versions import FIRST, check_runs, lacking, newest_version
from edgekit.tflite.reader import OpVersion
from edgekit.tflite.tensorflow import Precision, convert
from edgekit.tflite.writer import write_tflite


@pytest.fixture
def ops(monkeypatch):
    """Sets which ops a file has."""
    found: list[OpVersion] = []
    monkeypatch.setattr(op_versions, "describe", lambda tflite: found)
    return found


@pytest.mark.parametrize(
    ("op", "runtime", "kernels", "newest"),
    [
        ("FULLY_CONNECTED", TFLITE_RUNTIME, "xnnpack", 10),
        ("FULLY_CONNECTED", TFLITE_RUNTIME, "reference", 9),
        ("FULLY_CONNECTED", AI_EDGE_LITERT, "reference", 14),
        ("FULLY_CONNECTED", ANDROID_TFLITE, "xnnpack", 11),  # not measured: what FIRST says of TensorFlow 2.16
        ("HARD_SWISH", ANDROID_TFLITE, "xnnpack", 1),
        ("DILATE", TFLITE_RUNTIME, "xnnpack", 0),
        ("my op", AI_EDGE_LITERT, "xnnpack", 0),  # a custom op: no runtime has it
    ],
)
def test_newest_version(op, runtime, kernels, newest):
    assert newest_version(runtime, op, kernels) == newest


def test_first_and_measured_agree():
    """A release that brought a version is not newer than the runtime that was found to have it, and the other way round."""
    for op, versions in FIRST.items():
        for version, release in versions.items():
            if release <= (2, 13):  # 2.14.0 was built of something between 2.13 and 2.14
                assert newest_version(TFLITE_RUNTIME, op) >= version, (op, version)
            if release > TFLITE_RUNTIME.tensorflow:
                assert newest_version(TFLITE_RUNTIME, op) < version, (op, version)


def test_the_refusal_names_everything(ops):
    ops += [OpVersion("FULLY_CONNECTED", 12), OpVersion("CONV_2D", 3)]
    message = (
        r"FULLY_CONNECTED version 12 is not in tflite-runtime 2\.14\.0; TensorFlow 2\.17 brought it, ai-edge-litert 2\.1\.6 has it\. "
        r"Use --runtime ai-edge-litert"
    )
    with pytest.raises(EdgekitError, match=message):
        check_runs(b"", DEVICES["rpi4"])
    check_runs(b"", DEVICES["rpi4"], "ai-edge-litert")
    with pytest.raises(EdgekitError, match="Use --precision qfx"):
        check_runs(b"", DEVICES["rpi3"])


def test_every_target_has_runtimes_and_a_name_that_it_lacks_is_refused():
    for target in DEVICES.values():
        assert target.runtimes and target.reached
        assert runtimes_for(target) == target.runtimes
    assert runtimes_for(DEVICES["rpi4"], "tflite-runtime") == (TFLITE_RUNTIME,)
    with pytest.raises(EdgekitError, match="32-bit has no runtime 'ai-edge-litert'; it can have tflite-runtime"):
        runtimes_for(DEVICES["rpi3"], "ai-edge-litert")


def test_every_runtime_has_the_ops_of_exact_files(rng):
    """Its reference kernels too, some of which are an op version behind."""
    tflite = write_tflite(graph_of_every_op(rng))
    for runtime in (TFLITE_RUNTIME, AI_EDGE_LITERT, ANDROID_TFLITE):
        for kernels in ("reference", "xnnpack"):
            assert not lacking(tflite, runtime, kernels)


def test_a_dynamic_file_with_one_scale_for_a_dense_layer_runs_on_older_runtimes():
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    inputs = layers.Input((8, 8, 4))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(64, 3, activation="relu6")(inputs))
    model = tf_keras.Model(inputs, layers.Dense(64)(x))
    (missing,) = lacking(convert(model, Precision.DYNAMIC), TFLITE_RUNTIME)
    assert missing.op.name == "FULLY_CONNECTED"
    assert not lacking(convert(model, Precision.DYNAMIC, dense_per_channel=False), TFLITE_RUNTIME)
