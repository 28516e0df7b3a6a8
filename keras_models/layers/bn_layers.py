"""Float Keras layers of the BN form: what stands in a network where its authors have a layer norm or softmax attention.

Both can be taken over from the published layers: while `measuring`, a layer called eagerly sets its own constants from what it sees.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.layers.custom_layers import OffsetAttention, PairAttention, offset_biases, scores_of, weighted_sum

Tensor: TypeAlias = Any

SHIFTS = (0.0, 1.0, 2.0, 4.0)
"""What may be added to a head's scores so that relu6(s + shift) resembles exp(s); 1 is where its first-order series is."""


class ProgressiveNorm(tf_keras.layers.Layer):  # type: ignore[misc]
    """Batch norm that may start as a layer norm (SLAB, arXiv 2405.11582, section 3.1), over the channels of each cell.

        y = gamma * (mix * layer_norm(x) + (1 - mix) * batch_norm(x)) + beta

    Training moves `mix` from 1 to 0 with `set_norm_mix`. At 0 it is a batch norm, which folds into the weights that read it.
    Weights: gamma, beta, moving_mean, moving_variance (channels,), mix ().
    """

    def __init__(self, epsilon: float = 1e-6, momentum: float = 0.9, **common: Any) -> None:
        super().__init__(**common)
        self.epsilon, self.momentum = epsilon, momentum
        self.measuring = False

    def build(self, shape: Any) -> None:
        def vector(name: str, initial: str, trainable: bool = True) -> Any:
            return self.add_weight(name, (shape[-1],), initializer=initial, trainable=trainable)

        self.gamma, self.beta = vector("gamma", "ones"), vector("beta", "zeros")
        self.moving_mean, self.moving_variance = vector("moving_mean", "zeros", False), vector("moving_variance", "ones", False)
        self.mix = self.add_weight("mix", (), initializer="zeros", trainable=False)
        super().build(shape)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if training or self.measuring:
            mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
            momentum = 0.0 if self.measuring else self.momentum
            self.moving_mean.assign(momentum * self.moving_mean + (1 - momentum) * mean)
            self.moving_variance.assign(momentum * self.moving_variance + (1 - momentum) * variance)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        of_cells = tf.nn.moments(x, [-1], keepdims=True)
        by_batch, by_cell = ((x - m) * tf.math.rsqrt(v + self.epsilon) for m, v in ((mean, variance), of_cells))
        return self.gamma * (self.mix * by_cell + (1 - self.mix) * by_batch) + self.beta

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "momentum": self.momentum}


class ReluAttention(OffsetAttention):
    """OffsetAttention with relu6 / cells in place of softmax (after arXiv 2309.08586, which has relu).

        output = factor[head] / cells * relu6(q k^T / sqrt(channels of q in a head) + bias[head, |dy|, |dx|]) v

    The 6 is there for fixed point: a relu is cubic in its inputs with all of it, and trained so, a few values of the map that it is added
    to are thousands of times the others, which no common binary point can hold.

    Weights: attention_biases (heads, rows * columns) as there; head_factors (heads,), constants that the next layer's weights take in.
    """

    def build(self, shapes: Any) -> None:
        super().build(shapes)
        self.head_factors = self.add_weight("head_factors", (self.heads,), initializer="ones", trainable=False)
        self.measuring = False

    def call(self, inputs: list[Tensor]) -> Tensor:
        queries_keys, values = inputs
        queries, keys = tf.split(queries_keys, 2, axis=-1)
        key_dim, cells = queries.shape[-1] // self.heads, self.attention_biases.shape[-1]
        products = scores_of(queries, keys, self.heads, key_dim**-0.5)
        if self.measuring:
            self._resemble_softmax(products, values)
        weights = tf.nn.relu6(products + offset_biases(self.attention_biases, self.offsets)) / float(cells)
        return weighted_sum(weights * self.head_factors[:, None, None], values)

    def _resemble_softmax(self, products: Tensor, values: Tensor) -> None:
        """Each head's shift of its biases and factor with the least squared distance |softmax(s) v - factor * relu6(s + shift) v|.

        The best factor for one shift is <a, b> / <b, b> of the two sides a and b; it leaves |a|^2 - <a, b>^2 / <b, b>.
        """
        scores = products + offset_biases(self.attention_biases, self.offsets)
        heads = (-1, scores.shape[2], self.heads, values.shape[-1] // self.heads)

        def sides(weights: Tensor) -> Any:
            return np.asarray(tf.reshape(weighted_sum(weights, values), heads), np.float64)

        wanted = sides(tf.nn.softmax(scores))
        gains, factors = [], []
        for shift in SHIFTS:
            found = sides(tf.nn.relu6(scores + shift) / float(scores.shape[2]))
            across, own = (np.einsum("bihk,bihk->h", one, found) for one in (wanted, found))
            safe = np.where(own > 0, own, 1.0)
            gains.append(np.where(across > 0, across**2 / safe, 0.0))
            factors.append(np.where((own > 0) & (across > 0), across / safe, 1.0))
        best = np.argmax(gains, axis=0)
        self.attention_biases.assign_add(np.array(SHIFTS, np.float32)[best][:, None] * np.ones((1, scores.shape[2]), np.float32))
        self.head_factors.assign(np.take_along_axis(np.array(factors), best[None], axis=0)[0].astype(np.float32))


class PairReluAttention(PairAttention):
    """sum over cells of relu6(q k^T + biases) v, for the inference form. Inputs: queries, keys, values. Weights as PairAttention's."""

    def call(self, inputs: list[Tensor]) -> Tensor:
        queries, keys, values = inputs
        return weighted_sum(tf.nn.relu6(scores_of(queries, keys, self.heads) + self.biases), values)


def set_norm_mix(model: Any, value: float) -> None:
    """How much of a layer norm every ProgressiveNorm of a model still is: 1 all, 0 none. Raises EdgekitError outside 0..1."""
    if not 0 <= value <= 1:
        raise EdgekitError(f"a mix of layer norm and batch norm is a number in 0..1, not {value}")
    for layer in progressive_norms(model):
        layer.mix.assign(value)


def progressive_norms(model: Any) -> list[ProgressiveNorm]:
    """Every one in the model; none in a network without layer norm."""
    return [layer for layer in model.layers if isinstance(layer, ProgressiveNorm)]


BN_FORM_LAYERS: dict[str, Any] = {
    layer.__name__: tf_keras.saving.register_keras_serializable(package="edgekit")(layer)
    for layer in (ProgressiveNorm, ReluAttention, PairReluAttention)
}
"""What a saved float model in the BN form names beyond Keras."""
