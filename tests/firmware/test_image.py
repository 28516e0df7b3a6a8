"""The image rule in C++ against the one in Python, byte by byte, under sanitizers; and a photograph through the whole application."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import firmware
from edgekit.images.pixels import fit
from edgekit.tools import GXX, missing_reason, require

SOURCES = Path(firmware.__file__).resolve().parent / "latency"
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (reason := missing_reason(GXX)) is not None:
        pytest.skip(reason)
    path = tmp_path_factory.mktemp("image") / "fit-image"
    sources = [SOURCES / name for name in ("tests/fit_image.cc", "core/image.cc", "core/files.cc")]
    done = subprocess.run([require(GXX), *FLAGS, "-I", SOURCES, *sources, "-o", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def write_ppm(path: Path, pixels: Any) -> None:
    kind = b"P6" if pixels.shape[2] == 3 else b"P5"
    path.write_bytes(kind + b" %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes())


def test_it_is_the_rule_of_python_on_random_sizes(program: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """Up and down, to maps and to others, grey and in color; at the ends too: one pixel, one row, and a large image to a few."""
    cases = [
        ((1, 1, 3), (7, 5, 3)),
        ((300, 1, 3), (2, 2, 3)),
        ((1, 300, 1), (1, 299, 1)),
        ((1200, 900, 3), (3, 3, 3)),
        ((9, 9, 3), (9, 9, 3)),
    ]
    for _ in range(60):
        image = (int(rng.integers(1, 60)), int(rng.integers(1, 60)), int(rng.choice([1, 3])))
        sides = (int(rng.integers(1, 70)), int(rng.integers(1, 70)))
        cases.append((image, [(*sides, int(rng.choice([1, 3, 4]))), (sides[0],), sides][int(rng.integers(3))]))
    lines, wanted = [], []
    for i, (size, shape) in enumerate(cases):
        pixels = rng.integers(0, 256, size).astype(np.uint8)
        write_ppm(tmp_path / f"{i}.ppm", pixels)
        wanted.append(fit(pixels, shape))
        lines.append(f"{i}.ppm {i}.bin {' '.join(map(str, shape))}\n")
    done = subprocess.run([program], cwd=tmp_path, input="".join(lines), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for i, expected in enumerate(wanted):
        found = np.fromfile(tmp_path / f"{i}.bin", np.uint8)
        np.testing.assert_array_equal(found, expected.ravel(), err_msg=str(cases[i]))


def test_damaged_files_end_in_a_message(program: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """Bytes changed and cut off anywhere: read, or refused, and no sanitizer speaks."""
    good = b"P6 # x\n5 4 255\n" + rng.integers(0, 256, 60).astype(np.uint8).tobytes()
    for _ in range(40):
        content = bytearray(good[: int(rng.integers(0, len(good) + 1))])
        for _ in range(int(rng.integers(0, 3))):
            if content:
                content[int(rng.integers(min(15, len(content))))] = int(rng.integers(256))
        (tmp_path / "a.ppm").write_bytes(content)
        done = subprocess.run([program], cwd=tmp_path, input="a.ppm a.bin 3 3 3\n", capture_output=True, text=True, errors="replace")
        assert done.returncode in (0, 2) and "ERROR" not in done.stderr and "runtime error" not in done.stderr, (
            bytes(content),
            done.stderr,
        )
