"""A SavedModel folder of which there is only a graph (a tf.function, what Keras 3 exports) as a float32 TFLite file.

TensorFlow's converter wants the graph loaded, and loading can run what a file holds: initializers of tables, which read other files, and
the functions that save and restore. So what is loaded is a copy with nothing of this in it. Its objects may be variables, constants and
functions, no tables, assets or resources. Functions that save or restore are left out, the nodes outside of functions too; TensorFlow's
own checkpoint reader restores variables. Every op of every function that is left has to be on the list here, which has ops only that
compute their outputs from their inputs. Then the signature is converted; the converter may compute what depends on constants alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.scratch import scratch_folder
from edgekit.tflite.tensorflow import first_line, quiet

GRAPH = "saved_model.pb"
SIGNATURES = ("serving_default", "serve")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
SAVING = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
"""Functions with one of these save or restore."""
OPS = frozenset(
    {
        *CALLS,
        *("Add", "AddV2", "AvgPool", "BiasAdd", "Cast", "ConcatV2", "Const", "Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative"),
        *("Elu", "Erf", "ExpandDims", "Fill", "FusedBatchNorm", "FusedBatchNormV3", "Identity", "IdentityN", "LeakyRelu", "MatMul"),
        *("MaxPool", "Maximum", "Mean", "Minimum", "Mul", "Neg", "NoOp", "Pack", "Pad", "PadV2", "Placeholder", "Prod", "ReadVariableOp"),
        *("RealDiv", "Relu", "Relu6", "Reshape", "ResizeNearestNeighbor", "Rsqrt", "Selu", "Shape", "Sigmoid", "Slice", "Softmax"),
        *("Softplus", "Softsign", "Square", "Squeeze", "StopGradient", "StridedSlice", "Sub", "Sum", "Tanh", "Transpose", "Unpack"),
    }
)
"""What is loaded and converted, and has no effect but its outputs."""
OBJECTS = ("bare_concrete_function", "captured_tensor", "constant", "function", "user_object", "variable")


def convert_saved_model(folder: Path) -> bytes:
    """The serving signature of a SavedModel folder as a float32 TFLite file with batch 1.

    Raises:
        UnsupportedLayer: names an op or an object that is not on the lists here, or what the converter does not translate.
        EdgekitError: no SavedModel, a damaged one, or one without a signature of one input of a fixed size.
    """
    import tensorflow as tf

    model = _pruned(folder)
    with scratch_folder("savedmodel") as copy:
        (copy / GRAPH).write_bytes(model.SerializeToString())
        if (folder / "variables").is_dir():
            shutil.copytree(folder / "variables", copy / "variables")
        try:
            with quiet():
                loaded = tf.saved_model.load(str(copy))
                name = next((one for one in SIGNATURES if one in loaded.signatures), None)
                function = None if name is None else loaded.signatures[name]
                specs = {} if function is None else function.structured_input_signature[1]
        except Exception as error:  # TensorFlow raises errors of every type on what does not fit
            raise EdgekitError(f"'{folder}' cannot be read as a SavedModel: {first_line(error)}") from error
        if function is None or len(specs) != 1:
            raise EdgekitError(f"'{folder}' has no signature {' or '.join(SIGNATURES)} with one input")
        ((argument, spec),) = specs.items()
        shape = spec.shape.as_list() if spec.shape.rank is not None else [None]
        if None in shape[1:] or len(shape) < 2:
            raise EdgekitError(f"'{folder}' takes inputs of shape {spec.shape}; one input of a fixed size is supported")
        try:
            with quiet():
                signature = tf.TensorSpec((1, *shape[1:]), spec.dtype, name="input")
                whole = tf.function(lambda x: function(**{argument: x}), input_signature=[signature], autograph=False)
                converter = tf.lite.TFLiteConverter.from_concrete_functions([whole.get_concrete_function()], loaded)
                return bytes(converter.convert())
        except Exception as error:
            raise UnsupportedLayer(f"TensorFlow's converter does not convert '{folder}': {first_line(error)}") from error


def _pruned(folder: Path) -> Any:
    """The SavedModel's message with nothing in it that runs when it is loaded."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel()
    try:
        model.ParseFromString(read_bounded(folder / GRAPH, MODEL_BYTES_MAX))
    except DecodeError as error:
        raise EdgekitError(f"'{folder / GRAPH}' is damaged") from error
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise EdgekitError(f"'{folder}' is no SavedModel of TensorFlow 2 with one graph; save it anew with TensorFlow 2")
    graph = model.meta_graphs[0]
    for node in graph.object_graph_def.nodes:
        if node.WhichOneof("kind") not in OBJECTS:
            raise UnsupportedLayer(
                f"'{folder}' holds an object of the kind '{node.WhichOneof('kind')}' (a table, or a file), which is not read."
            )
    library = graph.graph_def.library
    kept = [function for function in library.function if not any(node.op in SAVING for node in function.node_def)]
    names = {function.signature.name for function in library.function}
    for function in kept:
        for op in _foreign(function, names):
            raise UnsupportedLayer(f"'{folder}': function '{function.signature.name}' has a {op}. Supported: {', '.join(sorted(OPS))}.")
    del library.function[:], library.gradient[:], graph.graph_def.node[:], graph.asset_file_def[:]
    library.function.extend(kept)
    graph.collection_def.clear()
    graph.ClearField("saver_def")
    return model


def _foreign(function: Any, names: set[str]) -> Iterator[str]:
    """Ops of a function that are not on the list. Gradients are functions that are named in attributes; they are not converted."""
    yield from (node.op for node in function.node_def if node.op not in OPS and node.op not in names)
