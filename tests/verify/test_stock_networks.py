"""Every network of the zoo at every stock precision, as `export` writes it and `verify` reads it, on TFLite's three kernel sets.

Float files agree within the tolerances. Quantized ones are not asked to agree: how far apart their kernels are is what is reported.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import edgekit

from edgekit.bundle import open_bundle
from edgekit.keras_models.zoo.networks import NETWORKS
from edgekit.verify import verify

pytestmark = pytest.mark.slow

KERNEL_SETS = ["tflite-reference", "tflite-optimized", "tflite-xnnpack"]


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_three_kernel_sets_run_what_is_exported(name: str, precision: str, tmp_path: Path) -> None:
    """Exported by a process of its own: TensorFlow keeps some 200 MB of every network that it converted."""
    alpha = min(NETWORKS[name].alphas)
    words = [name, "--alpha", f"{alpha:g}", "--size", "64", "--seed", "1", "--target", "rpi4", "--precision", precision, "-o", "bundle"]
    done = edgekit(tmp_path, "export", *words)
    assert done.returncode == 0, done.stderr
    report = verify(open_bundle(tmp_path / "bundle"), executors=KERNEL_SETS)
    assert report.baseline == KERNEL_SETS[0]
    assert [result.name for result in report.results] == KERNEL_SETS[1:]
    assert not report.missing
    if precision == "int8":
        assert report.tolerance is None and all(result.values for result in report.results)
    else:
        assert report.passed and report.tolerance is not None
