"""edgekit search: what it refuses, that no other command knows its libraries, and one small search from start to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from edgekit.cli.search import milliseconds
from edgekit.errors import EdgekitError
from edgekit.search.results import SearchOptions
from edgekit.search.run import search_networks
from edgekit.search.space import DEVICE, Space, own_space


def edgekit(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgekit", *words], cwd=folder, capture_output=True, text=True, timeout=1800)


def test_no_other_command_knows_optuna_or_ray() -> None:
    probe = (
        "import sys, importlib\n"
        "from edgekit.cli.main import COMMANDS\n"
        "import edgekit.jobs, edgekit.bench, edgekit.verify, edgekit.report, edgekit.spread.tasks, edgekit.cli.search\n"
        "assert not {'optuna', 'ray', 'sqlalchemy', 'alembic', 'tensorflow'} & set(sys.modules)\n"
        "import edgekit.search.run\n"
        "assert not {'optuna', 'ray', 'sqlalchemy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", probe], check=True, timeout=120)


def test_its_space_can_be_printed_and_edited(tmp_path: Path) -> None:
    done = edgekit("search", "--show-space", folder=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["schema"] == "edgekit-space/1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "for a device or for a board"),
        ({"target": "rpi4", "board": "ultra96"}, "for a device or for a board"),
        ({"target": "rpi9"}, "unknown target 'rpi9'|rpi9"),
        ({"board": "ultra95"}, "unknown board 'ultra95'"),
        ({"target": "rpi4", "cost": "flops"}, "unknown cost 'flops'"),
        ({"target": "rpi4", "sampler": "genetic"}, "unknown sampler 'genetic'"),
        ({"target": "rpi4", "latency_ms": -1.0}, "--latency is -1"),
        ({"target": "rpi4", "fps": 30.0}, "give --latency instead"),
        ({"board": "ultra96", "latency_ms": 5.0}, "give --fps instead"),
        ({"target": "rpi4", "cost": "macs", "latency_ms": 5.0}, "say nothing of milliseconds"),
        ({"board": "ultra96", "cost": "measure"}, "--cost measure is for devices"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(EdgekitError, match=said):
        search_networks(own_space(DEVICE), SearchOptions(data="digits", **options), output=tmp_path / "out")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": "nowhere", "board": "ultra96"}, "'nowhere' is not a folder"),
        ({"data": "digits", "target": "rpi4", "on": "ssh://"}, "ssh://"),
        ({"data": "digits", "board": "ultra96", "workers": "many"}, "many"),
    ],
)
def test_nothing_is_left_where_there_is_nothing_to_go_on_from(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(EdgekitError, match=said):
        search_networks(own_space(DEVICE), SearchOptions(**options), output=tmp_path / "out")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["5", "5ms", "5 ms", "5.0"])
def test_a_latency_has_a_unit_or_none(text: str) -> None:
    assert milliseconds(text) == 5.0


@pytest.mark.parametrize("text", ["", "ms", "5s", "five"])
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="5 or 5ms"):
        milliseconds(text)


def test_a_space_of_one_network_is_refused(tmp_path: Path) -> None:
    space = Space({"size": (32,), "stem.filters": (8,), "stages[0].filters": (8,)}, 1)
    with pytest.raises(EdgekitError, match="nothing to search for"):
        search_networks(space, SearchOptions(data="digits", target="rpi4"), output=tmp_path / "out")


@pytest.mark.slow
def test_a_small_search_from_start_to_end(tmp_path: Path) -> None:
    """What it writes is whole, its networks verify, and every point of the front is a link to its table."""
    stages = [{"op": ["separable", "conv"], "filters": 16, "stride": 2}, {"expansion": [2, 3], "filters": [16, 24], "stride": 2}]
    space = {"schema": "edgekit-space/1", "size": 32, "stem": {"filters": 8}, "stages": stages}
    (tmp_path / "space.json").write_text(json.dumps(space))
    words = ["--data", "digits", "--board", "ultra96", "--space", "space.json", "--trials", "4", "--finalists", "1", "--epochs", "1"]
    done = edgekit(
        "search", *words, "--qfx-epochs", "1", "--supernet-epochs", "1", "--workers", "1", "-o", "out", "--json", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (one,) = found["finalists"]
    assert one["differing"] == 0 and one["compared"] > 0 and found["unit"] == "frames/s"
    folder, page = tmp_path / "out", (tmp_path / "out" / "report.html").read_text()
    assert f"networks/{one['name']}/network.json" in page and (folder / one["folder"] / "bundle" / "manifest.json").is_file()
    assert not (tmp_path / "out.search").exists()
    shown = edgekit("models", str(folder / one["folder"] / "network.json"), folder=tmp_path)
    assert shown.returncode == 0 and one["name"] in shown.stdout
