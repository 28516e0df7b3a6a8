"""What the demo promises: fixed point costs at most half a point of accuracy, and no executor differs in a bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.jobs import ModelRequest, train_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_qfx_is_within_half_a_point_of_float_on_the_held_out_digits(seed: int, tmp_path: Path) -> None:
    real = train_model(ModelRequest("mobilenet_v1", 0.25, 48, seed=seed), data="digits", output=tmp_path / "float.keras")
    exact = train_model(ModelRequest(str(real.path), seed=seed), data="digits", qfx=True, output=tmp_path / "qfx.keras")
    assert real.accuracy > 0.95
    assert exact.accuracy >= real.accuracy - 0.005


def test_the_demo_ends_without_a_differing_bit(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "edgekit.demo", "demo"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout
    assert "not run" not in done.stdout
