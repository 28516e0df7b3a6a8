"""QFX quantizers: fixed-point numbers whose binary point is learned (arXiv 2401.17544), on the lattice of docs/numerics.md.

They plug into qkeras layers: QFXWeight and QFXBias as kernel and bias quantizers, QFXActivation and QFXLookup in a QActivation.
Forward they give exactly the real values q * 2**-f of the integer graph; backward, rounding passes gradients straight through,
to the values and to the binary points.

    activation   q = clip(round(x * 2**f), low, high)                  one f a tensor
    weight       q = 4 * clip(round(w * 2**f / 4), -31, 31)            one f an output channel (a tensor in a Dense)
    bias         q = 4 * round((b * 2**f_acc - 2) / 4) + 2             f_acc = f_in + f_w

A weight's f is moved where the shift n = f_in + f_w - f_out would be 2 or leave -7..16 (rules 2 and 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from edgekit.graph.check import SHIFT_ALWAYS_EXACT, WEIGHT_MAX, WEIGHT_STEP
from edgekit.graph.requantize import SHIFT_MIN
from edgekit.keras_models.legacy_keras import import_keras

tf_keras = import_keras()
import tensorflow as tf  # noqa: E402  after the choice of Keras
from qkeras.quantizers import BaseQuantizer  # noqa: E402

WEIGHT_LEVELS = WEIGHT_MAX // WEIGHT_STEP
BIAS_MAX = float(1 << 24)
"""Integers of 2 modulo 4 up to here are float32 numbers; the largest requantized one saturates any output anyway."""
UNBOUNDED = float(1 << 30)
"""qkeras clips weights to its quantizer's max() while training; ours saturate by themselves."""


# --- binary points -------------------------------------------------------------------------------------------------------


class BinaryPoint:
    """A trainable binary point, or one an output channel. Tensors that meet in an Add or a Concat share theirs."""

    def __init__(self, name: str, value: Any = 0.0):
        self._name, self._shared = name, None
        self._variable = tf.Variable(value, dtype=tf.float32, name=f"{name}/binary_point")

    @property
    def root(self) -> BinaryPoint:
        return self if self._shared is None else self._shared.root

    def share(self, other: BinaryPoint) -> None:
        """From now on this is the other's binary point."""
        if self.root is not other.root:
            self.root._shared = other.root  # type: ignore[assignment]

    @property
    def name(self) -> str:
        return self.root._name

    @property
    def variable(self) -> Any:
        """Real-valued; `rounded` is what counts."""
        return self.root._variable

    def rounded(self) -> Any:
        """The integer binary point as float32, straight-through."""
        return _straight_through(tf.round, self.variable)

    def assign(self, value: Any) -> None:
        """Sets it; from one for a tensor to one for each channel, too."""
        if self.variable.shape == tf.TensorShape(tf.convert_to_tensor(value).shape):
            self.variable.assign(value)
        else:
            self.root._variable = tf.Variable(value, dtype=tf.float32, name=f"{self.name}/binary_point")


_scope: ContextVar[dict[str, BinaryPoint]] = ContextVar("binary points of the model that is being read")


@contextmanager
def binary_points_by_name() -> Iterator[None]:
    """While a model is deserialized, quantizers that name the same binary point get the same one."""
    token = _scope.set({})
    try:
        yield
    finally:
        _scope.reset(token)


def _resolve(point: BinaryPoint | str) -> BinaryPoint:
    return _scope.get().setdefault(point, BinaryPoint(point)) if isinstance(point, str) else point


# --- arithmetic ----------------------------------------------------------------------------------------------------------


def _straight_through(rounding: Callable[[Any], Any], x: Any) -> Any:
    return x + tf.stop_gradient(rounding(x) - x)


def power_of_two(exponent: Any) -> Any:
    """2**exponent for integer-valued float32 exponents in -126..127: exact, by writing the float's exponent field."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def exact(f: Any) -> Any:
        value = tf.bitcast((tf.cast(f, tf.int32) + 127) * (1 << 23), tf.float32)
        return value, lambda upstream: upstream * value * tf.math.log(2.0)

    return exact(exponent)


def _round_within(x: Any, low: Any, high: Any) -> Any:
    """round(clip(x)), ties to even; the gradient is 1 inside and 0 outside."""
    inside = tf.clip_by_value(x, low, high)
    return inside + tf.stop_gradient(tf.round(inside) - inside)


def _k_hot_rounding(bits: int) -> Callable[[Any], Any]:
    """Rounds a level in -31..31 to the nearest one with at most `bits` non-zero bits; of two as near, to the smaller."""
    allowed = [level for level in range(WEIGHT_LEVELS + 1) if bin(level).count("1") <= bits]
    nearest = tf.constant([min(allowed, key=lambda a: abs(a - level)) for level in range(WEIGHT_LEVELS + 1)], tf.float32)
    return lambda levels: tf.sign(levels) * tf.gather(nearest, tf.cast(tf.abs(levels), tf.int32))


def legal_weight_point(f_w: Any, f_in: Any, f_out: Any) -> Any:
    """The nearest f_w (coarser where in doubt) for which the shift is in -7..16 and not 2; at most 16, so rule 3 holds."""
    n = tf.clip_by_value(f_in + f_w - f_out, float(SHIFT_MIN), float(SHIFT_ALWAYS_EXACT))
    return f_w + tf.stop_gradient(tf.where(tf.equal(n, 2.0), 1.0, n) + f_out - f_in - f_w)


# --- quantizers ----------------------------------------------------------------------------------------------------------


class _QFX(BaseQuantizer):  # type: ignore[misc]
    """What qkeras asks of a quantizer. `active` False lets values through unquantized, for calibration."""

    alpha = "auto"  # tells qkeras to leave initializers alone
    bits = 8

    def __init__(self) -> None:
        super().__init__()
        self.active = True

    def max(self) -> float:
        return UNBOUNDED

    def min(self) -> float:
        return -UNBOUNDED

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class QFXActivation(_QFX):
    """8-bit activations, unsigned or signed, clamped by `activation`: "none", "relu" or "relu6"."""

    def __init__(self, point: BinaryPoint | str, signed: bool, activation: str = "none", binary_point: float | None = None):
        super().__init__()
        self.point, self.signed, self.activation = _resolve(point), signed, activation
        if binary_point is not None:
            self.point.assign(binary_point)

    def __call__(self, x: Any) -> Any:
        if not self.active:
            return {"none": tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}[self.activation](x)
        f = self.point.rounded()
        low, high = self.clamp(f)
        return _round_within(x * power_of_two(f), low, high) * power_of_two(-f)

    def clamp(self, f: Any) -> tuple[Any, Any]:
        """Lowest and highest integer; as edgekit.graph.clamp_range, but f may be a tensor."""
        low = -128.0 if self.signed and self.activation == "none" else 0.0
        high = 127.0 if self.signed else 255.0
        if self.activation != "relu6":
            return low, high
        six = 6.0 * power_of_two(tf.clip_by_value(f, -1.0, 8.0))
        return low, tf.where(f >= -1.0, tf.minimum(six, high), high)

    def get_config(self) -> dict[str, Any]:
        return {
            "point": self.point.name,
            "signed": self.signed,
            "activation": self.activation,
            "binary_point": float(self.point.variable.numpy()),
        }


class QFXWeight(_QFX):
    """6 significant bits on multiples of 4. `source` and `target` are the binary points of the op's input and output.

    `channel_axis` is where a kernel's output channels are (3 in a Conv2D, 2 in a DepthwiseConv2D), or None for one binary
    point a tensor. `k_hot` leaves at most so many non-zero bits in a weight.
    """

    def __init__(
        self,
        point: BinaryPoint | str,
        source: BinaryPoint | str,
        target: BinaryPoint | str,
        channel_axis: int | None,
        k_hot: int | None = None,
        binary_point: Any = None,
    ):
        super().__init__()
        self.point, self.source, self.target = _resolve(point), _resolve(source), _resolve(target)
        self.channel_axis, self.k_hot = channel_axis, k_hot
        if binary_point is not None:
            self.point.assign(binary_point)

    def binary_point(self) -> Any:
        """Legal integer-valued binary points, float32 () or (channels,)."""
        return legal_weight_point(self.point.rounded(), self.source.rounded(), self.target.rounded())

    def __call__(self, w: Any) -> Any:
        if not self.active:
            return w
        f = self.binary_point()
        if self.channel_axis is not None:
            f = tf.reshape(f, [-1 if axis == self.channel_axis else 1 for axis in range(len(w.shape))])
        levels = _round_within(w * power_of_two(f) / WEIGHT_STEP, -float(WEIGHT_LEVELS), float(WEIGHT_LEVELS))
        if self.k_hot is not None:
            levels = _straight_through(_k_hot_rounding(self.k_hot), levels)
        return levels * WEIGHT_STEP * power_of_two(-f)

    def get_config(self) -> dict[str, Any]:
        return {
            "point": self.point.name,
            "source": self.source.name,
            "target": self.target.name,
            "channel_axis": self.channel_axis,
            "k_hot": self.k_hot,
            "binary_point": self.point.variable.numpy().tolist(),
        }


class QFXBias(_QFX):
    """int32 biases of 2 modulo 4 in the accumulator's binary point. `kernel` is the binary point of the op's QFXWeight."""

    def __init__(self, kernel: BinaryPoint | str, source: BinaryPoint | str, target: BinaryPoint | str):
        super().__init__()
        self.kernel, self.source, self.target = _resolve(kernel), _resolve(source), _resolve(target)

    def __call__(self, b: Any) -> Any:
        if not self.active:
            return b
        f_in = self.source.rounded()
        f = f_in + legal_weight_point(self.kernel.rounded(), f_in, self.target.rounded())
        quarters = _round_within((b * power_of_two(f) - 2.0) / 4.0, -BIAS_MAX / 4, BIAS_MAX / 4 - 1)
        return (quarters * 4.0 + 2.0) * power_of_two(-f)

    def get_config(self) -> dict[str, Any]:
        return {"kernel": self.kernel.name, "source": self.source.name, "target": self.target.name}


class QFXLookup(_QFX):
    """An activation function by table: the output integer of each of the 256 inputs. Trained through the function itself."""

    def __init__(self, point: BinaryPoint | str, signed: bool, function: str, binary_point: float | None = None):
        super().__init__()
        self.point, self.signed, self.function = _resolve(point), signed, function
        if binary_point is not None:
            self.point.assign(binary_point)

    def __call__(self, x: Any) -> Any:
        real = tf_keras.activations.get(self.function)(x)
        if not self.active:
            return real
        f = self.point.rounded()
        low, high = (-128.0, 127.0) if self.signed else (0.0, 255.0)
        return _round_within(real * power_of_two(f), low, high) * power_of_two(-f)

    def get_config(self) -> dict[str, Any]:
        return {
            "point": self.point.name,
            "signed": self.signed,
            "function": self.function,
            "binary_point": float(self.point.variable.numpy()),
        }


class QFXTable(_QFX):
    """A table that is settled: `table` holds the output integers from the input type's lowest value on. No gradient passes it."""

    def __init__(
        self,
        source: BinaryPoint | str,
        signed_input: bool,
        point: BinaryPoint | str,
        signed: bool,
        table: list[int],
        binary_point: float | None = None,
    ):
        super().__init__()
        self.source, self.signed_input, self.point, self.signed = _resolve(source), signed_input, _resolve(point), signed
        self.table = tf.constant(table, tf.float32)
        if binary_point is not None:
            self.point.assign(binary_point)

    def __call__(self, x: Any) -> Any:
        low = -128.0 if self.signed_input else 0.0
        index = tf.cast(tf.round(x * power_of_two(self.source.rounded())) - low, tf.int32)
        return tf.gather(self.table, index) * power_of_two(-self.point.rounded())

    def get_config(self) -> dict[str, Any]:
        return {
            "source": self.source.name,
            "signed_input": self.signed_input,
            "point": self.point.name,
            "signed": self.signed,
            "table": [int(entry) for entry in self.table.numpy()],
            "binary_point": float(self.point.variable.numpy()),
        }
