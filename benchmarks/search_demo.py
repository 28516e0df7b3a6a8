"""make search-demo: on the digits, a network for this machine and one for a Pynq-Z2, each against the zoo's at the same size.

    python benchmarks/search_demo.py [device] [board] [--workers N] [--folder DIR]

It asks of a search for a latency, or frames a second, that is SPEED times better than that of the zoo's networks, trains what it finds and
those with SEEDS seeds alike, and says whether what was found is as fast as was asked, as accurate, and equal to the last bit. A run that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path
from statistics import median

from edgekit.bench.graphs import graph_timer
from edgekit.hls import plan_foldings
from edgekit.keras_models import find_network
from edgekit.keras_models.zoo.network import Request, make_request
from edgekit.search.graph_layers import graph_of
from edgekit.search.results import Finalist, Found, SearchOptions
from edgekit.search.run import search_networks
from edgekit.search.space import BOARD, DEVICE, Member, own_space
from edgekit.spread.spent import processor_seconds
from edgekit.targets import LOCAL, find_board, find_device

SPEED, MARGIN, SEEDS, CLASSES = 1.3, 1.2, 3, 10
BOARD_NAME = "pynq_z2"
ROUNDS = 5
STARTED = time.monotonic()


def main() -> int:
    """1 if what was found is not what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="device, board (both by default)")
    parser.add_argument("--workers", default="local")
    parser.add_argument("--folder", type=Path, default=Path("build"))
    options = parser.parse_args()
    parts = options.parts or ["device", "board"]
    if not set(parts) <= {"device", "board"}:
        parser.error("parts are device and board")
    options.folder.mkdir(parents=True, exist_ok=True)
    found = {part: (search_device if part == "device" else search_board)(options.workers, options.folder) for part in parts}
    verdicts = [judged(one) for one in found.values()]
    print(f"All of it: {time.monotonic() - STARTED:.0f} s, {processor_seconds():.0f} s of processor time")
    return 0 if all(verdicts) else 1


def search_device(workers: str, folder: Path) -> Found:
    target, space = f"linux-{platform.machine()}", own_space(DEVICE)
    with graph_timer(LOCAL, find_device(target)) as (_, timer):
        fastest = min(median(median(timer(graph_of(request(one)))) for _ in range(ROUNDS)) for one in space.members)
    options = SearchOptions(
        data="digits",
        target=target,
        latency_ms=fastest / SPEED / MARGIN,
        trials=20,
        finalists=1,
        supernet_epochs=4,
        epochs=8,
        qfx_epochs=2,
        seeds=SEEDS,
        workers=workers,
    )
    return search_networks(space, options, output=folder / "search-device", note=told)


def search_board(workers: str, folder: Path) -> Found:
    space = own_space(BOARD)
    best = max(plan_foldings(graph_of(request(one)), find_board(BOARD_NAME)).estimates.fps for one in space.members)
    options = SearchOptions(
        data="digits",
        board=BOARD_NAME,
        fps=best * SPEED,
        trials=6,
        finalists=1,
        supernet_epochs=2,
        epochs=5,
        qfx_epochs=1,
        workers=workers,
    )
    return search_networks(space, options, output=folder / "search-board", note=told)


def request(member: Member) -> Request:
    return make_request(find_network(member.network), alpha=member.alpha, size=member.size, classes=CLASSES)


def judged(found: Found) -> bool:
    """Prints each network, and how the first one found compares with the zoo's."""
    ours = next(one for one in found.finalists if one.origin == "found")
    good = ours.differing == 0
    print(f"{ours.name}: {line(ours, found.unit)}")
    for one in (one for one in found.finalists if one.origin == "zoo"):
        speed = value(one) / value(ours) if found.unit == "ms" else value(ours) / value(one)
        good &= speed >= SPEED and ours.accuracy >= one.accuracy
        print(
            f"{one.name}: {line(one, found.unit)}; found is {speed:.2f} times as fast, {100 * (ours.accuracy - one.accuracy):+.2f} points"
        )
    for phase in found.phases:
        print(f"{phase.name}: {phase.seconds:.0f} s, {phase.cpu_seconds:.0f} s of processor time")
    print(", ".join(f"{name} {area:.4f}" for name, area in found.area.items()), "hypervolume;", f"{found.folder / 'report.html'}")
    return good


def value(one: Finalist) -> float:
    return one.cost.value if one.measured is None else one.measured


def line(one: Finalist, unit: str) -> str:
    return (
        f"{value(one):.4g} {unit}, {one.accuracy:.2%} over {len(one.accuracies)} seeds, {one.differing} of {one.compared:,} values differ"
    )


def told(text: str) -> None:
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
