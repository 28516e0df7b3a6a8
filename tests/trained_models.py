"""Small networks that answer as trained ones do, in a second: random layers with measured batch norms, and a last layer that is fitted.

The function of the pixels can be the same whatever range the network's input has: the first convolution takes the range in.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.images.photographs import sample_photographs
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, Preprocessing
from edgekit.keras_models.layers.backend import tf_keras
from edgekit.keras_models.weights.random import measure_statistics, randomize

Values: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]
TINTS = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2), (2, 1, 0))
"""Orders of the channels, which make more classes of two photographs."""
CLASSES = 6
RIDGE = 1e-2
"""Of the mean square of features: the head does not lean on what quantization rounds away, as trained ones do not."""
LOGIT_SPREAD = 2.0
"""The standard deviation of fitted logits, as trained classifiers have it."""


def pixels_of_classes(size: int, count: int, seed: int, classes: int = CLASSES) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Crops of scikit-learn's photographs in some orders of their channels: uint8 (count, size, size, 3), and which one each is."""
    from PIL import Image

    rng, photographs = np.random.default_rng(seed), sample_photographs()
    labels = rng.integers(0, classes, count)
    images = np.empty((count, size, size, 3), np.uint8)
    for i, label in enumerate(labels):
        photograph = photographs[label % len(photographs)]
        side = int(rng.integers(size, min(photograph.shape[:2])))
        top, left = (int(rng.integers(0, length - side + 1)) for length in photograph.shape[:2])
        crop = photograph[top : top + side, left : left + side][..., TINTS[label // len(photographs)]]
        images[i] = np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize((size, size)))
    return images, labels


def fit(model: Any, inputs: Values, targets: npt.NDArray[Any], seed: int = 1) -> None:
    """Draws random weights with measured batch norms, and fits the model's last Dense layer by least squares.

    Args:
        targets: classes, (count,), or what a regression gives, (count, values).
    """
    randomize(model, inputs[:64], seed)
    _measure_inside(model, inputs[:64])
    head = last_dense(model)
    features = _features(model, head, inputs)
    one_hot = targets.ndim == 1
    wanted = np.eye(head.units)[targets] * 2 - 1 if one_hot else targets
    columns = np.concatenate([features, np.ones((len(features), 1))], axis=1) if head.use_bias else features
    square = columns.T @ columns
    solved = np.linalg.solve(square + RIDGE * np.trace(square) / len(square) * np.eye(len(square)), columns.T @ wanted)
    if one_hot:
        solved *= LOGIT_SPREAD / (columns @ solved).std()
    head.set_weights([solved[: features.shape[1]], solved[features.shape[1]]] if head.use_bias else [solved])


def train(model: Any, inputs: Values, targets: npt.NDArray[Any], epochs: int, seed: int = 1) -> None:
    """Trains a model that was just built, in earnest but shortly: for classes (count,), or for values that a regression gives.

    Its last layer's softmax, or that it gives logits, is seen.
    """
    tf_keras.utils.set_random_seed(seed)
    model.set_weights([_initial(weight) for weight in model.weights])
    logits = last_dense(model).activation.__name__ != "softmax"
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits) if targets.ndim == 1 else "mse"
    model.compile(tf_keras.optimizers.Adam(2e-3), loss)
    model.fit(inputs, targets, epochs=epochs, batch_size=32, verbose=0)
    measure_statistics(model, inputs[:256])  # those that training moves lag behind


def _initial(weight: Any) -> npt.NDArray[Any]:
    """Kernels anew, from the seed that was just set; biases, scales and statistics as they are."""
    return np.asarray(tf_keras.initializers.HeNormal()(weight.shape)) if "kernel" in weight.name else weight.numpy()


def _measure_inside(model: Any, inputs: Values) -> None:
    """The statistics of batch norms in models inside the model."""
    norms = [one for one in model.submodules if hasattr(one, "moving_variance") and one not in model.layers]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    if norms:
        model(inputs, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def last_dense(model: Any) -> Any:
    """The last Dense layer, in models inside the model too."""
    inner = [layer for layer in model.layers if layer.count_params()]
    return last_dense(inner[-1]) if hasattr(inner[-1], "layers") else inner[-1]


def _features(model: Any, head: Any, inputs: Values) -> npt.NDArray[np.float64]:
    """What the head takes of these inputs: its own call is listened to."""
    heard, call = [], head.call

    def listening(x: Any) -> Any:
        heard.append(np.asarray(x, np.float64))
        return call(x)

    head.call = listening
    try:
        model(inputs)
    finally:
        head.call = call
    return np.concatenate(heard)


def for_range(kernel: Values, bias: Values, preprocessing: Preprocessing) -> tuple[Values, Values]:
    """The first convolution (rows, columns, 3, filters) of a network for -1..1, which does not pad, for images with `preprocessing`."""
    mean, std = (np.broadcast_to(np.array(values), 3).reshape(1, 1, 3, 1) for values in (preprocessing.mean, preprocessing.std))
    middle, half = MINUS_ONE_TO_ONE.mean[0], MINUS_ONE_TO_ONE.std[0]
    moved = bias + (kernel * (mean - middle) / half).sum(axis=(0, 1, 2))
    return (kernel * std / half).astype(np.float32), moved.astype(np.float32)


def set_first_convolution(model: Any, preprocessing: Preprocessing) -> None:
    """Turns a network for -1..1 into one for images with `preprocessing`, which gives the same of the same pixels."""
    first = first_convolution(model)
    first.set_weights(for_range(*first.get_weights(), preprocessing))


def first_convolution(model: Any) -> Any:
    inner = [layer for layer in model.layers if layer.count_params()]
    return first_convolution(inner[0]) if hasattr(inner[0], "layers") else inner[0]


def agreement(found: npt.NDArray[Any], wanted: npt.NDArray[Any], margin: float = 0.1) -> float:
    """Share of equal top classes among the rows whose two best are `margin` of the answers' range apart.

    It fails where the answers hardly vary or most of them are near a tie, so that nothing would be compared.
    """
    assert found.shape == wanted.shape
    best = np.sort(wanted, axis=1)
    clear = best[:, -1] - best[:, -2] > margin * np.ptp(wanted)
    assert clear.mean() > 0.5, f"only {clear.mean():.0%} of the answers are clear"
    assert len(set(wanted[clear].argmax(axis=1))) > min(2, wanted.shape[1] - 1), "the answers vary"
    return float(np.mean(found.argmax(axis=1)[clear] == wanted.argmax(axis=1)[clear]))
