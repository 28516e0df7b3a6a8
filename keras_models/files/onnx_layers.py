"""ONNX nodes with weights or windows, and those that move values: convolutions, dense layers, pools, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from edgekit.arrays import Array
from edgekit.graph import NO_PADDING, Padding
from edgekit.keras_models.files import plain_layers as plain
from edgekit.keras_models.files.onnx_values import FIRST, LAST, Flat, Map, Node, Value, Vector, same, title
from edgekit.keras_models.layers.backend import tf_keras


def _conv(node: Node, x: Value, weights: Value, bias: Value | None = None) -> Map:
    source, kernel = node.map(x), node.constant(weights, "weights").astype(np.float32)
    groups, channels = int(node.attributes.get("group", 1)), int(source.tensor.shape[-1])
    if kernel.ndim != 4 or kernel.shape[1] * groups != channels or kernel.shape[0] % groups:
        raise node.refuse(f"has a kernel of shape {kernel.shape} in {groups} groups for {channels} channels")
    added = None if bias is None else node.constant(bias, "biases").astype(np.float32)
    window = node.window(source, (kernel.shape[2], kernel.shape[3]))
    turned = kernel.transpose(2, 3, 1, 0)  # (rows, columns, channels in of a group, channels out)
    if groups == channels and groups > 1:
        own = turned.reshape(*kernel.shape[2:], channels, -1)
        return Map(plain.depthwise(source.tensor, node.name, own, added, window), first=True)
    return Map(plain.conv(source.tensor, node.name, turned, added, window, groups), first=True)


def _conv_transpose(node: Node, x: Value, weights: Value, bias: Value | None = None) -> Map:
    """With a kernel as large as its stride, or TensorFlow's 'SAME'."""
    source, kernel = node.map(x), node.constant(weights, "weights").astype(np.float32)
    strides, pads = tuple(node.attributes.get("strides", (1, 1))), tuple(node.attributes.get("pads", (0, 0, 0, 0)))
    plainly = {"group": 1, "dilations": [1, 1], "output_padding": [0, 0], "auto_pad": "NOTSET"}
    if any(node.attributes.get(name, value) != value for name, value in plainly.items()) or any(pads) or len(strides) != 2:
        raise node.refuse("has groups, dilation, padding or output_padding")
    added = None if bias is None else node.constant(bias, "biases").astype(np.float32)
    return Map(plain.transposed_conv(source.tensor, node.name, kernel.transpose(2, 3, 1, 0), added, strides, "valid"), first=True)


def _batch_norm(node: Node, x: Value, *parameters: Value) -> Map | Vector:
    source = node.settle(x)
    if isinstance(source, Map) and not source.first:
        raise node.refuse("works on maps with channels last")
    gamma, beta, mean, variance = (node.constant(one, "parameters").astype(np.float32) for one in parameters)
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    return same(source, plain.batch_norm(source.tensor, node.name, gamma, beta, mean, variance, epsilon))


def _concat(node: Node, *values: Value) -> Map | Vector:
    settled = [node.settle(value) for value in values]
    first = settled[0]
    axis = first.axis(int(node.attributes["axis"])) if isinstance(first, Map) else int(node.attributes["axis"]) % 2
    alike = all(type(one) is type(first) and getattr(one, "first", None) == getattr(first, "first", None) for one in settled)
    if not alike or axis != len(first.shape) - 1:
        raise node.refuse("joins along another axis than the channels")
    return same(first, tf_keras.layers.Concatenate(name=node.name)([one.tensor for one in settled]))


def _max_pool(node: Node, x: Value) -> Map:
    source, kernel = node.map(x), tuple(node.attributes["kernel_shape"])
    window = node.window(source, kernel)
    if window.dilation != (1, 1):
        raise node.refuse("has a dilation")
    return Map(plain.max_pool(source.tensor, node.name, window), first=True)


def _average_pool(node: Node, x: Value) -> Map:
    source, kernel = node.map(x), tuple(node.attributes["kernel_shape"])
    counts = bool(node.attributes.get("count_include_pad", 0))
    return Map(plain.average_pool(source.tensor, node.name, node.window(source, kernel), padding_counts=counts), first=True)


def _global_mean(node: Node, x: Value) -> Map:
    return Map(plain.global_mean(node.map(x).tensor, node.name, keep_map=True), first=True)


def _mean(node: Node, x: Value, axes: Value | None = None) -> Map | Vector:
    source = node.settle(x)
    named = node.attributes.get("axes") if axes is None else np.ravel(node.constant(axes, "axes")).tolist()
    if not isinstance(source, Map) or named is None or sorted(source.axis(int(axis)) for axis in named) != [1, 2]:
        raise node.refuse("is a mean over other axes than rows and columns")
    if node.attributes.get("keepdims", 1):
        return Map(plain.global_mean(source.tensor, node.name, keep_map=True), source.first)
    return Vector(plain.global_mean(source.tensor, node.name, keep_map=False))


def _gemm(node: Node, x: Value, weights: Value, bias: Value | None = None) -> Vector:
    if node.attributes.get("transA", 0):
        raise node.refuse("has transA")
    kernel = node.constant(weights, "weights").astype(np.float32) * np.float32(node.attributes.get("alpha", 1.0))
    kernel = kernel.T if node.attributes.get("transB", 0) else kernel
    added = (
        None
        if bias is None
        else node.constant(bias, "biases").astype(np.float32).reshape(-1) * np.float32(node.attributes.get("beta", 1.0))
    )
    return _dense(node, x, kernel, None if added is None else np.broadcast_to(added, kernel.shape[1]))


def _matmul(node: Node, x: Value, weights: Value) -> Vector | Map:
    if not isinstance(weights, np.ndarray) or weights.ndim != 2:
        raise node.refuse("multiplies two layers' outputs (attention); float networks with it are taken as Keras models")
    return _dense(node, x, weights.astype(np.float32), None)


def _dense(node: Node, x: Value, kernel: Array, bias: Array | None) -> Vector:
    """Rows of the kernel are put in the order of the Keras map where the file has flattened one channel by channel."""
    if isinstance(x, Flat):
        rows, columns, channels = (int(size) for size in x.source.tensor.shape[1:])
        if kernel.shape[0] != rows * columns * channels:
            raise node.refuse(f"has weights {kernel.shape} for {rows * columns * channels} values")
        kernel = kernel.reshape(channels, rows, columns, -1).transpose(1, 2, 0, 3).reshape(kernel.shape)
        flat = tf_keras.layers.Flatten(name=node.reading.names.unique(f"{title(node.proto)}_flatten", "flatten"))(x.source.tensor)
        return Vector(plain.dense(flat, node.name, kernel, bias))
    source = node.settle(x)
    if not isinstance(source, Vector) or kernel.ndim != 2 or kernel.shape[0] != source.shape[1]:
        raise node.refuse(f"has weights {kernel.shape} for a tensor of shape {source.shape}")
    return Vector(plain.dense(source.tensor, node.name, kernel, bias))


def _flatten(node: Node, x: Value) -> Value:
    source = node.settle(x)
    if int(node.attributes.get("axis", 1)) != 1:
        raise node.refuse("keeps other axes than the batch")
    return _in_a_row(node, source)


def _in_a_row(node: Node, source: Map | Vector) -> Value:
    if isinstance(source, Map):
        return Flat(source) if source.first else Vector(tf_keras.layers.Flatten(name=node.name)(source.tensor))
    return source


def _reshape(node: Node, x: Value, shape: Value) -> Value:
    source = node.settle(x)
    wanted = [int(size) for size in node.constant(shape, "sizes")]
    wanted = [source.shape[i] if size == 0 and i < len(source.shape) else size for i, size in enumerate(wanted)]
    if (len(wanted) == 2 and wanted[0] in (1, -1)) or wanted == [1, prod(source.shape[1:])]:
        return _in_a_row(node, source)
    if isinstance(source, Vector) and len(wanted) == 4 and wanted[2:] == [1, 1] and wanted[1] in (-1, source.shape[1]):
        return Map(tf_keras.layers.Reshape((1, 1, source.shape[1]), name=node.name)(source.tensor), first=True)
    if tuple(wanted) == source.shape:
        return source
    raise node.refuse(f"reshapes {source.shape} to {tuple(wanted)}; flattening is supported")


def _squeeze(node: Node, x: Value, axes: Value | None = None) -> Value:
    source = node.settle(x)
    named = node.attributes.get("axes") if axes is None else np.ravel(node.constant(axes, "axes")).tolist()
    if isinstance(source, Map) and named is not None and sorted(source.axis(int(axis)) for axis in named) == [1, 2]:
        return _in_a_row(node, Map(source.tensor, first=False))
    raise node.refuse("takes away other axes than rows and columns")


def _unsqueeze(node: Node, x: Value, axes: Value | None = None) -> Value:
    source = node.settle(x)
    named = node.attributes.get("axes") if axes is None else np.ravel(node.constant(axes, "axes")).tolist()
    if isinstance(source, Vector) and named in ([2, 3], [-2, -1], [-1, -2]):
        return Map(tf_keras.layers.Reshape((1, 1, source.shape[1]), name=node.name)(source.tensor), first=True)
    raise node.refuse("adds other axes than rows and columns")


def _transpose(node: Node, x: Value) -> Value:
    source, order = node.settle(x), tuple(node.attributes.get("perm", ()))
    if isinstance(source, Map) and (order, source.first) in ((LAST, False), (FIRST, True)):
        return Map(source.tensor, not source.first)
    if order == tuple(range(len(source.shape))):
        return source
    raise node.refuse(f"transposes {source.shape} by {order}; channels to the end and back is supported")


def _pad(node: Node, x: Value, pads: Value | None = None, value: Value | None = None, axes: Value | None = None) -> Map:
    source = node.map(x)
    cells = np.ravel(node.attributes.get("pads", []) if pads is None else node.constant(pads, "sizes")).tolist()
    filled = 0.0 if value is None else float(node.constant(value, "values").reshape(()))
    if node.attributes.get("mode", "constant") != "constant" or filled or axes is not None or len(cells) != 8:
        raise node.refuse("pads by other values than 0")
    if any(cells[i] for i in (0, 1, 4, 5)) or min(cells) < 0:
        raise node.refuse("pads along other axes than rows and columns, or cuts")
    padding = Padding(int(cells[2]), int(cells[6]), int(cells[3]), int(cells[7]))
    return source if padding == NO_PADDING else Map(plain.zero_padding(source.tensor, node.name, padding), first=True)


def _slice(node: Node, x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None) -> Map | Vector:
    source = node.settle(x)
    begin, end = (np.ravel(node.constant(one, "bounds")).tolist() for one in (starts, ends))
    along = list(range(len(begin))) if axes is None else np.ravel(node.constant(axes, "axes")).tolist()
    step = [1] if steps is None else np.ravel(node.constant(steps, "steps")).tolist()
    channel = len(source.shape) - 1
    keras_axis = source.axis(along[0]) if isinstance(source, Map) and len(along) == 1 else along[0] % len(source.shape)
    if len(along) != 1 or keras_axis != channel or step != [1]:
        raise node.refuse("takes a part along other axes than the channels, or in steps")
    low, high, _ = slice(begin[0], end[0]).indices(int(source.tensor.shape[-1]))
    if high <= low:
        raise node.refuse("takes no channel")
    return same(source, plain.channels(source.tensor, node.name, low, high - low))


def _resize(node: Node, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None) -> Map:
    """Nearest neighbour by whole factors: each cell again and again."""
    source = node.map(x)
    given = sizes if sizes is not None else scales
    numbers = np.ravel(node.constant(given, "sizes")).astype(np.float64)
    factors = numbers / np.array(source.shape) if sizes is not None else numbers
    whole = [round(float(factor)) for factor in factors]
    if node.attributes.get("mode", "nearest") != "nearest" or len(whole) != 4 or not np.allclose(factors, whole) or whole[:2] != [1, 1]:
        raise node.refuse("resizes otherwise than by repeating each cell")
    return Map(tf_keras.layers.UpSampling2D((whole[2], whole[3]), name=node.name)(source.tensor), first=True)


def _identity(node: Node, x: Value, *others: Value | None) -> Value:
    return x


LAYERS: Mapping[str, Callable[..., Value]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _identity,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dropout": _identity,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_mean,
    "Identity": _identity,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
