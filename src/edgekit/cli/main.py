"""The command `edgekit`: which commands there are, and what every one of them does with errors.

Exit codes: 0 done; 1 the check that was asked for failed; 2 the request cannot be carried out; 130 interrupted; 143 ended by SIGTERM.
Command modules import what is heavy inside their functions, so that `edgekit --help` answers at once.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from edgekit.cli import bench, doctor, evaluate, export, hls, models, report, search, train, verify
from edgekit.cli.output import claimed_stdout, print_json
from edgekit.cli.signals import Signalled, signals_raise
from edgekit.errors import EdgekitError
from edgekit.scratch import scratch_of_process
from edgekit.version import __version__

REFUSED, INTERRUPTED = 2, 130

COMMANDS: dict[str, Callable[..., None]] = {
    "models": models.models,
    "train": train.train,
    "export": export.export,
    "hls": hls.hls,
    "verify": verify.verify,
    "evaluate": evaluate.evaluate,
    "bench": bench.bench,
    "report": report.report,
    "search": search.search,
    "doctor": doctor.doctor,
}


def _app() -> typer.Typer:
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class _Commands(TyperGroup):
    """COMMANDS. Their options are built for the one that is called alone: those of all take a third of the time of `edgekit --help`."""

    def __init__(self, **settings: Any) -> None:
        # What help shows of a command, and what a mistyped name is compared with.
        shown = {name: TyperCommand(name, help=inspect.getdoc(function)) for name, function in COMMANDS.items()}
        super().__init__(**{**settings, "commands": shown})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, shown, rest = super().resolve_command(ctx, args)
        if name is None or shown is None:
            return name, shown, rest
        one = _app()
        one.command(name)(COMMANDS[name])
        return name, typer.main.get_command(one), rest


app = _app()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edgekit {__version__}")
        raise typer.Exit


@app.callback(cls=_Commands, no_args_is_help=True)
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    """Mobile vision networks from Keras to TFLite and HLS, equal to the last bit."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = words[: words.index("--")] if "--" in words else words
    debug, as_json = "--debug" in options, "--json" in options
    try:
        with signals_raise(), claimed_stdout() if as_json else nullcontext(), scratch_of_process():
            code = _run([word for word in words if word != "--debug"], as_json, debug)
    except (KeyboardInterrupt, Signalled) as signal:  # while it began, or cleaned up
        code = signal.code if isinstance(signal, Signalled) else INTERRUPTED
    sys.exit(code)


def _run(words: list[str], as_json: bool, debug: bool) -> int:
    """The exit code."""
    try:
        code = app(words, prog_name="edgekit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # `edgekit ... | head`: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", as_json, debug, INTERRUPTED)
    except Signalled as signal:
        return _fail(str(signal), as_json, debug, signal.code)
    except (EdgekitError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        return _fail(message, as_json, debug, REFUSED)
    except OSError as error:  # of a file or a disk that no reader or writer looked after
        named = f"'{error.filename}': " if error.filename is not None else ""
        return _fail(f"{named}{error.strerror or error}", as_json, debug, REFUSED)
    except Exception as error:
        message = (
            f"unexpected {type(error).__name__}: {error}\nThis is a fault of edgekit. Run again with --debug and report what it shows."
        )
        return _fail(message, as_json, debug, REFUSED)


def _fail(message: str, as_json: bool, debug: bool, code: int) -> int:
    if debug:
        traceback.print_exc()
    if as_json:
        print_json({"error": message})
    elif message:  # empty where help was shown
        print(f"edgekit: {_visible(message)}", file=sys.stderr)
    return code


def _visible(text: str) -> str:
    """What names in a file bring of a terminal's control characters is shown, not carried out."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
