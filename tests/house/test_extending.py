"""docs/extending.md, held against the code: files that it lists exist, and hold what it says; what it says to enter somewhere is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from edgekit.executor import Executor
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.kernels.registry import KERNELS
from edgekit.keras_models.zoo.network import Network
from edgekit.keras_models.zoo.networks import NETWORKS
from edgekit.targets import boards
from edgekit.verify.executors import ENTRIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "extending.md"
FOLDERS = ("src/edgekit", "keras_models", "hls", "tflite", "fpga_projects")
ROW = re.compile(r"^\| `(?P<file>[^`]+)` \|(?P<where>[^|]*)\| (?P<what>.*) \|$", re.MULTILINE)
NEW = re.compile(r"NAME|_X\.|/X\.")
"""A file that is written for the new thing."""
VOCABULARIES = {
    "Layers": ("KerasLayers", "CountLayers"),
    "FoldedLayers": ("InferenceLayers", "QKerasLayers"),
}
"""Each protocol, and the classes that speak its verbs."""
ENTERED = {
    "A network": ("keras_models/zoo/networks.py", "NETWORKS"),
    "A board": ("src/edgekit/targets/boards.py", "BOARDS"),
    "An executor": ("src/edgekit/verify/executors.py", "ENTRIES"),
    "An HLS kernel": ("hls/kernels/registry.py", "KERNELS"),
}


@dataclass(frozen=True)
class Row:
    """A row of a section's tables; `names` stand in the file."""

    file: str
    names: tuple[str, ...]


def sections() -> dict[str, tuple[Row, ...]]:
    """The rows of each section, in order."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {
        title: tuple(Row(row["file"], tuple(re.findall(r"`(\w+)`", row["where"]))) for row in ROW.finditer(text))
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


SECTIONS = sections()
ROWS = [pytest.param(row, id=f"{title}: {row.file}") for title, rows in SECTIONS.items() for row in rows]


def defined(path: Path) -> set[str]:
    """Names of classes, functions and variables of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if "templates" not in path.parts)


def test_each_thing_that_can_be_added_has_a_section() -> None:
    assert {*ENTERED, "A verb", "A family of boards", "An op"} <= {title for title, rows in SECTIONS.items() if rows}


@pytest.mark.parametrize("row", ROWS)
def test_a_file_exists_and_holds_what_is_named(row: Row) -> None:
    if NEW.search(row.file):
        assert (ROOT / row.file).parent.is_dir()
    else:
        assert (ROOT / row.file).is_file()
        missing = set(row.names) - (defined(ROOT / row.file) if row.file.endswith(".py") else set())
        assert not missing, f"{row.file} does not define {', '.join(sorted(missing))}"


@pytest.mark.parametrize("title", ENTERED)
def test_a_section_names_its_registry(title: str) -> None:
    file, name = ENTERED[title]
    assert name in {name for row in SECTIONS[title] if row.file == file for name in row.names}


@pytest.mark.parametrize(("title", "most"), [("An op", 16), ("An HLS kernel", 5), ("A board", 2)])
def test_a_list_is_short(title: str, most: int) -> None:
    """Whoever has to lengthen one asks first whether a table could tell it. Two of a kernel's five are tests."""
    assert len(SECTIONS[title]) <= most


def test_every_network_of_a_table_is_entered() -> None:
    for path in sorted((ROOT / "keras_models" / "zoo").glob("*.py")):
        values = vars(import_module(f"edgekit.keras_models.zoo.{path.stem}")).values()
        made = [one for value in values for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Network)]
        assert not [one.name for one in made if NETWORKS.get(one.name) is not one], path.name


def test_every_table_is_in_the_networks_page() -> None:
    page = (ROOT / "docs" / "networks.md").read_text()
    files = {path: defined(path) for path in sorted((ROOT / "keras_models" / "zoo").glob("*.py"))}
    homes = {file for file, names in files.items() if any(_is_network(vars(import_module(module_of(file)))[name]) for name in names)}
    assert len(homes) > 5
    assert not [file.name for file in homes if f"| keras_models/zoo/{file.name} |" not in page]


def _is_network(value: object) -> bool:
    return isinstance(value, Network) or (isinstance(value, tuple) and bool(value) and isinstance(value[0], Network))


def test_every_board_is_entered() -> None:
    made = [one for one in vars(boards).values() if isinstance(one, boards.Board)]
    assert {one.name for one in made} == set(boards.BOARDS)


def test_every_family_has_its_templates_and_a_board() -> None:
    families = {one.name for one in vars(boards).values() if isinstance(one, boards.ProcessingSystem)}
    assert families == {board.part.processing_system.name for board in boards.BOARDS.values()}
    templates, standins = ROOT / "fpga_projects" / "templates", ROOT / "tests" / "fpga_projects" / "vivado_standins.tcl"
    for name in families:
        assert (templates / f"{name}.tcl").is_file() and (templates / f"overlay_{name}.dts").is_file()
        assert f"xilinx.com:ip:{name}" in standins.read_text()


def test_every_executor_is_entered() -> None:
    """EXECUTOR is one of a module, EXECUTORS are several."""
    entered = {(entry.module, entry.attribute) for entry in ENTRIES}
    assert {name for _, name in entered} == {"EXECUTOR", "EXECUTORS"}
    files = {path: defined(path) & {"EXECUTOR", "EXECUTORS"} for path in sources()}
    assert {(module_of(path), name) for path, names in files.items() for name in names} == entered
    assert Executor.__name__ in PAGE.read_text()


def module_of(path: Path) -> str:
    """The dotted name; folders at the top of the repository are packages of edgekit."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("edgekit", *(parts[2:] if parts[0] == "src" else parts)))


def test_every_kernel_lies_where_the_page_says() -> None:
    files = {row.file for row in SECTIONS["An HLS kernel"]}
    assert {"hls/kernels/edgekit_X.h", "hls/kernels/X.py"} <= files
    for kernel in KERNELS:
        assert all((ROOT / file.replace("X.", f"{kernel.name}.")).is_file() for file in files if NEW.search(file)), kernel.name


def test_every_op_is_handed_on_by_the_face() -> None:
    face = import_module("edgekit.graph").__all__
    assert not [op.__name__ for op in OP_TYPES if op.__name__ not in face]


def classes() -> Mapping[str, ast.ClassDef]:
    """Of all modules of keras_models, by name."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "keras_models").rglob("*.py")]
    return {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}


CLASSES = classes()


def verbs(name: str) -> Collection[str]:
    """Public methods of a class, its ancestors' included."""
    node = CLASSES[name]
    own = {one.name for one in node.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")}
    parents = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in CLASSES]
    return own.union(*(verbs(parent) for parent in parents))


@pytest.mark.parametrize(("vocabulary", "speaker"), [(name, one) for name, speakers in VOCABULARIES.items() for one in speakers])
def test_a_class_speaks_every_verb_of_its_vocabulary(vocabulary: str, speaker: str) -> None:
    missing = sorted(set(verbs(vocabulary)) - set(verbs(speaker)))
    assert not missing, f"{speaker} lacks {', '.join(missing)}, of {vocabulary}"


def test_every_class_that_speaks_a_vocabulary_is_named() -> None:
    """Whoever has half of the common verbs speaks one."""
    common = set(verbs("CommonLayers"))
    speaking = {name for name in CLASSES if 2 * len(common & set(verbs(name))) > len(common)}
    named = {name for row in SECTIONS["A verb"] for name in row.names}
    assert {*VOCABULARIES, *(one for speakers in VOCABULARIES.values() for one in speakers)} <= speaking <= named
