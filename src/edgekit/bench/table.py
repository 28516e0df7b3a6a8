"""A measurement as a table for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgekit.bench.measure import Measured
from edgekit.bench.results import Comparison

NO_SPEED = "emulated, not a speed"
QUANTILES = ("p50", "p90", "p99", "min", "mean", "max", "standard_deviation")


def show(measured: Measured, comparison: Comparison | None, console: Console) -> None:
    runtime = measured.report.get("runtime") or {}
    golden = measured.report.get("golden") or {}
    console.print(Text(f"{measured.network}, {measured.precision}, for {measured.target}", "bold"))
    if measured.program is not None:
        console.print(f"on {measured.device}, {measured.arch}; measured by {measured.program}")
    if measured.note:
        console.print(Text(f"edgekit-latency did not run: {measured.note}", "yellow"))
    if runtime:
        version = runtime.get("version") or "of unknown version"
        console.print(f"{runtime.get('name')} {version}, {measured.kernels} kernels, threads: {measured.threads}")
    if golden:
        differing, values = golden.get("differing_values"), golden.get("values")
        console.print(f"golden outputs: {differing} of {values} values differ; CRC32 {golden.get('outputs_crc32')}")
    if measured.problem is not None:
        console.print(Text(f"FAILED: {measured.problem}; nothing was measured", "bold red"))
        return
    console.print(_table(measured))
    for warning in measured.report.get("warnings") or ():
        console.print(Text(f"WARNING: {warning}", "bold yellow"))
    if comparison is not None:
        other = "" if comparison.same_model else ", of another model file"
        change = f"{abs(comparison.ratio - 1):.1%} {'slower' if comparison.ratio > 1 else 'faster'}"
        console.print(f"{change} than {comparison.p50_ms:.3f} ms at {comparison.earlier}{other}")


def _table(measured: Measured) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(NO_SPEED if measured.emulated else "latency")
    table.add_column("ms", justify="right")
    latency = measured.report["latency_ms"]
    for name in QUANTILES:
        table.add_row(name.replace("_", " "), f"{latency[name]:.3f}")
    for name in ("load_ms", "first_run_ms"):
        if measured.report.get(name) is not None:
            table.add_row(name.removesuffix("_ms").replace("_", " "), f"{measured.report[name]:.3f}")
    memory = measured.report.get("peak_memory_bytes")
    if memory is not None:
        table.add_row("peak memory, MB", f"{memory / 1e6:.1f}")
    for name in ("before", "after"):
        state = measured.report.get(name) or {}
        if state.get("temperature_celsius") is not None:
            table.add_row(f"temperature {name}, °C", f"{state['temperature_celsius']:.1f}")
    return table
