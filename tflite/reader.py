"""Reading TFLite files, ours and other people's: a structural check, the list of ops, and the probe copy.

The runtimes trust a file's indices and sizes and crash on wrong ones, so a file is checked here before they see it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.files import reading
from edgekit.tflite import schema
from edgekit.tflite.flatbuffer import IDENTIFIER, pack

VALUES_MAX = 1 << 28
"""Of one tensor; what declares more is no network here."""
OPTIONAL = -1
"""The index of an input that is left out."""


@dataclass(frozen=True)
class OpVersion:
    """`name` as in the schema's BuiltinOperator, or the name of a custom op."""

    name: str
    version: int


@reading("the TFLite file")
def describe(tflite: bytes) -> list[OpVersion]:
    """Every op of the file with its version, subgraph by subgraph, in order. Raises EdgekitError for a file that is damaged."""
    model = parse(tflite)
    kinds = [op_version(code) for code in model.operatorCodes or []]
    return [kinds[op.opcodeIndex] for subgraph in model.subgraphs for op in subgraph.operators or []]


def parse(tflite: bytes) -> Any:
    """The file as a schema.ModelT whose indices and buffer sizes are in range.

    Raises:
        EdgekitError: no TFLite file, or truncated, or inconsistent.
    """
    if len(tflite) < 8 or tflite[4:8] != IDENTIFIER:
        raise EdgekitError("not a TFLite file: the identifier TFL3 is missing at byte 4")
    unpack = schema.ModelT.InitFromPackedBuf
    try:
        model = unpack(bytearray(tflite))
        problem = next(_problems(model), None)
    except Exception as error:  # the generated reader raises whatever struct, numpy or str.decode do
        raise EdgekitError(f"the TFLite file is damaged ({type(error).__name__}: {error}); write it again") from error
    if problem:
        raise EdgekitError(f"the TFLite file is damaged: {problem}; write it again")
    return model


@reading("the TFLite file")
def probe(tflite: bytes, names: Collection[str] | None = None) -> bytes:
    """A copy of the file in which every op output (whose name is in `names`) is an output of the first subgraph as well.

    Delegates hide what is between their first and last op; an output they cannot hide. What is computed of constants alone (float32
    weights of float16 ones) stays hidden: a delegate that has taken it in leaves whatever was in memory.
    """
    model = parse(tflite)
    subgraph = model.subgraphs[0]
    outputs, constants = list(_indices(subgraph.outputs)), _constants(model)
    for op in subgraph.operators or []:
        for index in _indices(op.outputs):
            if index not in outputs and index not in constants and (names is None or text_of(subgraph.tensors[index].name) in names):
                outputs.append(index)
    subgraph.outputs = np.array(outputs, np.int32)
    return pack(model)


def _constants(model: Any) -> set[int]:
    """Tensors of the first subgraph that the file stores, or that ops compute of those alone."""
    subgraph = model.subgraphs[0]

    def stored(tensor: Any) -> bool:
        data = model.buffers[tensor.buffer].data
        return data is not None and len(data) > 0

    found = {index for index, tensor in enumerate(subgraph.tensors) if stored(tensor)}
    for op in subgraph.operators or []:
        inputs = [index for index in _indices(op.inputs) if index != OPTIONAL]
        if inputs and all(index in found for index in inputs):
            found.update(_indices(op.outputs))
    return found


@reading("the TFLite file")
def smallest_softmax_scale(tflite: bytes) -> float | None:
    """Smallest beta * input scale among the quantized SOFTMAX ops of the file, or None when there are none."""
    model = parse(tflite)
    kinds = [op_version(code).name for code in model.operatorCodes or []]
    scales = []
    for subgraph in model.subgraphs:
        for op in subgraph.operators or []:
            inputs = _indices(op.inputs)
            if kinds[op.opcodeIndex] == "SOFTMAX" and op.builtinOptions is not None and inputs and inputs[0] != OPTIONAL:
                quantization = subgraph.tensors[inputs[0]].quantization
                if quantization is not None and quantization.scale is not None:
                    scales += [float(op.builtinOptions.beta) * float(scale) for scale in quantization.scale]
    return min(scales, default=None)


def op_version(code: Any) -> OpVersion:
    """An entry of the file's op codes."""
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return OpVersion(text_of(code.customCode), code.version)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return OpVersion(names.get(number, f"builtin {number}"), code.version)


def text_of(name: Any) -> str:
    """A name as the generated reader gives it, bytes or None."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")


def _indices(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _problems(model: Any) -> Iterator[str]:
    if not model.subgraphs or model.version != 3:
        yield f"version {model.version} with {len(model.subgraphs or [])} subgraphs, where version 3 and at least one are expected"
        return
    buffers, codes = model.buffers or [], model.operatorCodes or []
    for entry in model.metadata or []:
        if entry.buffer >= len(buffers):
            yield f"metadata '{text_of(entry.name)}' has no buffer"
    for number, subgraph in enumerate(model.subgraphs):
        tensors, where = subgraph.tensors or [], f"subgraph {number}"
        for tensor in tensors:
            problem = _tensor_problem(tensor, buffers)
            if problem:
                yield f"tensor '{text_of(tensor.name)}' {problem}"
        if not _in_range(subgraph.inputs, len(tensors)) or not _in_range(subgraph.outputs, len(tensors)):
            yield f"an input or output of {where} is not one of its {len(tensors)} tensors"
        for at, op in enumerate(subgraph.operators or []):
            if op.opcodeIndex >= len(codes):
                yield f"op {at} of {where} has no op code"
            elif not _in_range(op.inputs, len(tensors), OPTIONAL) or not _in_range(op.outputs, len(tensors)):
                yield f"op {at} of {where} reads or writes a tensor that is not there"
            elif op.builtinOptionsType and op.builtinOptions is None:
                yield f"op {at} of {where} has no options"
    for signature in model.signatureDefs or []:
        yield from _signature_problems(signature, model.subgraphs)


def _signature_problems(signature: Any, subgraphs: list[Any]) -> Iterator[str]:
    if signature.subgraphIndex >= len(subgraphs):
        yield f"signature '{text_of(signature.signatureKey)}' has no subgraph"
        return
    count = len(subgraphs[signature.subgraphIndex].tensors or [])
    if any(entry.tensorIndex >= count for entry in (signature.inputs or []) + (signature.outputs or [])):
        yield f"signature '{text_of(signature.signatureKey)}' names a tensor that is not there"


def _in_range(values: Any, count: int, lowest: int = 0) -> bool:
    indices: Iterable[int] = _indices(values)
    return all(lowest <= index < count for index in indices)


def _tensor_problem(tensor: Any, buffers: list[Any]) -> str | None:
    if isinstance(tensor.name, bytes):
        tensor.name.decode()  # the runtime's Python side raises UnicodeDecodeError on every use
    if tensor.buffer >= len(buffers):
        return "has no buffer"
    shape = _indices(tensor.shape)
    if any(size < 0 for size in shape) or prod(shape) > VALUES_MAX:
        return f"has shape {shape}"
    buffer = buffers[tensor.buffer]
    bits = _bits(tensor.type)
    if buffer.data is None or not len(buffer.data) or bits is None or tensor.sparsity is not None:
        return None
    needed = (prod(shape) * bits + 7) // 8
    return None if len(buffer.data) == needed else f"has {len(buffer.data)} bytes of data where its shape {shape} needs {needed}"


def _bits(kind: int) -> int | None:
    """Bits of an element, or None for strings, resources and what else has no fixed size."""
    types = schema.TensorType
    sizes = {
        8: (types.INT8, types.UINT8, types.BOOL),
        16: (types.INT16, types.UINT16, types.FLOAT16),
        32: (types.INT32, types.UINT32, types.FLOAT32),
        64: (types.INT64, types.UINT64, types.FLOAT64, types.COMPLEX64),
        128: (types.COMPLEX128,),
        4: (types.INT4,),
    }
    return next((bits for bits, kinds in sizes.items() if kind in kinds), None)
