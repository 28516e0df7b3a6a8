"""bench on this machine: the documented JSON, the file of results, comparisons, and what ends it before any time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgekit.bench import add_result, bench, earlier, read_results
from edgekit.cli.main import main
from edgekit.errors import EdgekitError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "json.md"
KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None)}


def documented(heading: str, nth: int = 0) -> dict[str, tuple[type, ...]]:
    """Field -> types of a table of docs/json.md, the nth under a heading."""
    section = re.split(r"^## ", DOCS.read_text(), flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(heading))
    table = re.split(r"\| field \| type \| \|\n\| --- \| --- \| --- \|\n", text)[nth + 1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", table, re.MULTILINE)
    flat = {name: [KINDS[kind] for kind in kinds.split(", ")] for name, kinds in rows}
    return {name: tuple(one for kind in kinds for one in (kind if isinstance(kind, tuple) else (kind,))) for name, kinds in flat.items()}


def check_types(data: dict[str, object], table: dict[str, tuple[type, ...]]) -> None:
    for name, kinds in table.items():
        assert isinstance(data[name], kinds), (name, data[name])


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--json"])
    return int(stop.value.code or 0), json.loads(capfd.readouterr().out)


def test_the_json_is_what_is_documented(make_bundle, tmp_path, capfd):
    folder, results = make_bundle("linux-x86_64", ("ai-edge-litert 2.1.6",)).folder, tmp_path / "results.json"
    words = ("bench", str(folder), "--iterations", "3", "--results", str(results), "--compare")
    code, data = run(capfd, *words)
    table = documented("edgekit bench")
    assert code == 0 and set(data) == set(table)
    check_types(data, table)
    check_types(data["report"], documented("edgekit bench", 1))
    assert data["comparison"] is None and data["report"]["golden"]["differing_values"] == 0
    _, again = run(capfd, *words)
    assert set(again["comparison"]) == {"earlier", "p50_ms", "ratio", "same_model"}
    assert again["comparison"]["earlier"] == data["time"] and again["comparison"]["same_model"] is True
    assert len(read_results(results)) == 2 and "samples" not in results.read_text()


def test_the_json_of_doctor_is_what_is_documented(capfd):
    code, data = run(capfd, "doctor")
    assert code == 0 and set(data) == set(documented("edgekit doctor"))
    check_types(data, documented("edgekit doctor"))


def test_both_programs_give_the_documented_report(make_bundle):
    """The reference kernels, which LiteRT's library has no more, are measured by run.py."""
    bundle = make_bundle("linux-x86_64", ("ai-edge-litert 2.1.6",))
    measured = bench(bundle, "local", kernels="reference", iterations=3, threads=1)
    assert measured.program == "run.py" and measured.note
    check_types(dict(measured.report), documented("edgekit bench", 1))
    assert measured.report["golden"]["outputs_crc32"] == bundle.manifest.golden.crc32


def test_one_changed_byte_ends_it_with_exit_code_1_and_no_time(make_bundle, tmp_path, capfd):
    folder = make_bundle().folder
    content = bytearray((folder / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.tflite").write_bytes(content)
    results = tmp_path / "results.json"
    code, data = run(capfd, "bench", str(folder), "--results", str(results))
    assert code == 1 and "model.tflite changed since it was exported" in data["problem"] and data["report"] == {}
    assert not results.exists()
    code, data = run(capfd, "verify", str(folder))
    assert code == 1 and not data["passed"] and data["executors"] == []


def test_only_like_is_compared_with_like(make_bundle, tmp_path):
    bundle, path = make_bundle("linux-x86_64", ("ai-edge-litert 2.1.6",)), tmp_path / "results.json"
    first = bench(bundle, "local", iterations=2, threads=1)
    add_result(path, first)
    known = read_results(path)
    assert earlier(known, first).ratio == 1.0
    from dataclasses import replace

    for change in ({"threads": 2}, {"kernels": "optimized"}, {"on": "emulated"}, {"program": "run.py"}, {"network": "other"}):
        assert earlier(known, replace(first, **change)) is None, change
    assert earlier(known, replace(first, model_sha256="0" * 64)).same_model is False


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": "x", "results": []}', b'{"schema": "edgekit-bench/1", "results": [1]}'])
def test_another_file_is_not_taken_for_results_and_not_overwritten(content, tmp_path, make_bundle, capfd):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    code, data = run(capfd, "bench", str(make_bundle().folder), "--results", str(path))
    assert code == 2 and "no file of results" in data["error"] and path.read_bytes() == content


def test_a_bundle_without_golden_vectors_is_refused(make_bundle):
    from dataclasses import replace

    bundle = make_bundle()
    with pytest.raises(EdgekitError, match="no golden vectors"):
        bench(replace(bundle, manifest=replace(bundle.manifest, golden=None)), "local")
