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


def test_the_demo_on_published_weights_names_a_palace_and_a_daisy(tmp_path: Path) -> None:
    """scikit-learn's photographs show the Summer Palace and a dahlia, which is no class; a daisy is the nearest."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "out" / "packages")]
    subprocess.run([*pip, "--requirement", str(Path(__file__).parents[1] / "scripts" / "demo-imagenet-packages")], check=True)
    command = [sys.executable, "-m", "edgekit.demo_imagenet", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout
    china, flower = (done.stdout.split(f"{name}.jpg:")[1].splitlines()[1:6] for name in ("china", "flower"))
    assert any(line.split(maxsplit=1)[1] == "palace" for line in china) and flower[0].split(maxsplit=1)[1] == "daisy"


def test_the_demo_on_published_weights_says_what_it_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgekit.demo_imagenet", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "make demo-imagenet" in done.stderr and not list(tmp_path.iterdir())
