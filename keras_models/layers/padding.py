"""Paddings that Keras has a name for."""

from __future__ import annotations

from edgekit.graph import NO_PADDING, Window, same_padding
from edgekit.graph.ir import Pair


def keras_padding(window: Window, size: Pair) -> str | None:
    """What Keras calls a window's padding on a map of (rows, columns): "valid" or "same"; None where it has no word for it."""
    if window.padding == NO_PADDING:
        return "valid"
    return "same" if window.padding == same_padding(size, window.kernel, window.strides, window.dilation) else None
