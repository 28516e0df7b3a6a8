"""Folders of images in the cache's file, and the batches that training takes from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import IMAGENET, normalize
from edgekit.keras_models.training import stored_images
from edgekit.keras_models.training.batches import NONE, Augmentation, augment, epoch_batches, usual_augmentation
from edgekit.keras_models.training.images import Images, digits, image_folder
from edgekit.keras_models.training.stored_images import StoredImages, stored_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Twelve random images of three classes, in sizes of their own."""
    for i in range(12):
        path = tmp_path / "set" / f"class {i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (10 + i, 25 - i, 3)).astype(np.uint8)).save(path)
    return tmp_path / "set"


def test_it_is_the_folder_read_image_by_image(folder: Path) -> None:
    wanted, found = image_folder(folder, 9), stored_folder(folder, 9)
    assert found.images.shape == wanted.images.shape and len(found) == 12 and found.classes == wanted.classes
    np.testing.assert_array_equal(found.images[:], wanted.images)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.images.only(np.array([7, 2, 5]))[1:], wanted.images[[2, 5]])
    assert not found.images.pixels.flags.writeable


def test_other_preprocessing_of_the_same_pixels(folder: Path) -> None:
    images = stored_folder(folder, 5).images
    wanted = normalize(images.pixels[:4].astype(float), IMAGENET)
    found = StoredImages(images.pixels, images.rows, IMAGENET)[:4]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found.dtype == np.float32


def test_files_are_decoded_once_until_one_changes(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []
    decode = stored_images.decode
    monkeypatch.setattr(stored_images, "decode", lambda file: decoded.append(file) or decode(file))
    before = stored_folder(folder, 6).images[:]
    stored_folder(folder, 6)
    assert len(decoded) == 12, "the second time nothing is decoded"
    stored_folder(folder, 7)
    assert len(decoded) == 24, "another size is another file"
    file = folder / "class 0" / "0.png"
    length = file.stat().st_size
    Image.new("RGB", (8, 8), (255, 255, 255)).save(file)
    with file.open("ab") as end:
        end.truncate(length)  # of the same length: only the time of change tells
    after = stored_folder(folder, 6).images[:]
    assert len(decoded) == 36 and after[0].min() == 1
    np.testing.assert_array_equal(after[1:], before[1:])
    (folder / "class 1").rename(folder / "class 9")
    np.testing.assert_array_equal(stored_folder(folder, 6).images[:], image_folder(folder, 6).images, err_msg="classes in another order")
    assert len(list(cache.rglob("*.bin"))) == 2, "one state of the folder in each size"


def test_a_broken_image_leaves_nothing_behind(folder: Path, cache: Path) -> None:
    (folder / "class 2" / "11.png").write_bytes(b"no image")
    with pytest.raises(EdgekitError, match=r"11\.png"):
        stored_folder(folder, 6)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_killed_run_is_begun_anew(folder: Path, cache: Path) -> None:
    """Killed in the middle of decoding: what it left is no state of the cache, and goes away with the next run."""
    code = (
        "import os, sys; from pathlib import Path; from edgekit.keras_models.training import stored_images as s\n"
        "done = []\n"
        "decode = s.decode\n"
        "s.AT_ONCE = 1\n"
        "s.decode = lambda file: os._exit(9) if len(done) == 5 else done.append(file) or decode(file)\n"
        "s.stored_folder(Path(sys.argv[1]), 6)\n"
    )
    source = Path(stored_images.__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    assert subprocess.run([sys.executable, "-c", code, str(folder)], env=environment).returncode == 9
    assert list(cache.rglob("pixels.bin")), "it had begun"
    np.testing.assert_array_equal(stored_folder(folder, 6).images[:], image_folder(folder, 6).images)
    assert len(list(cache.rglob("pixels.bin"))) == 1


def test_keras_predicts_from_it_batch_by_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    source = keras.Input((8, 8, 3))
    model = keras.Model(source, keras.layers.GlobalAveragePooling2D()(source))
    images, largest = stored_folder(folder, 8).images, []
    real = StoredImages.real
    monkeypatch.setattr(StoredImages, "real", lambda self, pixels: largest.append(len(pixels)) or real(self, pixels))
    found = model.predict(images, batch_size=5, verbose=0)
    np.testing.assert_allclose(found, images[:].mean(axis=(1, 2)), rtol=1e-5)
    assert max(largest[:-1]) <= 5, "never more than a batch in memory"


def test_an_epoch_has_every_image_once_with_its_label(folder: Path) -> None:
    data = stored_folder(folder, 8)
    batches = list(epoch_batches(data, 5, seed=1, epoch=1, augmentation=NONE))
    assert [images.shape for images, _ in batches] == [(5, 8, 8, 3)] * 2, "whole batches only"
    labels = {image.tobytes(): label for image, label in zip(data.images[:], data.labels, strict=True)}
    drawn = [image.tobytes() for images, _ in batches for image in images]
    assert len(set(drawn)) == 10
    assert [labels[image] for image in drawn] == [label for _, part in batches for label in part]


def test_seed_and_epoch_settle_everything(folder: Path) -> None:
    data = stored_folder(folder, 8)

    def epoch(seed: int, number: int, data: Images = data) -> list[bytes]:
        return [images.tobytes() + labels.tobytes() for images, labels in epoch_batches(data, 4, seed=seed, epoch=number)]

    assert epoch(3, 2) == epoch(3, 2)
    assert len({tuple(epoch(seed, number)) for seed in (1, 2) for number in (1, 2)}) == 4, "other seeds and epochs are others"
    orders = [np.concatenate([labels for _, labels in epoch_batches(data, 4, seed=1, epoch=n)]).tolist() for n in range(4)]
    assert len({tuple(order) for order in orders}) == 4, "in another order"
    # One image alone has one order: what differs between epochs is its augmentation.
    single = Images(data.images.only([0]), data.labels[:1], data.classes)
    assert len({next(epoch_batches(single, 1, seed=1, epoch=n))[0].tobytes() for n in range(12)}) > 4
    stopped = epoch_batches(data, 4, seed=3, epoch=2)
    next(stopped)
    stopped.close()
    assert epoch(3, 2)[0] == epoch(3, 2)[0], "an epoch that was left half-way changes nothing"


def test_augmentation_keeps_to_its_limits(rng: np.random.Generator) -> None:
    """A ramp tells where a crop came from: its values, enlarged, never leave those of the image, and keep most of their span."""
    ramp = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[np.newaxis, :, np.newaxis], (60, 60, 3))
    spans, mirrored = [], 0
    for _ in range(200):
        found = augment(ramp, Augmentation(crop_min=0.75), rng).astype(int)
        assert found.shape == (60, 60, 3) and found.min() >= 0 and found.max() <= 236
        spans.append((found.max() - found.min()) / 4 + 1)
        mirrored += found[0, 0, 0] > found[0, -1, 0]
    assert min(spans) >= 45 - 1 and max(spans) == 60 and len(set(spans)) > 8
    assert 70 < mirrored < 130, "about half"
    np.testing.assert_array_equal(augment(ramp, NONE, rng), ramp)


def test_digits_stay_as_they_are() -> None:
    data = digits(8).train
    assert usual_augmentation(data) == NONE
    images, labels = next(epoch_batches(data, 16, seed=0, epoch=1))
    pool = {image.tobytes(): label for image, label in zip(data.images, data.labels, strict=True)}
    assert all(pool[image.tobytes()] == label for image, label in zip(images, labels, strict=True))
    with pytest.raises(EdgekitError, match="only images of a folder"):
        next(epoch_batches(data, 16, seed=0, epoch=1, augmentation=Augmentation()))
    with pytest.raises(EdgekitError, match=r"above 0, up to 1; got 1\.5"):
        Augmentation(crop_min=1.5)
