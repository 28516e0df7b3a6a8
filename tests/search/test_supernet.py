"""The supernet: what is cut out of it is a network of the space, with the middle of kernels and the first of channels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.keras_models.training.images import Images
from edgekit.search.space import Space, extreme, point_of, random_choice, read_space
from edgekit.search.supernet import SupernetOptions, cut_out, largest_shapes, load_weights, save_weights, train_supernet


@pytest.fixture
def space(tmp_path: Path) -> Space:
    stages = [
        {"op": ["separable", "conv"], "filters": 8, "stride": 2, "repeats": [0, 1]},
        {"kernel": [3, 5], "expansion": [2, 3], "filters": [8, 16], "stride": 2, "squeeze_excite": [False, True]},
    ]
    found = {"schema": "edgekit-space/1", "size": 32, "stem": {"filters": 16, "stride": 2}, "stages": stages, "head": {"filters": [0, 16]}}
    (tmp_path / "space.json").write_text(json.dumps(found))
    return read_space(tmp_path / "space.json")


@pytest.fixture
def images() -> Images:
    """Bright ones and dark ones."""
    rng, labels = np.random.default_rng(0), np.arange(32) % 2
    pixels = rng.normal(0, 0.1, (32, 32, 32, 3)) + np.where(labels, 0.5, -0.5)[:, None, None, None]
    return Images(pixels.astype(np.float32), labels.astype(np.int64), ("dark", "bright"))


def test_every_network_of_the_space_has_its_weights_in_it(space: Space) -> None:
    """One whose first stage is left out reads the stem's channels, which are more than the stage's."""
    shapes = largest_shapes(space, 2)
    assert shapes["block_1_0_expand@inverted@stem/kernel"] == (1, 1, 16, 48)
    assert shapes["block_1_0_expand@inverted@stage_0/kernel"] == (1, 1, 8, 24)
    assert shapes["block_1_0_depthwise@inverted@stem/kernel"] == (5, 5, 48)
    assert shapes["block_0_0_conv@conv@stem/kernel"] == (3, 3, 16, 8)
    assert shapes["classifier@head/kernel"] == (16, 2) and shapes["classifier@stage_1/kernel"] == (16, 2)
    weights = {name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for name, shape in shapes.items()}
    rng, few = np.random.default_rng(1), Images(np.zeros((2, 32, 32, 3), np.float32), np.zeros(2, np.int64), ("a", "b"))
    for _ in range(3):
        cut_out(point_of(space, random_choice(space, rng)), weights, few)
    small = cut_out(extreme(space, largest=False), weights, few)
    kernel = small.get_layer("block_1_0_depthwise").get_weights()[0]
    assert np.array_equal(kernel[..., 0], weights["block_1_0_depthwise@inverted@stem/kernel"][1:4, 1:4, : kernel.shape[2]])
    assert np.array_equal(small.get_layer("classifier").get_weights()[0], weights["classifier@stage_1/kernel"][:8])


def test_it_learns_and_goes_on_to_the_same_result_where_it_was_stopped(space: Space, images: Images, tmp_path: Path) -> None:
    said: list[str] = []
    weights = train_supernet(space, {32: images}, SupernetOptions(4), note=said.append)
    first, last = (float(text.split()[-1]) for text in (said[0], said[-1]))
    assert last < first
    checkpoint = tmp_path / "checkpoint"

    def stopped(text: str) -> None:
        if "epoch 3" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_supernet(space, {32: images}, SupernetOptions(4), checkpoint=checkpoint, note=stopped)
    resumed: list[str] = []
    again = train_supernet(space, {32: images}, SupernetOptions(4), checkpoint=checkpoint, note=resumed.append)
    assert len(resumed) == 2, "two of four epochs were done"
    assert all(np.array_equal(again[name], weights[name]) for name in again)
    save_weights(weights, tmp_path / "weights.npz")
    loaded = load_weights(tmp_path / "weights.npz")
    assert loaded.keys() == weights.keys() and all(np.array_equal(loaded[name], weights[name]) for name in weights)
