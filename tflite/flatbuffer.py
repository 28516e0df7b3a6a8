"""TFLite flatbuffers as objects: building one, reading one that may be hostile, and packing it to bytes.

The schema's object API does the encoding; what is here keeps indices straight.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.tflite import schema

IDENTIFIER = b"TFL3"
ALIGNMENT = 16
"""The schema's force_align of buffer data; Python's flatbuffers leaves it to the caller."""


@dataclass(frozen=True)
class OpKind:
    """A builtin op at the lowest version that takes the types we write, and the first TFLite release that has it."""

    name: str
    version: int
    runtime: tuple[int, int, int] = (1, 14, 0)


@dataclass
class ModelBuilder:
    """Tensors, buffers and ops of one subgraph, in the order in which they are added."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    kinds: list[OpKind] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    forms: dict[Hashable, str] = field(default_factory=dict)
    """Tensors that hold what another one holds in another form, for every op that reads it: what they are -> name. Such a key is a value
    of the module that makes the form; a name could be that of a tensor of the graph."""

    def __post_init__(self) -> None:
        self.buffer(np.empty(0, np.uint8))  # by the schema's convention buffer 0 is empty and means "no data"

    def buffer(self, data: npt.NDArray[Any]) -> int:
        raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.buffers.append(schema.BufferT(data=raw if raw.size else None))
        return len(self.buffers) - 1

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: type[np.int8] | type[np.int32] | type[np.float32],
        quantization: Any = None,
        data: npt.NDArray[Any] | None = None,
    ) -> str:
        """Adds a tensor; with `data` it is a constant. Raises EdgekitError when the name is taken."""
        if name in self.index:
            raise EdgekitError(f"two tensors of the TFLite file would be called '{name}'; rename the graph's tensor of that name")
        types = schema.TensorType
        kind = {np.int8: types.INT8, np.int32: types.INT32, np.float32: types.FLOAT32}[dtype]
        self.index[name] = len(self.tensors)
        self.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                type=kind,
                buffer=0 if data is None else self.buffer(data.astype(dtype)),
                name=name,
                quantization=quantization,
                hasRank=True,
            )
        )
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor that was added, batch included."""
        return tuple(int(size) for size in self.tensors[self.index[name]].shape)

    def form(self, key: Hashable, make: Callable[[], str]) -> str:
        """The tensor of `forms` under that key; where there is none yet, `make` adds it and returns its name."""
        if key not in self.forms:
            self.forms[key] = make()
        return self.forms[key]

    def operator(self, kind: OpKind, inputs: Sequence[str], output: str, options: Any = None) -> None:
        if kind not in self.kinds:
            self.kinds.append(kind)
        union = 0 if options is None else getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.kinds.index(kind),
                inputs=np.array([self.index[name] for name in inputs], np.int32),
                outputs=np.array([self.index[output]], np.int32),
                builtinOptionsType=union,
                builtinOptions=options,
            )
        )

    def pack(self, name: str, inputs: Sequence[str], outputs: Sequence[str], description: str) -> bytes:
        """The finished file, with one signature whose names are those of the tensors."""

        def tensor_maps(names: Sequence[str]) -> list[Any]:
            return [schema.TensorMapT(name=tensor, tensorIndex=self.index[tensor]) for tensor in names]

        release = ".".join(str(part) for part in max((kind.runtime for kind in self.kinds), default=(1, 14, 0)))
        runtime = self.buffer(np.frombuffer(release.encode().ljust(16, b"\0"), np.uint8))
        subgraph = schema.SubGraphT(
            tensors=self.tensors,
            inputs=np.array([self.index[tensor] for tensor in inputs], np.int32),
            outputs=np.array([self.index[tensor] for tensor in outputs], np.int32),
            operators=self.operators,
            name=name,
        )
        return pack(
            schema.ModelT(
                version=3,
                operatorCodes=[_operator_code(kind) for kind in self.kinds],
                subgraphs=[subgraph],
                description=description,
                buffers=self.buffers,
                metadata=[schema.MetadataT(name="min_runtime_version", buffer=runtime)],
                signatureDefs=[schema.SignatureDefT(tensor_maps(inputs), tensor_maps(outputs), "serving_default", 0)],
            )
        )


def _operator_code(kind: OpKind) -> Any:
    code = getattr(schema.BuiltinOperator, kind.name)
    # Readers from before TFLite 2.4 look at the deprecated 8-bit field only.
    return schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), version=kind.version, builtinCode=code)


def pack(model: Any) -> bytes:
    """A schema.ModelT as bytes, its buffers aligned as the schema asks."""
    import flatbuffers

    buffers, model.buffers = model.buffers, [_Aligned(buffer) for buffer in model.buffers]
    size = sum(buffer.data.size + ALIGNMENT for buffer in buffers if buffer.data is not None)
    builder = flatbuffers.Builder(size + (1 << 16))
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    model.buffers = buffers
    return bytes(builder.Output())


@dataclass(frozen=True)
class _Aligned:
    buffer: Any

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the schema's word
        if self.buffer.data is not None:
            builder.Prep(ALIGNMENT, self.buffer.data.size)
        return self.buffer.Pack(builder)
