"""The names that a graph's tensors and ops may have: those that every file form can hold beside the names of its own constants."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekit.graph.ir import IntegerGraph

SHARED = re.compile(r"zero_u?int8|scale_2\^-?\d+|double_(2\^-?\d+|-?\d+|half)|relu6/(low|high)")
"""Constants of the ONNX form that several ops share."""
PARTS = frozenset(
    re.findall(
        r"\w+",
        """
        axes axis begin below bias bias_dequantized bias_scale bias_zero_point biased blocks cells
        channels_first channels_last clamped constant copies double end features first flatten half_more
        hard_swish heads index input input_0 input_1 input_int32 input_raised input_uint8 int32 int8 integers
        integers_zero_point is_lowest lowest map map_shape padded padding product products quantize raise raised
        real relu relu6 reshaped rounded rows saturated scaled shape shift shifted size split start sum table
        weights weights_dequantized weights_int32 weights_raised weights_scale weights_uint8 weights_zero_point
        wide x x_heads x_shape y y_heads y_shape y_turned
        """,
    )
)
"""What stands behind `name/`, of an op or a tensor, in the names that the ONNX form and the TFLite writer give to their own values."""
HEADS = re.compile(r"\d+ heads, cells as (rows|columns)")
"""Also stands there: a factor of a product of matrices, as the TFLite writer turns it."""


def unusable_names(graph: IntegerGraph) -> Iterator[tuple[str, str]]:
    """Tensor -> why no file could hold it, or the op that gives it, under its name."""
    owners = {*graph.tensors, *(op.name for op in graph.ops)}
    for name in graph.tensors:
        problem = _unwritable(name)
        if problem is None and SHARED.fullmatch(name):
            problem = "is what the ONNX form calls one of its constants; give it another name"
        if problem is None and any(_is_part(name, place.start(), owners) for place in re.finditer("/", name)):
            problem = "is what file forms call a value or constant of their own beside that op or tensor; give it another name"
        if problem is not None:
            yield name, problem
    for op in graph.ops:
        problem = _unwritable(op.name)
        if problem is not None:
            yield op.output, f"its op {op.name!r} {problem}"


def _unwritable(name: str) -> str | None:
    if not name:
        return "has no name"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "has a name that is not Unicode text"
    return None


def _is_part(name: str, slash: int, owners: set[str]) -> bool:
    what = name[slash + 1 :].split("/")[0]
    return name[:slash] in owners and (what in PARTS or HEADS.fullmatch(what) is not None)
