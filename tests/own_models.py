"""Small models as users write them, Keras and QKeras, one for each way of putting the supported layers together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.keras_models.layers.legacy_keras import import_keras

keras = import_keras()
layers = keras.layers
SHAPE = (16, 16, 3)


def sequential() -> Any:
    return keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, activation="relu"),
            layers.AveragePooling2D(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def vgg16(side: int, dense: int = 4096) -> Any:
    """13 convolutions of 3 x 3, five pools, three dense layers; with `dense` of 4,096 at 224 it has 138 million weights."""
    stack = [layers.Input((side, side, 3))]
    for repeats, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        stack += [layers.Conv2D(channels, 3, padding="same", activation="relu") for _ in range(repeats)]
        stack.append(layers.MaxPooling2D(2))
    stack += [layers.Flatten(), *(layers.Dense(dense, activation="relu") for _ in range(2)), layers.Dense(1000)]
    return keras.Sequential(stack, name="vgg16")


def branches() -> Any:
    """Add with ReLU, separable convolution, concatenation, a max-pool with padding."""
    image = layers.Input(SHAPE)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(image)))
    y = layers.BatchNormalization()(layers.SeparableConv2D(8, 3, padding="same")(x))
    x = layers.ReLU()(layers.Add()([x, y]))
    one, three = layers.Conv2D(4, 1, activation="relu")(x), layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(layers.Concatenate()([one, three]))
    return keras.Model(image, layers.Softmax()(layers.Dense(10)(layers.GlobalAveragePooling2D()(x))))


def activated(function: str) -> Callable[[], Any]:
    """The function as an argument of a layer, as a layer of its own, and as the end."""

    def build() -> Any:
        image = layers.Input(SHAPE)
        x = layers.Conv2D(8, 3, strides=2, padding="same", activation=function)(image)
        x = layers.Activation(function)(layers.DepthwiseConv2D(3, padding="same")(x))
        return keras.Model(image, layers.Dense(10, activation=function)(layers.GlobalAveragePooling2D()(x)))

    return build


def pre_activation() -> Any:
    """Batch norm and ReLU in front of convolutions (arXiv 1603.05027): neither has a layer before it to fold into."""
    image = layers.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same")(image)
    y = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same")(y)])
    x = layers.Flatten()(layers.Conv2D(10, 1)(layers.GlobalAveragePooling2D(keepdims=True)(layers.BatchNormalization()(x))))
    return keras.Model(image, x)


def odd_means() -> Any:
    """Means over 9 and over 4 x 4 cells: the first one's factor goes into the next weights. Explicit padding, tanh of a vector."""
    image = layers.Input((18, 18, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.ZeroPadding2D(1)(layers.Conv2D(8, 3, activation="relu")(layers.AveragePooling2D(3)(x)))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2)(x))
    return keras.Model(image, layers.Dense(3)(layers.Dense(7, activation="tanh")(layers.GlobalAveragePooling2D()(x))))


def mean_last() -> Any:
    """As SqueezeNet ends: a mean over 12 x 12 cells and a softmax."""
    image = layers.Input(SHAPE)
    x = layers.Conv2D(5, 3)(layers.Conv2D(8, 3, activation="relu")(image))
    return keras.Model(image, layers.Activation("softmax")(layers.GlobalAveragePooling2D()(x)))


def pooled_head() -> Any:
    """1x1 convolutions and a global max-pool on vectors, and batch norm behind a table."""
    image = layers.Input(SHAPE)
    x = layers.Conv2D(8, 3, activation="relu")(image)
    x = layers.Conv2D(12, 1)(layers.GlobalMaxPooling2D(keepdims=True)(x))
    x = layers.Flatten()(layers.Conv2D(8, 1)(layers.ReLU()(x)))
    return keras.Model(image, layers.Dense(4)(layers.BatchNormalization()(layers.Activation("swish")(x))))


def grey_and_wide() -> Any:
    """A one-channel image that is not square, normalized by the model itself."""
    return keras.Sequential(
        [layers.Input((20, 12, 1)), layers.Rescaling(0.5, 0.1), layers.Conv2D(8, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )


def vectors() -> Any:
    return keras.Sequential([layers.Input((64,)), layers.Dense(20, activation="relu"), layers.BatchNormalization(), layers.Dense(10)])


def qkeras() -> Any:
    """Quantized by qkeras' own quantizers: their rounded weights are what is calibrated."""
    import qkeras as q

    image = layers.Input(SHAPE)
    weights, bias = q.quantized_bits(6, 0, alpha=1), q.quantized_bits(8, 2, alpha=1)
    x = q.QConv2D(8, 3, padding="same", kernel_quantizer=weights, bias_quantizer=bias)(image)
    x = q.QDepthwiseConv2D(3, depthwise_quantizer=weights)(q.QActivation(q.quantized_relu(8, 2))(x))
    x = layers.MaxPooling2D()(q.QActivation("quantized_bits(8,3,alpha=1)")(x))
    x = layers.BatchNormalization()(q.QConv2D(8, 3, kernel_quantizer="quantized_bits(4,0,alpha=1)")(x))
    x = layers.Flatten()(q.QActivation("quantized_relu(6,2)")(x))
    return keras.Model(image, layers.Activation("softmax")(q.QDense(10, kernel_quantizer=weights, bias_quantizer=bias)(x)))


MODELS: dict[str, Callable[[], Any]] = {
    "sequential": sequential,
    "branches": branches,
    **{function: activated(function) for function in ("sigmoid", "tanh", "swish", "gelu")},
    "pre_activation": pre_activation,
    "odd_means": odd_means,
    "mean_last": mean_last,
    "pooled_head": pooled_head,
    "grey_and_wide": grey_and_wide,
    "vectors": vectors,
    "qkeras": qkeras,
}


def built(name: str) -> tuple[Any, Any]:
    """The model with random weights and measured batch norms, and the images they were measured on."""
    from edgekit.keras_models.weights.random import randomize

    model = MODELS[name]()
    rng = np.random.default_rng(5)
    images = np.clip(rng.normal(0, 0.5, (16, *model.input_shape[1:])), -1, 1).astype(np.float32)
    randomize(model, images, 1)
    return model, images


def saved(name: str, path: Path) -> Path:
    built(name)[0].save(path)
    return path
