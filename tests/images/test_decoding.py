"""Images of more than 8 bits are scaled by their range, or refused by name; none is cut off at 255."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import EdgekitError
from edgekit.images import decoding
from edgekit.images.decoding import decode

GREYS = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
"""0..65535 in 256 even steps: they become 0..255."""


def files(folder: Path) -> dict[str, Path]:
    found = {name: folder / name for name in ("grey.png", "grey.tiff", "grey.ppm", "ten.ppm", "colours.ppm", "big_endian.tiff")}
    Image.fromarray(GREYS).save(found["grey.png"])
    Image.fromarray(GREYS).save(found["grey.tiff"])
    found["grey.ppm"].write_bytes(b"P5 16 16 65535\n" + GREYS.astype(">u2").tobytes())
    found["ten.ppm"].write_bytes(b"P5 16 16 1023\n" + (GREYS >> 6).astype(">u2").tobytes())
    found["colours.ppm"].write_bytes(b"P6 16 16 65535\n" + np.repeat(GREYS[..., np.newaxis], 3, 2).astype(">u2").tobytes())
    Image.frombytes("I;16B", (16, 16), GREYS.astype(">u2").tobytes()).save(found["big_endian.tiff"])
    return found


def test_greys_of_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    for name, file in files(tmp_path).items():
        pixels = decode(file)
        assert pixels.dtype == np.uint8 and pixels.shape == (16, 16, 3), name
        assert np.array_equal(pixels, np.repeat(np.arange(256).reshape(16, 16, 1), 3, 2)), name


def test_scaling_rounds_half_up(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (32, 32), np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(decode(tmp_path / "a.png")[..., 0], np.floor(values.astype(np.float64) / 257 + 0.5))


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        (np.zeros((4, 4), np.float32), "a.tiff", r"floating-point numbers \(Pillow's mode 'F'\)"),
        (np.zeros((4, 4), np.int32), "a.tiff", r"whole numbers of 32 bits \(Pillow's mode 'I'\)"),
    ],
)
def test_numbers_without_a_range_are_refused_by_name(tmp_path: Path, values: np.ndarray, name: str, message: str) -> None:
    Image.fromarray(values).save(tmp_path / name)
    with pytest.raises(EdgekitError, match=message):
        decode(tmp_path / name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_eight_bits_are_as_pillow_has_them(tmp_path: Path, mode: str) -> None:
    name = "a.tiff" if mode in ("CMYK", "YCbCr", "HSV") else "a.png"
    source = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)).convert(mode)
    if mode == "HSV":
        source = source.convert("RGB")
    source.save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert np.array_equal(decode(tmp_path / name), np.asarray(image.convert("RGB")))


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    for orientation, wanted in ((1, pixels), (6, np.rot90(pixels, -1))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(decode(tmp_path / "a.png"), wanted)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREYS[:4]).save(tmp_path / "a.png", exif=exif)
    assert decode(tmp_path / "a.png").shape == (16, 4, 3)


def test_too_many_pixels_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(decoding, "IMAGE_PIXELS_MAX", 64)
    assert decode(tmp_path / "a.png").shape == (8, 8, 3)
    monkeypatch.setattr(decoding, "IMAGE_PIXELS_MAX", 63)
    with pytest.raises(EdgekitError, match="it has 8 x 8 pixels, and at most 63 are read"):
        decode(tmp_path / "a.png")
