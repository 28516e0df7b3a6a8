"""What a stock TFLite file takes and gives, read with the LiteRT runtime: there is no integer graph to ask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import Preprocessing
from edgekit.verify.executors import describe
from edgekit.verify.inputs import InputType, float_input, quantized_input

INPUT_ELEMENTS_MAX = 1 << 26
"""A file that asks for more is broken or hostile."""


@dataclass(frozen=True)
class Signature:
    """`order`: names of the tensors that ops compute, in graph order. `outputs`: by tensor name, whether it is float."""

    input: InputType
    order: tuple[str, ...]
    outputs: dict[str, bool]


@dataclass(frozen=True)
class FirstOutput:
    """`values` of one input, in `shape`; real value = (q - zero_point) * scale, of floats 1 and 0."""

    values: int
    shape: tuple[int, ...]
    scale: float
    zero_point: int


def first_output(tflite: bytes) -> FirstOutput:
    """The first output of a file that `stock_signature` takes."""
    from ai_edge_litert.interpreter import Interpreter

    detail = Interpreter(model_content=tflite).get_output_details()[0]
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    return FirstOutput(math.prod(shape), shape[1:] if shape[:1] == (1,) else shape, float(scale) or 1.0, int(zero_point))


def stock_signature(tflite: bytes, preprocessing: Preprocessing, recorded: Array | None = None) -> Signature:
    """`recorded`: inputs as the file takes them, of a network that takes no images; they tell what floats it takes.

    Raises EdgekitError for a damaged file, or one that has not one input of batch 1.
    """
    from ai_edge_litert.interpreter import Interpreter

    from edgekit.tflite import parse

    subgraph = parse(tflite).subgraphs[0]
    try:
        interpreter = Interpreter(model_content=tflite)
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise EdgekitError(f"model.tflite cannot be read: {describe(error)}; export again") from error
    if len(inputs) != 1 or not outputs:
        raise EdgekitError(f"model.tflite has {len(inputs)} inputs and {len(outputs)} outputs; edgekit verifies networks with one input")
    floats = {detail["name"]: np.dtype(detail["dtype"]).kind == "f" for detail in outputs}
    computed = (index for operator in subgraph.operators for index in operator.outputs)
    order = tuple(subgraph.tensors[index].name.decode() for index in computed)
    return Signature(_input_type(inputs[0], preprocessing, recorded), order, floats)


def _input_type(detail: dict[str, Any], preprocessing: Preprocessing, recorded: Array | None) -> InputType:
    batch, *rest = (int(size) for size in detail["shape"]) if len(detail["shape"]) else (0,)
    shape, dtype = tuple(rest), np.dtype(detail["dtype"])
    if batch != 1 or not shape or min(shape) < 1 or math.prod(shape) > INPUT_ELEMENTS_MAX:
        raise EdgekitError(f"model.tflite takes inputs of shape {(batch, *shape)}; edgekit exports with batch 1 and fixed sizes")
    if dtype == np.float32:
        return float_input(shape, preprocessing, recorded)
    scale, zero_point = detail["quantization"]
    if dtype.kind not in "iu" or not (math.isfinite(scale) and scale > 0):
        raise EdgekitError(f"model.tflite takes {dtype} with scale {scale}; edgekit verifies float32 and quantized integer inputs")
    return quantized_input(shape, dtype, float(scale), int(zero_point))
