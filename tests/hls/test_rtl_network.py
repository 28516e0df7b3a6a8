"""Whole networks as RTL: every value, every cycle, every FIFO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hand_graphs import extreme_images, residual
from rtl_checks import check_rtl
from rtl_tools import needs_verilator

from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.ops import moderate_foldings


@needs_verilator
def test_a_network_with_a_branch_computes_the_references_integers_in_the_estimates_cycles(tmp_path: Path) -> None:
    graph = residual(np.random.default_rng(3))
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(4), noise=1)
    found = check_rtl(graph, moderate_foldings(graph), inputs, tmp_path)
    assert set(found.values) == set(graph.tensors)
    assert len(dataflow_of(graph, moderate_foldings(graph)).stages) == 4
