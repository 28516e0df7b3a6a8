"""edgekit doctor: what this machine has, and how to get what it lacks."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from edgekit.cli.output import Json, print_json, status


def doctor(
    make_emulator: Annotated[
        bool, typer.Option("--make-emulator", help="First make the emulated Raspberry Pis, 64 and 32 bits: 50 MB, a minute.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what this machine has: Python, packages, tools, executors, emulated devices."""
    if make_emulator:
        _make_emulators(shown=not json)
    found = examine()
    if json:
        print_json(found)
        return
    from rich.console import Console

    _show(found, Console())


def _make_emulators(shown: bool) -> None:
    from edgekit.connections.emulator import make_emulator, missing_emulator
    from edgekit.targets import EMULATORS

    with status(shown) as note:
        for emulator in EMULATORS.values():
            if missing_emulator(emulator) is not None:
                make_emulator(emulator, note)


def examine() -> dict[str, Any]:
    """What `--json` prints: {python, system, packages, tools, executors, emulators}."""
    import platform

    from edgekit.bundle import versions
    from edgekit.connections.emulator import emulator_state
    from edgekit.targets import EMULATORS
    from edgekit.tools import TOOLS, find, missing_reason, version

    packages = versions()
    packages.pop("python")
    tools = []
    for tool in TOOLS.values():
        path = find(tool)
        tools.append(
            {
                "name": tool.name,
                "purpose": tool.purpose,
                "variable": tool.variable,
                "path": str(path) if path else None,
                "version": version(tool, path) if path else None,
                "missing": missing_reason(tool),
            }
        )
    return {
        "python": {"version": platform.python_version(), "path": sys.executable},
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
        "tools": tools,
        "executors": _executors(),
        "emulators": [emulator_state(emulator) for emulator in EMULATORS.values()],
    }


def _executors() -> list[dict[str, str | None]]:
    """Whether each executor could run a small exact network here, or why not."""
    import numpy as np

    from edgekit.executor import Artifact
    from edgekit.graph import Dense, IntegerGraph, Tensor
    from edgekit.verify import executors_for

    source, output = Tensor("x", (1,), signed=True, binary_point=0), Tensor("y", (1,), signed=True, binary_point=0)
    op = Dense("dense", "x", "y", np.full((1, 1), 4, np.int8), np.full(1, 2, np.int32), (3,))
    graph = IntegerGraph("doctor", {"x": source, "y": output}, (op,), "x", ("y",))
    return [{"name": one.name, "missing": one.reason or None} for one in executors_for(Artifact(graph))]


def _show(found: dict[str, Any], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, text: str, style: str = "") -> None:
        table.add_row(name, Text(text, style))

    def heading(text: str) -> None:
        table.add_row(Text(f"\n{text}", "bold"), "")

    row("Python", f"{found['python']['version']}  {found['python']['path']}")
    row("System", found["system"])
    heading("Packages")
    for name, version in found["packages"].items():
        row(name, version, "yellow" if version == "not installed" else "")
    heading("Tools")
    for tool in found["tools"]:
        row(tool["name"], tool["missing"] or f"{tool['path']}  {tool['version']}", "yellow" if tool["missing"] else "")
    heading("Executors")
    for one in found["executors"]:
        row(one["name"], one["missing"] or "ready", "yellow" if one["missing"] else "green")
    heading("Emulated devices")
    for one in found["emulators"]:
        row(one["device"], one["missing"] or f"{one['cpu']}  {one['path']}", "yellow" if one["missing"] else "green")
    console.print(table)
