"""Equalization of a residual stream: tensors that are added to one another have the same factor in every channel.

All layers P that give to the stream multiply channel c by g, all layers R that read it divide by it; sums let factors pass (arXiv
1906.04721, section 4.1, for more than one layer at each end). By the errors that rounding brings into channel c, and what readers make of
them, the factor with the least cost is taken:

    r_c ( sum_P s_P(g)^2 V_P + n t^2 ) / (12 g^2)   +   g^2 v_c sum_R sum_o s_o^2 / 12,        r_c = sum_R sum_o W_oc^2

with s_P(g) the step of P's weights for this output, a power of two that g lets fit, V_P the variance of P's inputs, all together, t the
step of the n 8-bit tensors of the stream, v_c the channel's variance there, and s_o the readers' steps.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.graph import Activation
from edgekit.keras_models.qfx.channels import Channels, channels_of
from edgekit.keras_models.qfx.equalize import INPUT_AXES
from edgekit.keras_models.qfx.lattice_equalization import HEADROOM
from edgekit.keras_models.qfx.model import QFXModel, quantizers_of
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXWeight
from edgekit.keras_models.reading.nodes import key_of, nodes_of

Reals: TypeAlias = npt.NDArray[np.float64]

CANDIDATES = tuple(2.0 ** (k / 8) for k in range(-8, 33))
CONVOLUTIONS = ("QConv2D", "QDepthwiseConv2D")


@dataclass(frozen=True)
class Stream:
    """`givers` and `readers` are layers with weights, `tensors` what givers and sums give once it is requantized."""

    givers: tuple[Any, ...]
    readers: tuple[Any, ...]
    tensors: tuple[Any, ...]


def equalize_streams(model: QFXModel, images: npt.NDArray[np.float32]) -> None:
    """Rescales the float weights of a QFXModel in place, before its binary points are chosen."""
    found = streams(model)
    wanted = [tensor for stream in found for tensor in (*stream.tensors, *(giver.input for giver in stream.givers))]
    seen = iter(channels_of(model, wanted, images))
    for stream in found:
        tensors = [next(seen) for _ in stream.tensors]
        inputs = [next(seen) for _ in stream.givers]
        _rescale(stream, factors(stream, tensors, inputs))


def streams(model: QFXModel) -> list[Stream]:
    """The residual streams of a model: signed, with layers with weights alone at both ends."""
    nodes = nodes_of(model)
    root: dict[Any, Any] = {}

    def find(key: Any) -> Any:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    inside = [node for node in nodes if type(node.layer).__name__ == "Add" or _passes(node.layer)]
    for node in inside:
        for tensor in node.keras_inputs:
            root[find(key_of(tensor))] = find(key_of(node.outputs))
    givers: dict[Any, list[Any]] = defaultdict(list)
    readers: dict[Any, list[Any]] = defaultdict(list)
    tensors: dict[Any, list[Any]] = defaultdict(list)
    sums = {find(key_of(node.outputs)) for node in inside if not _passes(node.layer)}
    broken = {find(key_of(tensor)) for tensor in model.outputs}
    for node in nodes:
        out = find(key_of(node.outputs))
        if _passes(node.layer):
            tensors[out].append(node.outputs)
        elif node.layer.__class__.__name__ in CONVOLUTIONS and node.layer.trainable:
            givers[out].append(node.layer)
        elif node not in inside:
            broken.add(out)
        if node not in inside:
            for tensor in node.keras_inputs:
                if type(node.layer).__name__ in INPUT_AXES and node.layer.trainable:
                    readers[find(key_of(tensor))].append(node.layer)
                else:
                    broken.add(find(key_of(tensor)))
    return [Stream(tuple(givers[one]), tuple(readers[one]), tuple(tensors[one])) for one in sorted(sums - broken)]


def factors(stream: Stream, tensors: list[Channels], inputs: list[Channels]) -> Reals:
    """The factor of each channel that costs least of CANDIDATES, (channels,).

    Args:
        tensors: what was seen of the stream's.
        inputs: of what each giver reads.
    """
    largest = np.max([one.largest for one in tensors], axis=0)
    variance = np.max([one.variance for one in tensors], axis=0)
    limit = float(largest.max())
    if not limit > 0.0:
        return np.ones(len(largest))
    step = 2.0 ** np.ceil(np.log2(limit / 127.0))
    squares, read = np.zeros(len(largest)), 0.0
    for reader in stream.readers:
        kernel, steps = _kernel_and_steps(reader, INPUT_AXES[type(reader).__name__])
        squares += np.sum(kernel**2, axis=1)
        read += float(np.sum(steps**2)) * (1 if type(reader).__name__ == "QDepthwiseConv2D" else kernel.shape[1] // len(steps))
    costs = []
    for factor in CANDIDATES:
        given = np.full(len(largest), len(tensors) * step**2)
        for giver, seen in zip(stream.givers, inputs, strict=True):
            depthwise = type(giver).__name__ == "QDepthwiseConv2D"
            kernel, _ = _kernel_and_steps(giver, 2 if depthwise else 3)
            own = _step(kernel.max(axis=1) * factor, giver)
            given += own**2 * (seen.variance * kernel.shape[1] if depthwise else seen.variance.sum() * kernel.shape[1] / len(seen.variance))
        cost = squares * given / factor**2 + factor**2 * variance * read
        costs.append(np.where((factor > 1.0) & (largest * factor * HEADROOM > limit), np.inf, cost))
    best = np.asarray(CANDIDATES)[np.argmin(costs, axis=0)]
    return np.where((largest > 0) & (squares > 0), best, 1.0)


def _kernel_and_steps(layer: Any, axis: int) -> tuple[Reals, Reals]:
    """The magnitudes of a kernel, (channels of the axis, others), and the step of each output."""
    kernel = np.abs(layer.get_weights()[0].astype(np.float64))
    weight = _weight(layer)
    largest = kernel.max() if weight.channel_axis is None else np.moveaxis(kernel, weight.channel_axis, -1).max(axis=(0, 1, 2))
    return np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1), np.atleast_1d(_step(largest, layer))


def _step(largest: Any, layer: Any) -> Any:
    """The least power of two by which the lattice reaches this far."""
    return 2.0 ** np.ceil(np.log2(np.maximum(largest, np.finfo(np.float32).tiny) / (_weight(layer).precision.levels[-1] + 0.5)))


def _weight(layer: Any) -> QFXWeight:
    return next(one for one in quantizers_of(layer) if isinstance(one, QFXWeight))


def _rescale(stream: Stream, factor: Reals) -> None:
    for giver in stream.givers:
        kernel, bias = giver.get_weights()
        own = [1] * kernel.ndim
        own[2 if type(giver).__name__ == "QDepthwiseConv2D" else -1] = -1
        giver.set_weights([kernel * factor.reshape(own), bias * factor])
    for reader in stream.readers:
        kernel, *bias = reader.get_weights()
        along = [1] * kernel.ndim
        along[INPUT_AXES[type(reader).__name__]] = -1
        reader.set_weights([kernel / factor.reshape(along), *bias])


def _passes(layer: Any) -> bool:
    """The requantization of a sum or a layer, without a clamp."""
    quantizer = getattr(layer, "quantizer", None)
    return isinstance(quantizer, QFXActivation) and quantizer.clamp is Activation.NONE and quantizer.signed
