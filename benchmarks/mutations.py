"""make mutations: how many changes of bundles and HLS projects, with their hashes mended, `edgekit verify` names.

    mutations.py [--count 400] [--seed 0]

Each is drawn anew: a bundle or a project, a kind of change of tests/mutations.py, and the place. Exit code 1 if fewer than 99 of 100 are
named. Those that are not are printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bundles import exact_plan
from mutations import OF_BUNDLES, OF_ENGINES, OF_PROJECTS, Unchanged, mutated
from random_graphs import graph_of_every_op

from edgekit.bundle import open_bundle
from edgekit.errors import EdgekitError
from edgekit.graph import Conv2D, write_onnx
from edgekit.jobs import ModelRequest, write_hls_project
from edgekit.plan import write
from edgekit.verify import verify

WANTED = 0.99


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="edgekit-mutations-") as name:
        folder = Path(name)
        _write(folder)
        missed = _missed(folder, rng, options.count)
    for said in missed:
        print(f"not named: {said}")
    share = 1 - len(missed) / options.count
    print(f"{options.count - len(missed)} of {options.count} changes are named, {share:.1%}; seed {options.seed}")
    return 0 if share >= WANTED else 1


def _write(folder: Path) -> None:
    """A bundle of a graph with every op, a project that reads the weights of a convolution from memory, and one for the engine."""
    graph = graph_of_every_op(np.random.default_rng(0))
    write(exact_plan(graph), folder / "bundle")
    (folder / "model.onnx").write_bytes(write_onnx(graph))
    placed = next(op.name for op in graph.ops if isinstance(op, Conv2D))
    (folder / "placed.json").write_text(json.dumps({placed: {"pe": 1, "weights": "ddr"}}))
    request = ModelRequest(str(folder / "model.onnx"))
    write_hls_project(request, board="ultra96", folding=folder / "placed.json", output=folder / "project")
    write_hls_project(request, board="ultra96", form="engine", output=folder / "engine")


def _missed(folder: Path, rng: np.random.Generator, count: int) -> list[str]:
    kinds = {"bundle": OF_BUNDLES, "project": OF_PROJECTS, "engine": OF_ENGINES}
    drawn: Counter[str] = Counter()
    missed = []
    while drawn.total() < count:
        original = sorted(kinds)[int(rng.integers(len(kinds)))]
        mutation = kinds[original][int(rng.integers(len(kinds[original])))]
        try:
            said = mutated(folder / original, folder / "changed", mutation, rng)
        except Unchanged:
            continue
        drawn[f"{original}: {mutation.name}"] += 1
        if not _named(folder / "changed"):
            missed.append(f"{original}, {mutation.name}: {said}")
        if drawn.total() % 50 == 0:
            print(f"{drawn.total()} of {count}, {len(missed)} not named", file=sys.stderr)
    for kind, number in sorted(drawn.items()):
        print(f"{number:4} {kind}")
    return missed


def _named(folder: Path) -> bool:
    """Verify fails before anything runs, or refuses the folder with a message."""
    try:
        found = verify(open_bundle(folder))
    except EdgekitError:
        return True
    return bool(found.files.findings) and not found.passed


if __name__ == "__main__":
    sys.exit(main())
