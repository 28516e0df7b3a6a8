"""What the inference forms of the networks become in TFLite: few ops, none for layout, and the same values."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import edgekit
from edgekit import tolerances
from edgekit.keras_models.reading.inference import inference_form
from edgekit.keras_models.weights.random import randomize
from edgekit.tflite.reader import describe
from edgekit.tflite.tensorflow import Precision, convert

ATTENTION_BLOCKS = 2 + 3 + 2


@pytest.mark.parametrize(
    ("name", "fewer_than"),
    [
        pytest.param("sbcformer_xs", 300, marks=pytest.mark.slow),
        pytest.param("rapidnet_ti", 145, marks=pytest.mark.slow),
        ("mobilenet_v3_small", 115),
    ],
)
def test_few_ops_and_the_same_values(name: str, fewer_than: int, rng: np.random.Generator) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = edgekit.build_model(name, size=96, classes=10)
    images = rng.standard_normal((4, 96, 96, 3)).astype(np.float32)
    randomize(model, images, seed=1)
    tflite = convert(inference_form(model), Precision.FLOAT32)

    ops = Counter(op.name for op in describe(tflite))
    assert ops.total() < fewer_than
    # Attention brings heads in front of cells, of queries and keys together and of values, and back: nothing else is moved.
    moved = 3 * ATTENTION_BLOCKS if name == "sbcformer_xs" else 0
    assert (ops["TRANSPOSE"], ops["RESHAPE"]) == (moved, moved)
    of_norms = {"RSQRT", "SUB", "SQUARED_DIFFERENCE", "DIV", "BROADCAST_TO", "STRIDED_SLICE", "SHAPE", "PACK", "TRANSPOSE_CONV"}
    assert not of_norms & set(ops)

    interpreter = Interpreter(model_content=tflite)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[:1])
    interpreter.invoke()
    found, expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), model(images[:1]).numpy()
    assert np.abs(found - expected).max() <= tolerances.FLOAT32_LOGITS * np.abs(expected).max()
