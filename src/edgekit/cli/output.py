"""What commands print: one JSON object for programs on stdout, or text for people; progress on stderr."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")]

COUNT_SECONDS = 10.0
"""Between two lines of one count, where stderr is no terminal."""

_claimed: TextIO | None = None


@contextmanager
def claimed_stdout() -> Iterator[None]:
    """Keeps stdout for `print_json`. Whatever else writes there, compilers and C++ libraries too, goes to stderr."""
    global _claimed
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(2, 1)
        _claimed = stream
        try:
            yield
        finally:
            sys.stdout.flush()
            _claimed = None
            os.dup2(stream.fileno(), 1)


def print_json(data: dict[str, Any]) -> None:
    """Prints `data`; NaN and infinity, which JSON has not, are a fault of the caller."""
    import json

    stream = _claimed or sys.stdout
    print(json.dumps(data, indent=2, allow_nan=False), file=stream, flush=True)


@contextmanager
def executor_progress(shown: bool) -> Iterator[Callable[[str, str, int, int], None]]:
    """A line for each executor, on stderr, while it works; silent if not `shown` or stderr is no terminal."""
    if not (shown and sys.stderr.isatty()):
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[name]:<16}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def update(name: str, text: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(text, name=name, total=total)
            progress.update(tasks[name], description=text, completed=done)

        yield update


@contextmanager
def status(shown: bool) -> Iterator[Callable[[str], None]]:
    """One line on stderr that says what is being done; on no terminal, a line each time, but where only a count goes on one in a while."""
    if not shown:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        last, due = "", 0.0

        def say(text: str) -> None:
            nonlocal last, due
            what, now = re.sub(r"[0-9.]+", "", text), time.monotonic()
            if what != last or now >= due:
                print(f"edgekit: {text}", file=sys.stderr)
                due = now + COUNT_SECONDS
            last = what

        yield say
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as line:
        yield lambda text: line.update(text)


def print_warnings(warnings: Iterable[str], notes: Iterable[str]) -> None:
    """On stderr, so that results can be piped; warnings are loud."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    for text in warnings:
        console.print(Text(f"WARNING: {text}", "bold yellow"))
    for text in notes:
        console.print(Text(f"note: {text}", "dim"))


def as_plain(result: Any) -> dict[str, Any]:
    """A dataclass as JSON takes it: paths become text."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(result).items()}


@contextmanager
def training_progress(shown: bool) -> Iterator[Callable[[Any], None]]:
    """A bar over all batches, on stderr; on no terminal, a line each epoch."""
    if not shown:
        yield lambda _: None
        return
    held_out = ""

    def told(step: Any) -> str:
        """Between the ends of two epochs, the accuracy on the held-out images is that of the last one."""
        nonlocal held_out
        if step.held_out is not None:
            held_out = f", held out {step.held_out:.1%}"
        return f"epoch {step.epoch}/{step.epochs}: loss {step.loss:.3f}, {step.measure} {step.accuracy:.1%}{held_out}"

    if not sys.stderr.isatty():

        def line(step: Any) -> None:
            if step.batch == step.batches:
                print(f"edgekit: {told(step)}", file=sys.stderr)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: list[Any] = []

        def update(step: Any) -> None:
            text = told(step)
            if not tasks:
                tasks.append(bar.add_task(text, total=step.epochs * step.batches))
            bar.update(tasks[0], description=text, completed=(step.epoch - 1) * step.batches + step.batch)

        yield update
