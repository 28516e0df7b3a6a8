"""Which version of which op a runtime has, and the check of a file against it.

NEWEST was measured: a file that names an op and a version, and holds nothing else, either loads or is refused with "Didn't find op for
builtin opcode". FIRST is from TensorFlow's own table of op versions; it says from which release on a version is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgekit.errors import EdgekitError
from edgekit.targets import AI_EDGE_LITERT, TFLITE_RUNTIME, Device, Runtime, runtimes_for
from edgekit.tflite.reader import OpVersion, describe

Release = tuple[int, int]
Newest = Mapping[str, tuple[int, int]]


def _by_op(groups: Mapping[tuple[int, int], str]) -> dict[str, tuple[int, int]]:
    return {op: versions for versions, ops in groups.items() for op in ops.split()}


# (newest version of the optimized kernels, of the reference kernels): ops. 0: that set has none. Older
# versions are all there, but of BROADCAST_TO, which begins at 2.
_TFLITE_2_14 = _by_op(
    {
        (1, 0): "CEIL CUMSUM ELU HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE RFFT2D ROUND SEGMENT_SUM",
        (1, 1): (
            "ADD_N ASSIGN_VARIABLE ATAN2 BITCAST BITWISE_XOR BROADCAST_ARGS BUCKETIZE CALL_ONCE COMPLEX_ABS CONV_3D "
            "CONV_3D_TRANSPOSE COS DENSIFY DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP_SPARSE EXPAND_DIMS FLOOR HARD_SWISH "
            "HASHTABLE_LOOKUP IF IMAG L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LSH_PROJECTION "
            "MATRIX_DIAG MATRIX_SET_DIAG MULTINOMIAL NEG NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 ONE_HOT POW PRELU "
            "RANDOM_STANDARD_NORMAL RANDOM_UNIFORM RANK READ_VARIABLE REAL REDUCE_ALL REDUCE_ANY RELU_0_TO_1 RELU_N1_TO_1 RESHAPE "
            "REVERSE_SEQUENCE RIGHT_SHIFT SCATTER_ND SHAPE SIN SKIP_GRAM SQRT SQUARE UNIQUE UNSORTED_SEGMENT_MAX "
            "UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM VAR_HANDLE WHILE ZEROS_LIKE"
        ),
        (2, 1): "DEPTH_TO_SPACE RANGE SELECT_V2 SIGN SQUEEZE",
        (2, 2): (
            "DIV EXP FAKE_QUANT FLOOR_MOD GELU GREATER L2_NORMALIZATION LEAKY_RELU LESS_EQUAL LOG_SOFTMAX REDUCE_PROD RSQRT "
            "SPACE_TO_DEPTH SPLIT_V SQUARED_DIFFERENCE SUM WHERE"
        ),
        (3, 2): "ARG_MAX ARG_MIN QUANTIZE REVERSE_V2 TILE",
        (3, 3): (
            "AVERAGE_POOL_2D BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN BROADCAST_TO EMBEDDING_LOOKUP FLOOR_DIV "
            "GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D MEAN MIRROR_PAD NOT_EQUAL REDUCE_MAX REDUCE_MIN RELU RELU6 RNN SOFTMAX "
            "SPARSE_TO_DENSE TANH TOPK_V2 UNIDIRECTIONAL_SEQUENCE_RNN"
        ),
        (4, 2): "SELECT",
        (4, 3): "BATCH_MATMUL CONCATENATION FILL PACK TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM",
        (4, 4): (
            "BATCH_TO_SPACE_ND EQUAL GATHER_ND LSTM MAXIMUM MINIMUM PAD PADV2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR "
            "SPACE_TO_BATCH_ND SPLIT SVDF UNPACK"
        ),
        (5, 3): "ABS",
        (5, 4): "CAST DEQUANTIZE",
        (5, 5): "ADD SUB",
        (6, 5): "SLICE TRANSPOSE",
        (6, 6): "GATHER",
        (7, 6): "CONV_2D DEPTHWISE_CONV_2D",
        (7, 7): "MUL",
        (8, 4): "STRIDED_SLICE",
        (10, 9): "FULLY_CONNECTED",
    }
)
_LITERT_2_1_6 = _TFLITE_2_14 | _by_op(
    {
        (1, 0): "STABLEHLO_AND STABLEHLO_CASE STABLEHLO_SHIFT_LEFT",
        (1, 1): (
            "CUMSUM DILATE REDUCE_WINDOW RFFT2D STABLEHLO_ADD STABLEHLO_COMPOSITE STABLEHLO_GATHER STABLEHLO_MAXIMUM "
            "STABLEHLO_MINIMUM STABLEHLO_MULTIPLY STABLEHLO_PAD STABLEHLO_REDUCE_WINDOW STABLEHLO_RNG_BIT_GENERATOR "
            "STABLEHLO_SCATTER"
        ),
        (2, 1): "COS SIN",
        (2, 2): "LOG SIGN SQRT",
        (3, 2): "GELU",
        (3, 3): "RSQRT",
        (4, 3): "SOFTMAX",
        (4, 4): "NOT_EQUAL",
        (5, 4): "PAD PADV2 UNPACK",
        (5, 5): "EMBEDDING_LOOKUP EQUAL GATHER_ND TRANSPOSE_CONV",
        (6, 5): "ADD CONCATENATION",
        (6, 6): "DYNAMIC_UPDATE_SLICE QUANTIZE",
        (7, 6): "GATHER",
        (8, 7): "MUL SLICE",
        (8, 8): "CAST CONV_2D DEQUANTIZE",
        (9, 8): "TRANSPOSE",
        (14, 14): "FULLY_CONNECTED",
    }
)
NEWEST: Mapping[Runtime, Newest] = {TFLITE_RUNTIME: _TFLITE_2_14, AI_EDGE_LITERT: _LITERT_2_1_6}

FIRST: Mapping[str, Mapping[int, Release]] = {
    "CONV_2D": {1: (1, 5), 2: (1, 14), 3: (1, 14), 4: (2, 3), 5: (2, 4), 6: (2, 9), 7: (2, 11), 8: (2, 15)},
    "DEPTHWISE_CONV_2D": {1: (1, 5), 2: (1, 12), 3: (1, 14), 4: (2, 2), 5: (2, 3), 6: (2, 3), 7: (2, 11)},
    "FULLY_CONNECTED": {
        1: (1, 5),
        2: (1, 10),
        3: (1, 14),
        4: (1, 14),
        5: (2, 0),
        6: (2, 1),
        7: (2, 3),
        8: (2, 3),
        9: (2, 3),
        10: (2, 11),
        11: (2, 15),
        12: (2, 17),
        13: (2, 18),
        14: (2, 21),
    },
    "ADD": {1: (1, 5), 2: (1, 14), 3: (2, 4), 4: (2, 6), 5: (2, 13), 6: (2, 23)},
    "MUL": {1: (1, 5), 2: (1, 14), 3: (1, 15), 4: (2, 3), 5: (2, 6), 6: (2, 11), 7: (2, 13), 8: (2, 23)},
    "MEAN": {1: (1, 6), 2: (1, 14), 3: (2, 4)},
    "AVERAGE_POOL_2D": {1: (1, 5), 2: (1, 14), 3: (2, 3)},
    "PAD": {1: (1, 5), 2: (1, 14), 3: (2, 4), 4: (2, 6), 5: (2, 20)},
    "SOFTMAX": {1: (1, 5), 2: (1, 14), 3: (2, 3)},
    "LOGISTIC": {1: (1, 14), 2: (1, 14), 3: (2, 3)},
    "HARD_SWISH": {1: (1, 15)},
    "QUANTIZE": {1: (1, 14), 2: (1, 15), 3: (2, 7), 4: (2, 21), 5: (2, 21), 6: (2, 21)},
    "DEQUANTIZE": {1: (1, 13), 2: (1, 14), 3: (1, 15), 4: (2, 2), 5: (2, 7), 6: (2, 18)},
    "CONCATENATION": {1: (1, 5), 2: (1, 14), 3: (2, 3), 4: (2, 14), 5: (2, 21)},
    "RESHAPE": {1: (1, 5)},
    "SUM": {1: (1, 10), 2: (1, 15)},
    "GELU": {1: (2, 9), 2: (2, 9), 3: (2, 23)},
    "BATCH_MATMUL": {1: (2, 3), 2: (2, 3), 3: (2, 4), 4: (2, 5)},
    "STRIDED_SLICE": {7: (2, 14), 8: (2, 14)},
}


@dataclass(frozen=True)
class Missing:
    """An op version that a runtime lacks. `first`: the TensorFlow release that brought it, where that is known."""

    op: OpVersion
    runtime: Runtime
    first: Release | None

    def __str__(self) -> str:
        brought = f"; TensorFlow {self.first[0]}.{self.first[1]} brought it" if self.first else ""
        able = next((one for one in NEWEST if newest_version(one, self.op.name) >= self.op.version), None)
        having = f", {able.title} has it" if able else ""
        return f"{self.op.name} version {self.op.version} is not in {self.runtime.title}{brought}{having}"


def lacking(tflite: bytes, runtime: Runtime, kernels: str = "xnnpack") -> tuple[Missing, ...]:
    """The op versions of the file that the runtime does not have; with `kernels` "reference", that its reference kernels do not have.

    Raises EdgekitError for a damaged file.
    """
    return tuple(
        Missing(op, runtime, FIRST.get(op.name, {}).get(op.version))
        for op in sorted(set(describe(tflite)), key=lambda op: (op.name, op.version))
        if op.version > newest_version(runtime, op.name, kernels)
    )


def newest_version(runtime: Runtime, op: str, kernels: str = "xnnpack") -> int:
    """Newest version of an op that a runtime has; 0 where none is known, for example for a custom op.

    A runtime that was not measured has what an older one has, and what FIRST says.
    """
    column = 1 if kernels == "reference" else 0
    if runtime in NEWEST:
        return NEWEST[runtime].get(op, (0, 0))[column]
    older = [table.get(op, (0, 0))[column] for measured, table in NEWEST.items() if measured.tensorflow <= runtime.tensorflow]
    listed = [version for version, release in FIRST.get(op, {}).items() if release <= runtime.tensorflow]
    return max([*older, *listed], default=0)


def check_runs(tflite: bytes, target: Device, wanted: str | None = None) -> None:
    """Raises EdgekitError unless every runtime of the target, or the wanted one, has every op version of the file."""
    problems = {runtime: found for runtime in runtimes_for(target, wanted) if (found := lacking(tflite, runtime))}
    if not problems:
        return
    sentences = "; ".join(str(missing) for found in problems.values() for missing in found)
    raise EdgekitError(f"the file would not run on {target.title}: {sentences}. {''.join(_advice(problems, target, wanted))}")


def _advice(problems: Mapping[Runtime, object], target: Device, wanted: str | None) -> Iterator[str]:
    able = [runtime.package for runtime in target.runtimes if runtime not in problems] if wanted is None else []
    yield f"Use --runtime {able[0]} to export for that runtime alone, or --precision qfx" if able else "Use --precision qfx"
