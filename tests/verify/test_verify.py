"""verify finds what differs and where, names what could not run, and refuses to call a check that shows nothing a success."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import bundle_of, fake_executor
from random_graphs import graph_of_every_op

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Values
from edgekit.graph import IntegerGraph
from edgekit.verify import as_json, verify
from edgekit.verify import run as run_module
from edgekit.verify.run import Verification, compare_executors

Register = Callable[..., None]


def wrong_at(tensor: str, index: tuple[int, ...], by: int) -> Callable[[dict[str, Any]], Values]:
    """Adds `by` to one value of the first input of every chunk."""

    def change(values: dict[str, Any]) -> Values:
        wide = values[tensor].astype(np.int64)
        wide[(0, *index)] += by
        return {**values, tensor: wide}

    return change


def test_equal_executors_pass(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one"), fake_executor("two", missing="no compiler here"))
    report = compare_executors(bundle_of(Artifact(graph)))
    assert report.passed and report.exact and report.baseline == "reference"
    (result,) = report.results
    assert (result.name, result.differing, len(result.tensors)) == ("one", 0, 3)
    assert result.values == 64 * (8 * 8 * 3 + 8 * 8 * 4 + 10)
    assert [(one.name, one.reason) for one in report.missing] == [("two", "no compiler here")]
    assert [(one.name, one.inputs, one.elements, one.varying) for one in report.outputs] == [("logits", 64, 10, 10)]


def test_every_op_there_is_passes_on_the_executors_themselves(rng: np.random.Generator) -> None:
    """No stand-ins: every tensor of a graph that has each op, on LiteRT and onnxruntime."""
    graph = graph_of_every_op(rng)
    names = ["tflite-reference", "tflite-optimized", "tflite-xnnpack", "onnxruntime"]
    report = compare_executors(bundle_of(Artifact(graph)), count=8, executors=names)
    assert report.exact and not [result for result in report.results if result.differing or result.error]
    assert {result.name for result in report.results} == set(names)
    assert all({tensor.name for tensor in result.tensors} == set(graph.tensors) for result in report.results)


def test_one_wrong_value_is_found_and_named(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one", wrong_at("map", (2, 3, 1), -3)))
    report = compare_executors(bundle_of(Artifact(graph)))
    (result,) = report.results
    assert report.failures == ("one differs from reference in 1 of 29,312 integers",)
    assert (result.differing, result.largest) == (1, 3)
    assert result.first is not None
    assert (result.first.tensor, result.first.input, result.first.index) == ("map", 0, (2, 3, 1))
    assert result.first.actual == result.first.expected - 3


def test_the_first_difference_is_first_in_graph_order(graph: IntegerGraph, register: Register) -> None:
    """The candidate lists its tensors backwards and the output differs by more: still the earlier tensor is the first."""

    def change(values: dict[str, Any]) -> Values:
        late = wrong_at("logits", (4,), 50)(wrong_at("map", (7, 7, 3), 1)(values))  # type: ignore[arg-type]
        return dict(reversed(list(late.items())))

    register(fake_executor("reference"), fake_executor("one", change))
    (result,) = compare_executors(bundle_of(Artifact(graph))).results
    assert result.first is not None and result.first.tensor == "map"
    assert result.largest == 50
    assert [tensor.name for tensor in result.tensors] == ["image", "map", "logits"]


def test_chunks_do_not_change_the_result(graph: IntegerGraph, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only input 17 differs; whatever the chunks, it must be found, once and under its number."""
    batches: list[int] = []

    def change(values: dict[str, Any]) -> Values:
        start = sum(batches)
        batches.append(len(values["image"]))
        wide = values["map"].astype(np.int64)
        if start <= 17 < sum(batches):
            wide[17 - start, 0, 0, 0] += 1
        return {**values, "map": wide}

    register(fake_executor("reference"), fake_executor("one", change))
    found = []
    for chunk in (1, 5, 64):
        batches.clear()
        monkeypatch.setattr(run_module, "CHUNK_MAX", chunk)
        report = compare_executors(bundle_of(Artifact(graph)))
        assert max(batches) == chunk and sum(batches) == 64
        found.append((report.results[0].differing, report.results[0].first, report.outputs))
    assert found[0] == found[1] == found[2]
    assert found[0][1].input == 17


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: {"image": values["image"]}, "does not expose the network's output 'logits'"),
        (lambda values: {}, "does not expose the network's output 'logits'"),
        (lambda values: {**values, "map": values["map"][:, :4]}, "tensor 'map' has shape (4, 8, 4), the baseline's has (8, 8, 4)"),
        (lambda values: {**values, "map": values["map"][:1]}, "gave 1 of 'map' for 64 inputs"),
        (lambda values: {**values, "map": values["map"].astype(float)}, "tensor 'map' is float64, the baseline's is uint8"),
        (lambda values: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_compared_fails(graph: IntegerGraph, register: Register, change: Callable[[Any], Any], message: str) -> None:
    """The broken executor fails the check and is named; the others are still compared."""
    register(fake_executor("reference"), fake_executor("broken", change), fake_executor("good"))
    report = compare_executors(bundle_of(Artifact(graph)))
    assert report.failures == (f"broken failed: {message}",)
    assert [(result.name, result.error) for result in report.results] == [("broken", message), ("good", None)]
    assert report.results[1].values > 0


def test_a_baseline_that_fails_fails_the_check(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference", lambda values: 1 / 0), fake_executor("one"))  # type: ignore[arg-type, return-value]
    report = compare_executors(bundle_of(Artifact(graph)))
    assert report.failures == ("reference, the baseline, failed: ZeroDivisionError: division by zero",)


def test_outputs_that_do_not_vary_fail(graph: IntegerGraph, register: Register) -> None:
    """Both executors agree on 127 everywhere: no difference, and no proof either."""

    def saturate(values: dict[str, Any]) -> Values:
        return {**values, "logits": np.full_like(values["logits"], 127)}

    register(fake_executor("reference", saturate), fake_executor("one", saturate))
    report = compare_executors(bundle_of(Artifact(graph)))
    assert report.results[0].differing == 0
    assert report.failures == ("output 'logits' is the same for all 64 inputs: agreeing on it proves nothing",)
    assert (report.outputs[0].distinct, report.outputs[0].saturated) == (1, 1.0)


def test_fewer_than_two_executors_is_an_error_with_reasons(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one", missing="it is Sunday"))
    with pytest.raises(EdgekitError, match=r"nothing to compare.*\n  one: it is Sunday"):
        compare_executors(bundle_of(Artifact(graph)))


def test_asking_for_executors(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one"), fake_executor("two"), fake_executor("gone", missing="sold"))
    report = compare_executors(bundle_of(Artifact(graph)), executors=["two"])
    assert (report.baseline, [result.name for result in report.results]) == ("reference", ["two"])
    with pytest.raises(EdgekitError, match="executor 'gone' cannot run here: sold"):
        compare_executors(bundle_of(Artifact(graph)), executors=["gone"])
    with pytest.raises(EdgekitError, match=r"unknown executor 'twoo'\. Did you mean two"):
        compare_executors(bundle_of(Artifact(graph)), executors=["twoo"])


def test_a_changed_bundle_fails_and_runs_nothing(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference", lambda values: 1 / 0), fake_executor("one"))  # type: ignore[arg-type, return-value]
    report = verify(bundle_of(Artifact(graph), {"model.tflite": "changed since it was exported"}))
    assert report.failures == ("model.tflite: changed since it was exported; export again",)
    assert report.results == () and json.dumps(as_json(report), allow_nan=False)


def test_a_full_disk_is_no_executors_failure(graph: IntegerGraph, register: Register) -> None:
    def full(values: dict[str, Any]) -> Values:
        raise EdgekitError("a disk is full ([Errno 28] No space left on device); make room")

    register(fake_executor("reference"), fake_executor("one", full))
    with pytest.raises(EdgekitError, match="a disk is full"):
        compare_executors(bundle_of(Artifact(graph)), count=4)


def test_images_are_used_on_top(graph: IntegerGraph, register: Register, rng: np.random.Generator) -> None:
    register(fake_executor("reference"), fake_executor("one"))
    images = rng.integers(0, 256, (5, 20, 30, 3), np.uint8)
    report = compare_executors(bundle_of(Artifact(graph)), count=10, images=images)
    assert as_json(report)["inputs"] == {
        "count": 15,
        "seed": 0,
        "kinds": {"photograph": 2, "noise": 2, "extreme": 4, "image": 5, "climb": 2},
    }


def test_progress_names_executors_and_counts_inputs(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one"))
    told: list[tuple[str, str, int, int]] = []
    compare_executors(bundle_of(Artifact(graph)), count=4, progress=lambda *words: told.append(words))
    assert ("one", "compiling", 0, 4) in told and ("one", "running", 0, 4) in told


def test_json_has_the_documented_fields(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one", wrong_at("map", (2, 3, 1), -3)), fake_executor("two", missing="why"))
    data = json.loads(json.dumps(as_json(compare_executors(bundle_of(Artifact(graph)))), allow_nan=False))
    top = "schema bundle passed failures exact tolerance inputs baseline executors missing outputs coverage changed files"
    assert " ".join(data) == top
    (executor,) = data["executors"]
    assert " ".join(executor) == "name error tensors values differing largest first per_tensor remarks"
    assert {**executor["first"], "expected": 0, "actual": 0} == {
        "tensor": "map",
        "input": 0,
        "label": "photograph 0",
        "index": [2, 3, 1],
        "expected": 0,
        "actual": 0,
    }
    assert data["missing"] == [{"name": "two", "reason": "why"}]


def report_text(report: Verification, width: int) -> str:
    from rich.console import Console

    from edgekit.verify import show

    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    show(report, console)
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_report_shows_numbers_reasons_and_verdict(graph: IntegerGraph, register: Register, width: int) -> None:
    register(fake_executor("reference"), fake_executor("one", wrong_at("map", (2, 3, 1), -3)), fake_executor("two", missing="no compiler"))
    text = report_text(compare_executors(bundle_of(Artifact(graph))), width)
    assert max(len(line) for line in text.splitlines()) <= width
    for words in (
        "29,312",
        "3 LSB",
        "'map' [2, 3, 1] of input 0",
        "two not run: no compiler",
        "FAILED: one differs from reference in 1 of 29,312",
        "64 distinct",
    ):
        assert words in text, words
