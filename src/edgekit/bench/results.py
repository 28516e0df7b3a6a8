"""The file that keeps results, and what a new one is compared with.

One JSON object: {"schema": "edgekit-bench/1", "results": [as_json of each, oldest first, without the single runs]}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.bench.measure import Measured
from edgekit.errors import EdgekitError
from edgekit.files import check_path, read_bounded
from edgekit.plan import write_file

SCHEMA = "edgekit-bench/1"
RESULTS_MAX, BYTES_MAX = 1000, 64 << 20
SAME = ("network", "precision", "on", "program", "kernels", "threads")
"""What two results must have in common to be compared."""


@dataclass(frozen=True)
class Comparison:
    """`ratio`: the new p50 divided by the earlier one; `same_model`: whether the file is the same, byte by byte."""

    earlier: str
    p50_ms: float
    ratio: float
    same_model: bool


def as_json(measured: Measured, comparison: Comparison | None = None) -> dict[str, Any]:
    """What `edgekit bench --json` prints; docs/json.md has the fields."""
    return {"schema": SCHEMA, **asdict(measured), "comparison": asdict(comparison) if comparison else None}


def read_results(path: Path) -> list[dict[str, Any]]:
    """Oldest first; none where there is no such file. Raises EdgekitError where it is something else."""
    check_path(path)
    if not path.exists():
        return []
    try:
        content = read_bounded(path, BYTES_MAX)
    except EdgekitError as error:
        raise EdgekitError(f"{error}; move it away, or name another file with --results") from error
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EdgekitError(f"{path} is no file of results: {error}; name another one with --results") from error
    found = data.get("results") if isinstance(data, dict) and data.get("schema") == SCHEMA else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise EdgekitError(f"{path} is no file of results; name another one with --results")
    return found


def add_result(path: Path, measured: Measured) -> None:
    """Adds it to the file, which is replaced in one step; the oldest go when there are too many. Raises EdgekitError."""
    one = as_json(measured)
    latency = one["report"].get("latency_ms")
    if isinstance(latency, dict):
        one["report"] = {**one["report"], "latency_ms": {name: value for name, value in latency.items() if name != "samples"}}
    results = [*read_results(path), one][-RESULTS_MAX:]
    write_file(path, (json.dumps({"schema": SCHEMA, "results": results}, indent=1, allow_nan=False) + "\n").encode())


def earlier(results: Sequence[dict[str, Any]], measured: Measured) -> Comparison | None:
    """The comparison with the newest earlier result of the same network, device, program, kernels and threads that has times."""
    new = measured.report.get("latency_ms")
    for one in reversed(results):
        report = one.get("report")
        old = report.get("latency_ms") if isinstance(report, dict) else None
        if not isinstance(old, dict) or not isinstance(new, dict) or any(one.get(name) != getattr(measured, name) for name in SAME):
            continue
        before = old.get("p50")
        if isinstance(before, int | float) and before > 0:
            return Comparison(str(one.get("time")), float(before), new["p50"] / before, one.get("model_sha256") == measured.model_sha256)
    return None
