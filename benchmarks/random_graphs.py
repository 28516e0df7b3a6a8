"""make random-graphs: random graphs of every op over all executors of this machine, compared value by value with the reference.

    random_graphs.py [--count 10000] [--seed 0] [--keras-every 50] [--hls-every 500] [--seconds N]

Graphs are those of tests/random_graphs.py, a seed each; every one is run on onnxruntime and TFLite's three kernel sets, every so many
also in QKeras and in the C simulations, which take seconds to build. Exit code 1 if any value differs, or an executor fails on or does
not take a graph that `check` accepts.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from random_graphs import random_graph, random_inputs

from edgekit.executor import Artifact, Executor
from edgekit.graph import IntegerGraph, check, run
from edgekit.graph.ir import OP_TYPES
from edgekit.verify.executors import ENTRIES, describe, load

ALWAYS = ("onnxruntime", "tflite-reference", "tflite-optimized", "tflite-xnnpack")
KERAS, SIMULATIONS = ("keras",), ("hls-csim", "hls-csim-exact")
LENGTHS = (2, 9)
TOLD_EVERY = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keras-every", type=int, default=50)
    parser.add_argument("--hls-every", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    options = parser.parse_args()
    executors = {entry.name: load(entry) for entry in ENTRIES if entry.name in (*ALWAYS, *KERAS, *SIMULATIONS)}
    counts: Counter[tuple[str, str]] = Counter()
    problems: list[str] = []
    start, done = time.monotonic(), 0
    for number in range(options.count):
        if time.monotonic() - start > options.seconds:
            break
        names = [*ALWAYS]
        names += KERAS if number % options.keras_every == 0 else ()
        names += SIMULATIONS if number % options.hls_every == 0 else ()
        seed = options.seed + number
        graph, inputs = drawn(seed)
        expected = run(graph, inputs)
        for name in names:
            problems += [f"seed {seed}, {problem}" for problem in compared(executors[name], graph, inputs, expected, counts)]
        done += 1
        if done % TOLD_EVERY == 0:
            print(f"{done} graphs, {len(problems)} problems, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    for problem in problems:
        print(problem)
    print(f"{done} graphs, seeds {options.seed}..{options.seed + done - 1}, {time.monotonic() - start:.0f} s")
    for name in executors:
        graphs, refused, values, differing = (counts[name, what] for what in ("graphs", "refused", "values", "differing"))
        print(f"{name:18} {graphs:6} graphs, {values:13,} values, {differing} differ; {refused} not taken")
    return 1 if problems else 0


def drawn(seed: int) -> tuple[IntegerGraph, np.ndarray]:
    """A graph that keeps the contract, and its inputs: extremes and noise."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, OP_TYPES, length=int(rng.integers(*LENGTHS)))
    check(graph)
    return graph, random_inputs(rng, graph)


def compared(
    executor: Executor, graph: IntegerGraph, inputs: np.ndarray, expected: dict[str, np.ndarray], counts: Counter[tuple[str, str]]
) -> list[str]:
    """What is wrong, a sentence each."""
    artifact = Artifact(graph=graph)
    if reason := executor.missing(artifact):
        counts[executor.name, "refused"] += 1
        return [f"{executor.name} does not take it: {reason}"]
    try:
        with executor.open(artifact, lambda _: None) as execute:
            found = execute(inputs)
    except Exception as error:  # whatever it is: the graph keeps the contract
        return [f"{executor.name} failed: {describe(error)}"]
    counts[executor.name, "graphs"] += 1
    wrong = []
    for name, values in found.items():
        differing = int(np.count_nonzero(np.asarray(values) != expected[name]))
        counts[executor.name, "values"] += expected[name].size
        counts[executor.name, "differing"] += differing
        if differing:
            wrong.append(f"{executor.name}: {differing} values of '{name}' differ")
    missing = [name for name in graph.outputs if name not in found]
    return wrong + [f"{executor.name}: no output '{name}'" for name in missing]


if __name__ == "__main__":
    sys.exit(main())
