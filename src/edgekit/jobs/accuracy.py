"""Accuracy of what an executor gives: the part of labelled images whose largest output is the label's."""

from __future__ import annotations

import numpy as np

from edgekit.executor import Artifact, Executor
from edgekit.graph import quantize_input
from edgekit.keras_models.training.images import Images

CHUNK = 64


def accuracy_of(executor: Executor, artifact: Artifact, images: Images) -> float:
    """Top-1, 0..1, of an exact artifact on one executor. Of equal outputs the first counts."""
    graph = artifact.graph
    assert graph is not None
    source, output = graph.tensors[graph.input], graph.outputs[0]
    right = 0
    with executor.open(artifact, lambda _: None) as run:
        for start in range(0, len(images), CHUNK):
            chunk = slice(start, start + CHUNK)
            logits = run(quantize_input(source, images.images[chunk]))[output]
            right += int(np.sum(logits.reshape(len(logits), -1).argmax(axis=1) == images.labels[chunk]))
    return right / len(images)
