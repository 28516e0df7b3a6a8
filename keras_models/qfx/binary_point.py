"""BinaryPoint: a trainable binary point (arXiv 2401.17544), which several tensors can share; and how a saved model gets them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from edgekit.keras_models.layers.backend import tf

LEARNING_GAIN = 16.0
"""Adam moves a variable by about the learning rate a step. A binary point counts in whole numbers, so its variable is in units
of 16: a few dozen steps in one direction change it by one."""


class BinaryPoint:
    """A trainable binary point, or one an output channel. Tensors that meet in an Add or a Concat share theirs."""

    def __init__(self, name: str, value: Any = 0.0):
        self._name = name
        self._shared: BinaryPoint | None = None
        self._limits: list[tuple[BinaryPoint, BinaryPoint]] = []
        self._variable = self._make_variable(value)

    def _make_variable(self, value: Any) -> Any:
        return tf.Variable(tf.constant(value, tf.float32) / LEARNING_GAIN, name=f"{self._name}/binary_point")

    @property
    def root(self) -> BinaryPoint:
        return self if self._shared is None else self._shared.root

    def share(self, other: BinaryPoint) -> None:
        """From now on this is the other's binary point."""
        if self.root is not other.root:
            other.root._limits += self.root._limits
            self.root._shared = other.root

    def limit(self, x: BinaryPoint, y: BinaryPoint) -> None:
        """From now on it is at most the sum of two others: a product has no finer steps than that."""
        self.root._limits.append((x, y))

    @property
    def name(self) -> str:
        return self.root._name

    @property
    def variable(self) -> Any:
        """What an optimizer moves: the binary point / LEARNING_GAIN."""
        return self.root._variable

    def value(self) -> Any:
        """The real-valued binary point, float32 () or (channels,), as an array."""
        return self.variable.numpy() * LEARNING_GAIN

    def rounded(self) -> Any:
        """The integer binary point as a float32 tensor, straight-through."""
        return self._rounded(())

    def _rounded(self, readers: tuple[BinaryPoint, ...]) -> Any:
        """`readers` are limited by this one, which a limit in terms of theirs would not end."""
        real = self.variable * LEARNING_GAIN
        rounded, readers = real + tf.stop_gradient(tf.round(real) - real), (*readers, self.root)
        for x, y in self.root._limits:
            if x.root not in readers and y.root not in readers:
                rounded = tf.minimum(rounded, x._rounded(readers) + y._rounded(readers))
        return rounded

    def assign(self, value: Any) -> None:
        """Sets it; from one for a tensor to one for each channel, too."""
        self.root._variable = self.root._make_variable(value)


_scope: ContextVar[dict[str, BinaryPoint]] = ContextVar("binary points of the model that is being read")


@contextmanager
def binary_points_by_name() -> Iterator[None]:
    """While a model is deserialized, quantizers that name the same binary point get the same one."""
    token = _scope.set({})
    try:
        yield
    finally:
        _scope.reset(token)


def resolve(point: BinaryPoint | str) -> BinaryPoint:
    """The binary point itself, or the one of that name in the model that is being read."""
    return _scope.get().setdefault(point, BinaryPoint(point)) if isinstance(point, str) else point
