"""Images: what ships with scikit-learn, and folders that users bring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import EdgekitError
from edgekit.keras_models.training.images import digits, image_folder, photographs, read_image


def paint(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (10, 8)) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, color).save(path)


def test_digits_are_split_by_class_and_always_alike() -> None:
    split, again = digits(12), digits(12)
    assert (len(split.train), len(split.held_out)) == (1347, 450)
    for part, same in ((split.train, again.train), (split.held_out, again.held_out)):
        assert part.images.shape[1:] == (12, 12, 3) and part.images.dtype == np.float32
        assert part.images.min() == -1 and part.images.max() <= 1
        np.testing.assert_array_equal(part.images, same.images)
        np.testing.assert_array_equal(part.labels, same.labels)
    # Stratified: each class has its quarter, to one image.
    train, held_out = (np.bincount(part.labels, minlength=10) for part in (split.train, split.held_out))
    assert np.abs(held_out - (train + held_out) / 4).max() <= 1
    # No image is in both parts.
    assert not {image.tobytes() for image in split.train.images} & {image.tobytes() for image in split.held_out.images}


def test_digits_of_their_own_size_are_the_pixels() -> None:
    from sklearn.datasets import load_digits

    # 17 greys, 0..16, over 0..255: 8 is 127.5 there, and becomes 128.
    pixels = {(np.floor(image / 16 * 255 + 0.5) / 127.5 - 1).astype(np.float32).tobytes() for image in load_digits().images}
    assert all(image[..., 0].tobytes() in pixels for image in digits(8).held_out.images)


def test_photographs_differ_and_are_the_same_for_a_seed() -> None:
    images = photographs(20, 6, seed=1)
    assert images.shape == (6, 20, 20, 3) and images.dtype == np.float32
    assert -1 <= images.min() < -0.5 < 0.5 < images.max() <= 1
    np.testing.assert_array_equal(images, photographs(20, 6, seed=1))
    assert len({image.tobytes() for image in np.concatenate([images, photographs(20, 6, seed=2)])}) == 12
    np.testing.assert_array_equal(images[:3], photographs(20, 3, seed=1))


def test_folder_of_classes(tmp_path: Path) -> None:
    for index, (name, color) in enumerate({"b/2": (0, 0, 0), "b/10": (0, 0, 0), "a/x": (255, 0, 127)}.items()):
        paint(tmp_path / f"{name}.{('PNG', 'png', 'bmp')[index]}", color)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "empty").mkdir()
    found = image_folder(tmp_path, 4)
    assert found.classes == ("a", "b") and found.labels.tolist() == [0, 1, 1]
    assert found.images.shape == (3, 4, 4, 3) and found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images[0, 0, 0], [1, -1, np.float32(127 / 127.5 - 1)])


def test_folder_without_classes_and_links_to_elsewhere(tmp_path: Path) -> None:
    paint(tmp_path / "elsewhere" / "far.png", (255, 255, 255))
    (tmp_path / "set").mkdir()
    for i in range(4):
        paint(tmp_path / "set" / f"{i}.png", (60 * i, 0, 0))
    (tmp_path / "set" / "z.png").symlink_to(tmp_path / "elsewhere" / "far.png")
    found = image_folder(tmp_path / "set", 2)
    assert found.classes == () and len(found) == 5 and found.images[-1].min() == 1
    assert np.all(np.diff(found.images[:, 0, 0, 0]) > 0)  # in the order of the names
    np.testing.assert_array_equal(image_folder(tmp_path / "set", 2, limit=2).images, found.images[[0, 2]])


def test_the_centre_is_kept_and_nothing_stretched(tmp_path: Path) -> None:
    # 30 wide, 10 high: red, green, blue thirds. The centre square is the green third.
    stripes = np.repeat(np.eye(3, dtype=np.uint8)[np.newaxis] * 255, 10, axis=1).repeat(10, axis=0)
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    image = read_image(tmp_path / "stripes.png", 10)
    np.testing.assert_array_equal(image, np.broadcast_to(np.array([-1, 1, -1], np.float32), (10, 10, 3)))


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="not a folder"):
        image_folder(tmp_path / "absent", 4)
    with pytest.raises(EdgekitError, match="no images in"):
        image_folder(tmp_path, 4)
    paint(tmp_path / "a.png", (1, 2, 3), size=(50, 50))
    paint(tmp_path / "class" / "b.png", (1, 2, 3))
    with pytest.raises(EdgekitError, match=r"of its own and in sub-folders \(class\)"):
        image_folder(tmp_path, 4)
    (tmp_path / "class" / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    with pytest.raises(EdgekitError, match=r"class/b\.png"):
        image_folder(tmp_path / "class", 4)
    (tmp_path / "class" / "b.png").write_text("no image")
    with pytest.raises(EdgekitError, match=r"class/b\.png"):
        image_folder(tmp_path / "class", 4)
