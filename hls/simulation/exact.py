"""The exact simulation: a project compiled with integers of the widths that it declares, of the weights that synthesis takes.

The C simulation takes the processor's integers, weights from text files, and a plain product where the circuit packs two into one
multiplier. Here each number has the width of its ap_int and is checked when it is written (hls/exact/ap_int.h), the arrays are those under
__SYNTHESIS__, and packed products are packed. It takes several times as long, so it runs on a few inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.executor import Run
from edgekit.hls.simulation.csim import NATIVE, NETWORK_SOURCE, compile_program, open_simulation
from edgekit.progress import Note

HEADERS = ("ap_int.h", "ap_fixed.h", "edgekit_exact.h")
PROGRAM = "edgekit_exact.cpp"
ARRAYS = "arrays.cpp"
FLAGS = ("-O1", "-fsanitize=signed-integer-overflow,shift,bounds", "-fno-sanitize-recover=all", "-fsanitize-undefined-trap-on-error")
"""Also the processor's own integers and the places in arrays are checked; what fails ends the program."""
WEIGHTS = "firmware/weights"
DEFINITION = re.compile(r"^(?P<type>\w+) (?P<name>\w+)\[(?P<count>\d+)\] = \{", re.MULTILINE)
"""What synthesis takes of a header of weights."""


def open_exact_simulation(project: Path, note: Note) -> AbstractContextManager[Run]:
    """Compiles a project so and gives what runs it, as `open_simulation` does.

    Raises EdgekitError: no compiler, no folded project in that folder, or it does not compile.
    """
    return open_simulation(project, note, compile_exact)


def compile_exact(project: Path, folder: Path) -> Path:
    """The exact simulation program, in `folder`. Raises EdgekitError."""
    for name in (*HEADERS, PROGRAM):
        (folder / name).write_bytes(resources.files("edgekit.hls").joinpath("exact", name).read_bytes())
    (folder / ARRAYS).write_text("\n".join(_arrays(project)))
    includes = ("-isystem", str(folder), "-isystem", NATIVE, "-include", "edgekit_exact.h")
    return compile_program(project, folder, (*FLAGS, *includes), (NETWORK_SOURCE, str(folder / PROGRAM), str(folder / ARRAYS)))


def _arrays(project: Path) -> Iterator[str]:
    """C++ with every array as synthesis has it, of plain integers, and the list of them."""
    yield '#include "edgekit_exact.h"\n#define __SYNTHESIS__\nnamespace synthesis {'
    found = []
    for header in sorted((project / WEIGHTS).glob("*.h")):
        definition = DEFINITION.search(header.read_text())
        if definition is None:
            raise EdgekitError(f"{header} defines no array that synthesis could take")
        found.append((definition["name"], definition["count"]))
        yield f'#define {definition["type"]} const int\n#include "{WEIGHTS}/{header.name}"\n#undef {definition["type"]}'
    yield "}\nconst exact::array exact::arrays[] = {"
    yield from (f'    {{"{name}.txt", synthesis::{name}, {count}}},' for name, count in found)
    yield "    {nullptr, nullptr, 0},\n};\n"
