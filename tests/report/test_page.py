"""The HTML page: what it says is what was measured, whatever comes from outside is escaped, and nothing is loaded from a network."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from bundles import exact_plan
from random_graphs import random_graph

from edgekit.accuracy import Accuracy
from edgekit.bundle import TFLITE, Bundle, WeightsSource, open_bundle
from edgekit.cli.main import main
from edgekit.plan import write
from edgekit.report import Timing, render_page
from edgekit.report.charts import Bar, histogram, layer_chart
from edgekit.report.page import layer_of
from edgekit.verify import verify


def make_bundle(folder: Path, rng: np.random.Generator, network: str = "net") -> Bundle:
    graph = random_graph(rng, length=4)
    plan = exact_plan(
        graph,
        network=network,
        options={"size": 8},
        weights=WeightsSource("random", seed=1, accuracy=Accuracy(0.875, 8, "<digits>")),
        command=("edgekit", "export", "<script>alert(1)</script>"),
    )
    write(plan, folder)
    return open_bundle(folder)


TIMING = Timing(tuple(np.linspace(1.0, 2.0, 101).tolist()), "ai-edge-litert 0", "Linux x86_64")


def test_the_page_holds_what_was_measured(tmp_path: Path, rng: np.random.Generator) -> None:
    bundle = make_bundle(tmp_path / "b", rng)
    report = verify(bundle, count=4, executors=["tflite-reference", "tflite-xnnpack"])
    page = render_page(report, TIMING)
    for result in report.results:
        assert result.name in page
        assert f"{result.values:,}" in page
    assert "p50 1.50 ms" in page
    assert f"{(tmp_path / 'b' / TFLITE).stat().st_size:,}" in page
    assert "weights are random" in page
    assert "87.50% of 8 held-out images of &lt;digits&gt;" in page
    assert "built-in method" not in page  # a name that jinja takes for a method of a dictionary


def test_remarks_and_what_yosys_mapped_are_on_the_page(tmp_path: Path, rng: np.random.Generator) -> None:
    bundle = make_bundle(tmp_path / "b", rng)
    report = verify(bundle, count=4, executors=["tflite-reference"])
    assert "Mapped by Yosys" not in render_page(report, None)
    numbers = {"lut": 1234, "ff": 567, "dsp": 8, "bram36": 4.5}
    layer = {"name": "<conv>", "stages": 2, **numbers, "estimated": {**numbers, "lut": 1290}}
    mapped = {"what": "no timing", "program": "Yosys 0", "family": "xc7", "layers": [layer], "total": {**layer, "name": ""}}
    (bundle.folder / "mapped.json").write_text(json.dumps(mapped))
    manifest = replace(bundle.manifest, files={**bundle.manifest.files, "mapped.json": "0" * 64})
    results = tuple(replace(one, remarks=("frames leave every 5,670 cycles",)) for one in report.results)
    page = render_page(replace(report, bundle=replace(bundle, manifest=manifest), results=results), None)
    assert "<code>tflite-reference</code>: frames leave every 5,670 cycles" in page
    for text in ("Mapped by Yosys", "Yosys 0, family xc7: no timing", "&lt;conv&gt;", "1234", "1290", "<td>all</td>"):
        assert text in page
    changed = replace(bundle, manifest=manifest, changed={"mapped.json": "changed"})
    assert "Mapped by Yosys" not in render_page(replace(report, bundle=changed), None)


def test_the_page_is_well_formed_loads_nothing_and_runs_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    bundle = make_bundle(tmp_path / "b", rng, network="<b onclick=x>")
    page = render_page(verify(bundle, count=4, executors=["tflite-reference"]), TIMING)
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attributes)))

    Reader().feed(page)
    assert not [tag for tag, _ in tags if tag in ("script", "link", "img", "iframe", "b") and tag != "b"]
    assert not [name for _, attributes in tags for name in attributes if name in ("src", "href") or name.startswith("on")]
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    assert "&lt;script&gt;" in page


def test_the_first_tensor_that_differs_is_marked() -> None:
    chart = layer_chart([Bar(0.0, "a"), Bar(0.25, "b: 25%", marked=True), Bar(0.5, "c & d")], "layers")
    assert chart.count('class="marked"') == 1
    assert "c &amp; d" in chart
    assert "b: 25%" in chart


def test_a_histogram_of_equal_values_and_of_one_value() -> None:
    for values in ([1.0, 1.0, 1.0], [2.0]):
        assert histogram(values, "ms", [("p50", values[0])], "time").count("<rect") == 40


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("net/block_1_expand_BN/FusedBatchNormV3;net/block_1_expand/Conv2D", "block_1_expand_BN"),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
        ("conv1", "conv1"),
    ],
)
def test_the_layer_in_a_tensors_name(tensor: str, layer: str) -> None:
    assert layer_of(tensor) == layer


def test_the_command_writes_the_page_beside_the_folder(tmp_path: Path, rng: np.random.Generator, capfd: pytest.CaptureFixture[str]) -> None:
    make_bundle(tmp_path / "b", rng)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "b"), "--inputs", "4", "--executor", "tflite-xnnpack", "--json"])
    answer = json.loads(capfd.readouterr().out)
    assert ended.value.code == (0 if answer["passed"] else 1)
    assert answer["page"] == str(tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text().startswith("<!DOCTYPE html>")
