"""make bench: how long edgekit's jobs and files take, as ratios to something measured in the same run.

Seconds depend on the machine, and on who else uses it; the two sides of a ratio take turns, so that both meet the same noise.
A ratio is the median over rounds; beside it stand the quartiles.

    export       edgekit export against TensorFlow's bare converter on the same Keras model (no start of Python or TensorFlow in either)
    latency      the exact file against the stock int8 file of the same network, on the same kernels, one thread; of MobileNetV1 and V2 also
                 what follows the last convolution, the only place where the two files differ: the mean over the map and the classifier
    networks     every network at float32 and int8: ops, file size, latency relative to MobileNetV2 (minutes: not among the default parts)
    simulation   seconds an image of the C simulation and of the numpy reference, and g++'s compilation
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporting import export_ratios
from latency import latency_ratios
from networks import network_ratios
from simulating import simulation_times
from timing import Row

from edgekit.keras_models.zoo.networks import NETWORKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", metavar="PART", help="export, latency, simulation (these by default), networks")
    parser.add_argument("--network", action="append", default=[], help="of the part networks, only this one; may be repeated")
    parser.add_argument(
        "--yardstick",
        action="append",
        default=[],
        metavar="NETWORK=FILE",
        help="of the part networks, another .tflite to time beside it",
    )
    parser.add_argument("--full", action="store_true", help="simulate MobileNetV2 1.0 at 96 as well")
    parser.add_argument("--rounds", type=int, default=60, help="of a latency ratio (default 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    usual = {"export", "latency", "simulation"}
    known = usual | {"networks"}
    if not set(options.only) <= known or options.rounds < 1:
        parser.error(f"parts are {', '.join(sorted(known))}; rounds are 1 or more")
    yardsticks = {network: Path(file) for network, _, file in (one.partition("=") for one in options.yardstick)}
    if missing := [str(file) for file in yardsticks.values() if not file.is_file()]:
        parser.error(f"--yardstick takes NETWORK=FILE; there is no file {missing[0] or '(none given)'}")
    if unknown := (set(options.network) | set(yardsticks)) - set(NETWORKS):
        parser.error(f"no network is called {', '.join(sorted(unknown))}; `edgekit models` lists them")
    rows = []
    for row in measure(set(options.only) or usual, tuple(options.network), yardsticks, options.full, options.rounds):
        rows.append(row)
        print(row.line(), file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps({"rows": [dataclasses.asdict(row) for row in rows]}, indent=2))


def measure(parts: set[str], networks: tuple[str, ...], yardsticks: Mapping[str, Path], full: bool, rounds: int) -> Iterator[Row]:
    if "export" in parts:
        yield from export_ratios()
    if "latency" in parts:
        yield from latency_ratios(rounds)
    if "networks" in parts:
        yield from network_ratios(networks, yardsticks, rounds)
    if "simulation" in parts:
        yield from simulation_times(0.35)
        if full:
            yield from simulation_times(1.0)


if __name__ == "__main__":
    main()
