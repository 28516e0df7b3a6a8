"""The report of a verification: what ran and what did not, what differs, whether the check was worth anything, and the verdict.

As JSON (`as_json`) it is one object; fields may be added, none is removed or changes its meaning within schema "edgekit/1":

    schema      "edgekit/1"
    bundle      {folder, kind, network, precision, target}
    passed      true if and only if `failures` is empty
    failures    [sentence]
    exact       true for an integer graph, compared with equality; false for a stock TFLite file
    tolerance   largest distance that float outputs may have, relative to the largest value; null where there are no float outputs
    inputs      {count, seed, kinds: {photograph | noise | extreme | image: number}}
    baseline    name of the executor that the others are compared with, null if nothing ran
    executors   [{name, error | null, tensors, values, differing, largest, first | null,
                  per_tensor: [{name, values, differing, largest}]}]          candidates only, tensors in graph order
    first       {tensor, input, label, index: [int], expected, actual}        of one executor: the first difference in graph order
    missing     [{name, reason}]                                             executors that cannot run here
    outputs     [{name, inputs, elements, distinct, varying, saturated}]     how far outputs vary over the inputs
    changed     {file name: what happened to it since the export}

Distances are in LSB for integers and absolute for floats; an infinite or undefined one is null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgekit.plan import SCHEMA
from edgekit.verify.compare import Difference, Result
from edgekit.verify.executors import Available
from edgekit.verify.variation import OutputVariation

DISTINCT_WARNING = 0.25
"""Below this share of distinct outputs the variation is shown as a warning."""


@dataclass(frozen=True)
class Report:
    bundle: Mapping[str, str]
    exact: bool
    seed: int
    labels: tuple[str, ...]
    baseline: str | None
    results: tuple[Result, ...]
    missing: tuple[Available, ...]
    outputs: tuple[OutputVariation, ...]
    changed: Mapping[str, str]
    tolerance: float | None
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def label_kinds(labels: tuple[str, ...]) -> dict[str, int]:
    """How many inputs of each kind: photograph, noise, image, and extreme for all others."""
    words = (label.split()[0] for label in labels)
    return dict(Counter(word if word in ("photograph", "noise", "image") else "extreme" for word in words))


def as_json(report: Report) -> dict[str, Any]:
    """Plain dictionaries, lists, strings, numbers and None; the module's docstring has the fields."""

    def first(difference: Difference | None) -> dict[str, Any] | None:
        if difference is None:
            return None
        values = {"expected": _finite(difference.expected), "actual": _finite(difference.actual)}
        return {**asdict(difference), "index": list(difference.index), "label": report.labels[difference.input], **values}

    def result(one: Result) -> dict[str, Any]:
        per_tensor = [{"name": t.name, "values": t.values, "differing": t.differing, "largest": _finite(t.largest)} for t in one.tensors]
        return {
            "name": one.name,
            "error": one.error,
            "tensors": len(one.tensors),
            "values": one.values,
            "differing": one.differing,
            "largest": _finite(one.largest),
            "first": first(one.first),
            "per_tensor": per_tensor,
        }

    return {
        "schema": SCHEMA,
        "bundle": dict(report.bundle),
        "passed": report.passed,
        "failures": list(report.failures),
        "exact": report.exact,
        "tolerance": report.tolerance,
        "inputs": {"count": len(report.labels), "seed": report.seed, "kinds": label_kinds(report.labels)},
        "baseline": report.baseline,
        "executors": [result(one) for one in report.results],
        "missing": [{"name": one.name, "reason": one.reason} for one in report.missing],
        "outputs": [asdict(one) for one in report.outputs],
        "changed": dict(report.changed),
    }


def show(report: Report, console: Console) -> None:
    console.print(render(report))


def render(report: Report) -> RenderableType:
    """The report for a terminal of 80 columns or more."""
    lines: list[RenderableType] = [_headline(report)]
    if report.results or report.missing:
        lines.append(_table(report))
    for result in report.results:
        lines += [Text(text, "red") for text in _details(report, result)]
    lines += [Text(f"{one.name} not run: {one.reason}", "yellow") for one in report.missing]
    lines += [_variation_line(one) for one in report.outputs]
    lines.append(_verdict(report))
    return Group(*lines)


def _headline(report: Report) -> Text:
    kinds = ", ".join(f"{number} {plural(kind, number)}" for kind, number in label_kinds(report.labels).items())
    what = f"{report.bundle['network']}, {report.bundle['precision']}, for {report.bundle['target']}"
    return Text.assemble((what, "bold"), f"\n{len(report.labels)} inputs: {kinds}; seed {report.seed}" if report.labels else "")


def plural(kind: str, number: int) -> str:
    return kind if kind == "noise" or number == 1 else f"{kind}s"


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("executor", no_wrap=True)
    for name in ("tensors", "values", "differing", "largest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("first difference", overflow="ellipsis")  # the column that narrows first; in full below the table
    if report.baseline:
        table.add_row(report.baseline, "", "", "", "", Text("the baseline", "dim"))
    for result in report.results:
        where, style = result.first.tensor if result.first else "none", "red" if result.first else "green"
        if result.error:
            where, style = "failed", "bold red"
        numbers = (str(len(result.tensors)), f"{result.values:,}", f"{result.differing:,}", _distance(result))
        table.add_row(result.name, *numbers, Text(where, style))
    for one in report.missing:
        table.add_row(one.name, *("-" * 4), Text("not run", "yellow"))
    return table


def _details(report: Report, result: Result) -> Iterator[str]:
    """Why an executor failed, where it differs first, and how much its float outputs differ."""
    if result.error:
        yield f"{result.name} failed: {result.error}"
    first = result.first
    if first is not None:
        where = f"'{first.tensor}' {list(first.index)} of input {first.input} ({report.labels[first.input]})"
        yield f"{result.name} first differs in {where}: {first.actual:.9g}, not {first.expected:.9g}"
    outputs = {one.name for one in report.outputs}
    for tensor in result.tensors:
        if tensor.is_float and tensor.differing and tensor.name in outputs:
            share = f"{tensor.differing:,} of {tensor.values:,} values"
            yield f"{result.name}: output '{tensor.name}' differs in some bit of {share}, by at most {tensor.largest:.3g}"


def _distance(result: Result) -> str:
    """Of the tensor that is furthest off; in LSB where all are integers."""
    return f"{result.largest:.3g}" if any(tensor.is_float for tensor in result.tensors) else f"{result.largest:.0f} LSB"


def _variation_line(one: OutputVariation) -> Text:
    saturated = f", {one.saturated:.1%} of values saturated" if one.saturated else ""
    text = f"output '{one.name}': {one.distinct} distinct of {one.inputs}, {one.varying:,} of {one.elements:,} elements vary{saturated}"
    poor = one.constant or one.distinct < DISTINCT_WARNING * one.inputs
    return Text(text, "yellow" if poor else "")


def _verdict(report: Report) -> Text:
    if report.failures:
        return Text("\n".join(f"FAILED: {failure}" for failure in report.failures), "bold red")
    engines = len(report.results) + 1
    if report.tolerance is not None:
        agree = f"outputs of {engines} executors agree within {report.tolerance:g} of the largest value; no claim about bits"
        return Text(f"PASSED: {agree}", "bold green")
    total = sum(result.values for result in report.results)
    return Text(f"PASSED: {engines} executors, {total:,} comparisons, no differing bit", "bold green")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
