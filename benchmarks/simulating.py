"""Seconds an image of the C simulation and of the numpy reference, on the same images; their integers are compared as well."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from timing import Row, seconds_of

from edgekit.bundle import open_bundle
from edgekit.graph import run
from edgekit.hls.simulation.executors import EXECUTORS
from edgekit.jobs import ModelRequest, write_hls_project
from edgekit.verify.remake import remade_artifact

NETWORK, SIZE, IMAGES = "mobilenet_v2", 96, 8


def simulation_times(alpha: float) -> Iterator[Row]:
    """Both share the images out between the processors, or leave that to BLAS. Raises RuntimeError if the integers differ."""
    name = f"MobileNetV2 {alpha:g} at {SIZE}"
    csim = EXECUTORS[0]
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        writing = seconds_of(lambda: write_hls_project(ModelRequest(NETWORK, alpha=alpha, size=SIZE), board="ultra96", output=project))
        artifact = remade_artifact(open_bundle(project))
        graph = artifact.graph
        assert graph is not None
        source = graph.tensors[graph.input]
        inputs = np.random.default_rng(0).integers(source.low, source.high + 1, (IMAGES, *source.shape)).astype(source.dtype)
        missing = csim.missing(artifact)
        if missing:
            raise SystemExit(f"the C simulation cannot run: {missing}")
        found: dict[str, Any] = {}
        start = time.perf_counter()
        with csim.open(artifact, lambda _: None) as simulate:
            compiling = time.perf_counter() - start
            simulated = seconds_of(lambda: found.update(simulate(inputs))) / IMAGES
    expected: dict[str, Any] = {}
    reference = seconds_of(lambda: expected.update(run(graph, inputs))) / IMAGES
    differing = sum(int((found[tensor] != expected[tensor]).sum()) for tensor in found)
    if differing:
        raise RuntimeError(f"the C simulation differs from the reference in {differing} integers: its time means nothing")
    yield Row("simulation", f"{name}: writing the HLS project", writing, writing, writing, "s", {})
    yield Row("simulation", f"{name}: compiling the C simulation", compiling, compiling, compiling, "s", {})
    yield Row("simulation", f"{name}: C simulation", simulated, simulated, simulated, "s/image", {})
    yield Row("simulation", f"{name}: numpy reference", reference, reference, reference, "s/image", {})
    share = simulated / reference
    yield Row("simulation", f"{name}: C simulation / reference", share, share, share, "ratio", {"csim": simulated, "reference": reference})
