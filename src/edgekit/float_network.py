"""A network in floating point as plain data: what a file of another framework says, whoever reads it and whatever is made of it.

Its ops bear the names of TFLite's schema, and mean what they mean there. Maps are (batch, rows, columns, channels). Constants of files
that are quantized are here as the real values that they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.arrays import Array

Option = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class FloatTensor:
    """`shape` with the batch. `values`: of a constant, float32, or int64 where they are indices and sizes; else None."""

    name: str
    shape: tuple[int, ...]
    values: Array | None = None


@dataclass(frozen=True, kw_only=True)
class FloatOp:
    """`kind`: CONV_2D and so on. `inputs` and `outputs`: indices of tensors; None is an input that is left out.

    `options`: by the schema's names. "activation" and "padding" are the schema's words in capitals.
    """

    kind: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Option]


@dataclass(frozen=True, kw_only=True)
class FloatNetwork:
    """`ops` in an order in which they can be computed.

    `pixels`: (mean, std) where the file says which real value a pixel stands for, (pixel - mean) / std; else None.
    """

    name: str
    tensors: tuple[FloatTensor, ...]
    ops: tuple[FloatOp, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    pixels: tuple[float, float] | None = None
