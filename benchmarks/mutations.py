"""make mutations: how many changes of bundles and HLS projects, with their hashes mended, `edgekit verify` names.

    mutations.py [--count 400] [--seed 0]

Each is drawn anew: a bundle or a project, a kind of change of tests/mutations.py, and the place. Exit code 1 if fewer than 99 of 100 are
named. Those that are not are printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from mutations import OF_BUNDLES, OF_PROJECTS, Unchanged, mutated

from edgekit.bundle import open_bundle
from edgekit.errors import EdgekitError
from edgekit.jobs import ModelRequest, export_model, write_hls_project
from edgekit.verify import verify

NETWORK = ModelRequest("mobilenet_v2", alpha=0.35, size=32, classes=10)
WANTED = 0.99


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="edgekit-mutations-") as name:
        folder = Path(name)
        export_model(NETWORK, target="rpi4", output=folder / "bundle")
        write_hls_project(NETWORK, board="ultra96", output=folder / "project")
        missed = _missed(folder, rng, options.count)
    for said in missed:
        print(f"not named: {said}")
    share = 1 - len(missed) / options.count
    print(f"{options.count - len(missed)} of {options.count} changes are named, {share:.1%}; seed {options.seed}")
    return 0 if share >= WANTED else 1


def _missed(folder: Path, rng: np.random.Generator, count: int) -> list[str]:
    kinds = {"bundle": OF_BUNDLES, "project": OF_PROJECTS}
    drawn: Counter[str] = Counter()
    missed = []
    while drawn.total() < count:
        original = ("bundle", "project")[int(rng.integers(2))]
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
