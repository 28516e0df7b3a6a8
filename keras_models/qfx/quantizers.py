"""QFX quantizers: fixed-point numbers whose binary point is learned (arXiv 2401.17544), on the lattice of docs/numerics.md.

They plug into qkeras layers: QFXWeight and QFXBias as kernel and bias quantizers, QFXActivation and QFXLookup in a QActivation.
Forward they give exactly the real values q * 2**-f of the integer graph; backward, rounding passes gradients straight through,
to the values and to the binary points.

    activation   q = clip(floor(x * 2**f + 1/2), low, high)            one f a tensor
    weight       q = 4 * clip(round(w * 2**f / 4), -L, L)              one f an output channel (a tensor in a Dense)
    bias         q = 4 * round((b * 2**f_acc - 2) / 4) + 2             f_acc = f_in + f_w
                 q = round(b * 2**f_acc) of a matrix product           f_acc = f_x + f_y

L is 31 for the 6 significant bits that the lattice leaves, and 15, 7 or 3 for fewer.
A weight's f is moved where the shift n = f_in + f_w - f_out would be 2 or leave -7..16 (rules 2 and 3); the f of a product of
activations, where n = f_x + f_y - f_out would be negative (rule 8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from math import log
from typing import Any

from edgekit.graph import Activation
from edgekit.graph.check import SHIFT_ALWAYS_EXACT
from edgekit.graph.ranges import FLOAT32_INTEGERS
from edgekit.graph.requantize import SHIFT_MIN
from edgekit.keras_models.layers.activations import activation_function
from edgekit.keras_models.layers.backend import qkeras, tf
from edgekit.keras_models.layers.legacy_keras import as_written
from edgekit.keras_models.qfx.binary_point import BinaryPoint, resolve
from edgekit.keras_models.qfx.precision import BITS_MAX, WeightPrecision

STEP_BITS = 2
"""Weights are multiples of 4 = 2**2: whole numbers at binary point f - 2. Biases are such multiples, and 2."""
BIAS_LEVELS = float(1 << 22)
"""Biases 4 * level + 2 are below 2**24, float32 numbers, and large enough to saturate any output."""
LN2 = log(2.0)
UNBOUNDED = float(1 << 30)
"""qkeras clips weights to its quantizer's max() while training; ours saturate by themselves."""

# --- arithmetic ----------------------------------------------------------------------------------------------------------


def power_of_two(exponent: Any) -> Any:
    """2**exponent for integer-valued float32 exponents in -126..127: exact, by writing the float's exponent field."""
    return tf.bitcast((tf.cast(exponent, tf.int32) + 127) * (1 << 23), tf.float32)


def half_up(x: Any) -> Any:
    """floor(x + 1/2), where x + 1/2 itself might be rounded in float32."""
    below = tf.floor(x)
    return below + tf.cast(x - below >= 0.5, x.dtype)


def _fixed_point(nearest_of: Callable[[Any], Any]) -> Any:
    def quantize(x: Any, f: Any, low: Any, high: Any) -> Any:
        nearest = nearest_of(x * tf.cast(power_of_two(f), x.dtype))
        clipped = tf.clip_by_value(nearest, tf.cast(low, x.dtype), tf.cast(high, x.dtype))
        value = clipped * tf.cast(power_of_two(-f), x.dtype)

        def gradient(upstream: Any) -> tuple[Any, Any, None, None]:
            return *_straight_through(x, f, value, tf.equal(nearest, clipped), upstream), None, None

        return value, gradient

    return tf.custom_gradient(quantize)


fixed_point = _fixed_point(tf.round)
"""(x, f, low, high) -> q * 2**-f with q = clip(round(x * 2**f), low, high), ties to even; `f` integer-valued, broadcast against x.

Straight-through gradients, with rounding taken for the identity (arXiv 1902.08153, equation 3, in terms of f):
    d/dx = 1 inside the range, 0 outside        d/df = ln 2 * (x * [inside] - q * 2**-f)
"""
fixed_point_half_up = _fixed_point(half_up)
"""The same with ties upwards, as the integer graph requantizes products of activations. Behind weights there are no ties."""


@tf.custom_gradient  # type: ignore[untyped-decorator]
def on_levels(x: Any, f: Any, levels: Any) -> Any:
    """q * 2**-f with q the nearest to x * 2**f of `levels` (ascending from 0, uneven) and their negatives, ties towards 0.

    Gradients as in `fixed_point`: inside is what lies less than half a step beyond the largest level.
    """
    distance = tf.abs(x) * power_of_two(f)
    between = (levels[1:] + levels[:-1]) / 2.0  # exact: levels are small integers
    q = tf.gather(levels, tf.reshape(tf.searchsorted(between, tf.reshape(distance, [-1])), tf.shape(x)))
    value = tf.sign(x) * q * power_of_two(-f)

    def gradient(upstream: Any) -> tuple[Any, Any, None]:
        return *_straight_through(x, f, value, tf.round(distance) <= levels[-1], upstream), None

    return value, gradient


def _straight_through(x: Any, f: Any, value: Any, is_inside: Any, upstream: Any) -> tuple[Any, Any]:
    """Gradients by x and by f, the latter summed to f's shape."""
    inside = tf.cast(is_inside, x.dtype)
    by_point = LN2 * (x * inside - value) * upstream
    shared = [axis for axis, size in enumerate(f.shape) if size == 1] if len(f.shape) else None
    return upstream * inside, tf.reduce_sum(by_point, shared, keepdims=shared is not None)


def type_range(signed: bool) -> tuple[float, float]:
    """Lowest and highest of 8 bits."""
    return (-128.0, 127.0) if signed else (0.0, 255.0)


def legal_weight_point(f_w: Any, f_in: Any, f_out: Any) -> Any:
    """The nearest f_w (coarser where in doubt) for which the shift is in -7..16 and not 2; at most 16, so rule 3 holds."""
    n = tf.clip_by_value(f_in + f_w - f_out, float(SHIFT_MIN), float(SHIFT_ALWAYS_EXACT))
    return f_w + tf.stop_gradient(tf.where(tf.equal(n, 2.0), 1.0, n) + f_out - f_in - f_w)


# --- quantizers ----------------------------------------------------------------------------------------------------------


_shapes_alone: ContextVar[bool] = ContextVar("a model is put together", default=False)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Within, quantizers do nothing: while Keras puts a model together it calls each layer, and looks at the shape of what that gives."""
    token = _shapes_alone.set(True)
    try:
        yield
    finally:
        _shapes_alone.reset(token)


class _QFX(qkeras.quantizers.BaseQuantizer):  # type: ignore[misc]
    """What qkeras asks of a quantizer. `switched_on` False lets values through unquantized, for calibration."""

    alpha = "auto"  # tells qkeras to leave initializers alone
    bits = 8

    def __init__(self) -> None:
        super().__init__()
        self.switched_on = True

    @property
    def active(self) -> bool:
        return self.switched_on and not _shapes_alone.get()

    def max(self) -> float:
        return UNBOUNDED

    def min(self) -> float:
        return -UNBOUNDED

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


CLAMPS: Mapping[Activation, Callable[[Any], Any]] = {
    Activation.NONE: tf.identity,
    Activation.RELU: tf.nn.relu,
    Activation.RELU6: tf.nn.relu6,
}


class QFXActivation(_QFX):
    """8-bit activations, unsigned or signed, clamped by `clamp`."""

    fixed_point = staticmethod(fixed_point_half_up)

    def __init__(
        self, point: BinaryPoint | str, signed: bool, clamp: Activation | str = Activation.NONE, binary_point: float | None = None
    ):
        super().__init__()
        self.point, self.signed, self.clamp = resolve(point), signed, Activation(clamp)
        if binary_point is not None:
            self.point.assign(binary_point)

    @as_written
    def __call__(self, x: Any) -> Any:
        x = CLAMPS[self.clamp](x)
        return self.fixed_point(x, self.point.rounded(), *type_range(self.signed)) if self.active else x

    def get_config(self) -> dict[str, Any]:
        return {
            "point": self.point.name,
            "signed": self.signed,
            "clamp": self.clamp.value,
            "binary_point": float(self.point.value()),
        }


class QFXInput(QFXActivation):
    """The quantizer of the image: ties go to even, as everywhere that reals become the graph's integers (edgekit.graph.quantize_input)."""

    fixed_point = staticmethod(fixed_point)


class QFXProduct(QFXActivation):
    """The quantizer of a product of two activations, whose binary points are `x` and `y`: never finer than their sum."""

    def __init__(
        self,
        point: BinaryPoint | str,
        x: BinaryPoint | str,
        y: BinaryPoint | str,
        signed: bool,
        clamp: Activation | str = Activation.NONE,
        binary_point: float | None = None,
    ):
        super().__init__(point, signed, clamp, binary_point)
        self.x, self.y = resolve(x), resolve(y)
        self.point.limit(self.x, self.y)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "x": self.x.name, "y": self.y.name}


class QFXWeight(_QFX):
    """Multiples of 4. `source` and `target` are the binary points of the op's input and output.

    `channel_axis` is where a kernel's output channels are (3 in a Conv2D, 2 in a DepthwiseConv2D), or None for one binary
    point a tensor. `bits` and `k_hot` are those of a WeightPrecision.
    """

    def __init__(
        self,
        point: BinaryPoint | str,
        source: BinaryPoint | str,
        target: BinaryPoint | str,
        channel_axis: int | None,
        k_hot: int | None = None,
        binary_point: Any = None,
        bits: int = BITS_MAX,
    ):
        super().__init__()
        self.point, self.source, self.target = resolve(point), resolve(source), resolve(target)
        self.channel_axis, self.precision = channel_axis, WeightPrecision(bits, k_hot)
        if binary_point is not None:
            self.point.assign(binary_point)

    def binary_point(self) -> Any:
        """Legal integer-valued binary points, float32 () or (channels,)."""
        return legal_weight_point(self.point.rounded(), self.source.rounded(), self.target.rounded())

    @as_written
    def __call__(self, w: Any) -> Any:
        if not self.active:
            return w
        f = self.binary_point()
        if self.channel_axis is not None:
            f = tf.reshape(f, [-1 if axis == self.channel_axis else 1 for axis in range(len(w.shape))])
        levels = self.precision.levels
        if self.precision.k_hot is not None:
            return on_levels(w, f - STEP_BITS, tf.constant(levels, tf.float32))
        return fixed_point(w, f - STEP_BITS, -float(levels[-1]), float(levels[-1]))

    def get_config(self) -> dict[str, Any]:
        return {
            "point": self.point.name,
            "source": self.source.name,
            "target": self.target.name,
            "channel_axis": self.channel_axis,
            "k_hot": self.precision.k_hot,
            "binary_point": self.point.value().tolist(),
            "bits": self.precision.bits,
        }


class QFXBias(_QFX):
    """int32 biases of 2 modulo 4 in the accumulator's binary point. `weight` is the binary point of the op's QFXWeight."""

    def __init__(self, weight: BinaryPoint | str, source: BinaryPoint | str, target: BinaryPoint | str):
        super().__init__()
        self.weight, self.source, self.target = resolve(weight), resolve(source), resolve(target)

    @as_written
    def __call__(self, b: Any) -> Any:
        if not self.active:
            return b
        f_in = self.source.rounded()
        f = tf.stop_gradient(f_in + legal_weight_point(self.weight.rounded(), f_in, self.target.rounded()))
        two = 2.0 * power_of_two(-f)
        return fixed_point(b - two, f - STEP_BITS, -BIAS_LEVELS, BIAS_LEVELS - 1.0) + two

    def get_config(self) -> dict[str, Any]:
        return {"kernel": self.weight.name, "source": self.source.name, "target": self.target.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QFXBias:
        """Files call the weights' binary point "kernel"."""
        return cls(config["kernel"], config["source"], config["target"])


class QFXProductBias(_QFX):
    """What is added to a matrix product of two activations: any whole number in the accumulator's binary point, f_x + f_y."""

    def __init__(self, x: BinaryPoint | str, y: BinaryPoint | str):
        super().__init__()
        self.x, self.y = resolve(x), resolve(y)

    @as_written
    def __call__(self, b: Any) -> Any:
        if not self.active:
            return b
        f = tf.stop_gradient(self.x.rounded() + self.y.rounded())
        return fixed_point(b, f, -float(FLOAT32_INTEGERS), float(FLOAT32_INTEGERS))

    def get_config(self) -> dict[str, Any]:
        return {"x": self.x.name, "y": self.y.name}


class QFXSettled(_QFX):
    """Weights and biases that are numbers of the lattice already, at binary points that the other quantizers would move: they stay."""

    def __call__(self, x: Any) -> Any:
        return x

    def get_config(self) -> dict[str, Any]:
        return {}


class QFXLookup(_QFX):
    """An activation function by table: the output integer of each of the 256 inputs. Trained through the function itself."""

    def __init__(self, point: BinaryPoint | str, signed: bool, function: str, binary_point: float | None = None):
        super().__init__()
        self.point, self.signed, self.function = resolve(point), signed, function
        if binary_point is not None:
            self.point.assign(binary_point)

    @as_written
    def __call__(self, x: Any) -> Any:
        real = activation_function(self.function)(x)
        if not self.active:
            return real
        return fixed_point(real, self.point.rounded(), *type_range(self.signed))

    def get_config(self) -> dict[str, Any]:
        return {
            "point": self.point.name,
            "signed": self.signed,
            "function": self.function,
            "binary_point": float(self.point.value()),
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
        self.source, self.signed_input, self.point, self.signed = resolve(source), signed_input, resolve(point), signed
        self.table = tf.constant(table, tf.float32)
        if binary_point is not None:
            self.point.assign(binary_point)

    @as_written
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
            "binary_point": float(self.point.value()),
        }
