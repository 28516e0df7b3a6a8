"""A verification shown: what ran and what did not, what differs, whether the check was worth anything, and the verdict.

`show` prints it for people. As JSON (`as_json`) it is one object; fields may be added, none is removed or changes its meaning within
schema "edgekit/1":

    schema      "edgekit/1"
    bundle      {folder, kind, network, precision, target}
    passed      true if and only if `failures` is empty
    failures    [sentence]
    exact       true for an integer graph, compared with equality; false for a stock TFLite file
    tolerance   largest distance that float outputs may have, relative to the largest value; null where there are no float outputs
    inputs      {count, seed, kinds: {photograph | recorded | noise | extreme | image | input: number}}
    baseline    name of the executor that the others are compared with, null if nothing ran
    executors   [{name, error | null, tensors, values, differing, largest, first | null,
                  per_tensor: [{name, values, differing, largest}],
                  remarks: [sentence]}]                                    candidates only, tensors in graph order
    first       {tensor, input, label, index: [int], expected, actual}        of one executor: the first difference in graph order
    missing     [{name, reason}]                                             executors that cannot run here
    outputs     [{name, inputs, elements, distinct, varying, saturated}]     how far outputs vary over the inputs
    coverage    [{name, values, unvaried, channels, constant, fixed, lower, upper, lower_open, upper_open}]
                  of each tensor: values that were the same for all inputs, channels that had one value everywhere, those of them that
                  can have no other, and in how many channels an end of the clamp was reached, and in how many more it might be
                  (null: no clamp)
    changed     {file name: what happened to it since the export}
    files       {compared, findings: {file name: how it differs from what edgekit makes}, accepted, given: {file name: what is known of it},
                  aside: [name]}                                               `accepted`: findings are the user's own changes

Distances are in LSB for integers and absolute for floats; an infinite or undefined one is null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgekit.plan import SCHEMA
from edgekit.verify.compare import Difference, Result
from edgekit.verify.coverage import TensorCoverage
from edgekit.verify.run import Verification
from edgekit.verify.variation import OutputVariation

FINDINGS_SHOWN, TENSORS_SHOWN = 20, 6
KINDS = ("photograph", "recorded", "noise", "climb", "image", "input")
DISTINCT_WARNING = 0.25
"""Below this share of distinct outputs the variation is shown as a warning."""


def label_kinds(labels: tuple[str, ...]) -> dict[str, int]:
    """How many inputs of each kind: those of KINDS, and extreme for all others."""
    kinds = (label.split()[0] for label in labels)
    return dict(Counter(kind if kind in KINDS else "extreme" for kind in kinds))


def as_json(verification: Verification) -> dict[str, Any]:
    """Plain dictionaries, lists, strings, numbers and None; the module's docstring has the fields."""

    def first(difference: Difference | None) -> dict[str, Any] | None:
        if difference is None:
            return None
        values = {"expected": _finite(difference.expected), "actual": _finite(difference.actual)}
        return {**asdict(difference), "index": list(difference.index), "label": verification.labels[difference.input], **values}

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
            "remarks": list(one.remarks),
        }

    manifest = verification.bundle.manifest
    return {
        "schema": SCHEMA,
        "bundle": {
            "folder": str(verification.bundle.folder),
            "kind": manifest.kind,
            "network": manifest.network,
            "precision": manifest.precision,
            "target": manifest.target,
        },
        "passed": verification.passed,
        "failures": list(verification.failures),
        "exact": verification.exact,
        "tolerance": verification.tolerance,
        "inputs": {"count": len(verification.labels), "seed": verification.seed, "kinds": label_kinds(verification.labels)},
        "baseline": verification.baseline,
        "executors": [result(one) for one in verification.results],
        "missing": [{"name": one.name, "reason": one.reason} for one in verification.missing],
        "outputs": [asdict(one) for one in verification.outputs],
        "coverage": [asdict(one) for one in verification.coverage],
        "changed": dict(verification.bundle.changed),
        "files": {
            "compared": verification.files.compared,
            "findings": dict(verification.files.findings),
            "accepted": verification.files.accepted,
            "given": dict(verification.files.given),
            "aside": list(verification.files.aside),
        },
    }


def show(verification: Verification, console: Console) -> None:
    """Prints it."""
    console.print(render(verification))


def render(verification: Verification) -> RenderableType:
    """The verification for a terminal of 80 columns or more."""
    lines: list[RenderableType] = [_headline(verification), *_file_lines(verification)]
    if verification.results or verification.missing:
        lines.append(_table(verification))
    for result in verification.results:
        lines += [Text(text, "red") for text in _details(verification, result)]
        lines += [Text(text, "dim") for text in result.remarks]
    lines += [Text(f"{one.name} not run: {one.reason}", "yellow") for one in verification.missing]
    lines += [_variation_line(one) for one in verification.outputs]
    lines += [Text(text, "yellow" if warns else "") for text, warns in coverage_lines(verification)]
    lines.append(_verdict(verification))
    return Group(*lines)


def _headline(verification: Verification) -> Text:
    labels = verification.labels
    kinds = ", ".join(f"{number} {plural(kind, number)}" for kind, number in label_kinds(labels).items())
    manifest = verification.bundle.manifest
    what = f"{manifest.network}, {manifest.precision}, for {manifest.target}"
    return Text.assemble((what, "bold"), f"\n{len(labels)} inputs: {kinds}; seed {verification.seed}" if labels else "")


def _file_lines(verification: Verification) -> Iterator[Text]:
    for text, warns in file_lines(verification):
        yield Text(text, "yellow" if warns else "")


def file_lines(verification: Verification) -> Iterator[tuple[str, bool]]:
    """What was found of the bundle's files, a sentence each, and whether it is a warning. Findings that fail are the verdict's."""
    files = verification.files
    if files.accepted:
        for name, problem in list(files.findings.items())[:FINDINGS_SHOWN]:
            yield f"accepted: {name} {problem}", True
        if len(files.findings) > FINDINGS_SHOWN:
            yield f"accepted: {len(files.findings) - FINDINGS_SHOWN:,} more files", True
    if files.compared:
        rest = "" if files.findings else ", each equal byte by byte"
        yield f"{files.compared} files were made again and compared{rest}", False
    for name, why in files.given.items():
        yield f"{name} was not made again: {why}", False
    if files.aside:
        yield f"not looked at, since make or Python left it there: {', '.join(files.aside)}", True


def plural(kind: str, number: int) -> str:
    return kind if kind in ("noise", "recorded") or number == 1 else f"{kind}s"


def _table(verification: Verification) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("executor", no_wrap=True)
    for name in ("tensors", "values", "differing", "largest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("first difference", overflow="ellipsis")  # the column that narrows first; in full below the table
    if verification.baseline:
        table.add_row(verification.baseline, "", "", "", "", Text("the baseline", "dim"))
    for result in verification.results:
        where, style = result.first.tensor if result.first else "none", "red" if result.first else "green"
        if result.error:
            where, style = "failed", "bold red"
        numbers = (str(len(result.tensors)), f"{result.values:,}", f"{result.differing:,}", _distance(result))
        table.add_row(result.name, *numbers, Text(where, style))
    for one in verification.missing:
        table.add_row(one.name, *("-" * 4), Text("not run", "yellow"))
    return table


def _details(verification: Verification, result: Result) -> Iterator[str]:
    """Why an executor failed, where it differs first, and how much its float outputs differ."""
    if result.error:
        yield f"{result.name} failed: {result.error}"
    first = result.first
    if first is not None:
        where = f"'{first.tensor}' {list(first.index)} of input {first.input} ({verification.labels[first.input]})"
        yield f"{result.name} first differs in {where}: {first.actual:.9g}, not {first.expected:.9g}"
    outputs = {one.name for one in verification.outputs}
    for tensor in result.tensors:
        if tensor.is_float and tensor.differing and tensor.name in outputs:
            share = f"{tensor.differing:,} of {tensor.values:,} values"
            yield f"{result.name}: output '{tensor.name}' differs in some bit of {share}, by at most {tensor.largest:.3g}"


def _distance(result: Result) -> str:
    """The distance of the tensor that is furthest off; in LSB where all are integers."""
    return f"{result.largest:.3g}" if any(tensor.is_float for tensor in result.tensors) else f"{result.largest:.0f} LSB"


def _variation_line(one: OutputVariation) -> Text:
    saturated = f", {one.saturated:.1%} of values saturated" if one.saturated else ""
    text = f"output '{one.name}': {one.distinct} distinct of {one.inputs}, {one.varying:,} of {one.elements:,} elements vary{saturated}"
    poor = one.constant or one.distinct < DISTINCT_WARNING * one.inputs
    return Text(text, "yellow" if poor else "")


def coverage_lines(verification: Verification) -> Iterator[tuple[str, bool]]:
    """What the inputs reached between input and outputs, a sentence each, and whether it is a warning."""
    found = verification.coverage
    if not found:
        return
    values, unvaried = sum(one.values for one in found), sum(one.unvaried for one in found)
    yield f"{values - unvaried:,} of {values:,} values inside vary{_clamps(found)}", False
    fixed = sum(one.fixed for one in found)
    if fixed:
        yield f"{fixed:,} of {sum(one.channels for one in found):,} channels inside are the same whatever the input", False
    still = [(one, one.constant - one.fixed) for one in found if one.constant > one.fixed]
    if still:
        names = ", ".join(f"{one.name} {count} of {one.channels}" for one, count in still[:TENSORS_SHOWN])
        more = f", and {len(still) - TENSORS_SHOWN} more tensors" if len(still) > TENSORS_SHOWN else ""
        yield f"channels that never varied, though they might, so that agreement proves little there: {names}{more}", True


def _clamps(found: Sequence[TensorCoverage]) -> str:
    """In how many channels each end was reached, of those in which it can be."""
    clamped = [one for one in found if one.lower is not None]
    if not clamped:
        return ""
    reached = (sum(one.lower or 0 for one in clamped), sum(one.upper or 0 for one in clamped))
    still_open = (sum(one.lower_open or 0 for one in clamped), sum(one.upper_open or 0 for one in clamped))
    lower, upper = (f"{count:,} of {count + rest:,} channels" for count, rest in zip(reached, still_open, strict=True))
    return f"; clamps reached, where they can be: the lower end in {lower}, the upper in {upper}"


def _verdict(verification: Verification) -> Text:
    if verification.failures:
        return Text("\n".join(f"FAILED: {failure}" for failure in verification.failures), "bold red")
    executors = len(verification.results) + 1
    if verification.tolerance is not None:
        agree = f"outputs of {executors} executors agree within {verification.tolerance:g} of the largest value; no claim about bits"
        return Text(f"PASSED: {agree}", "bold green")
    total = sum(result.values for result in verification.results)
    return Text(f"PASSED: {executors} executors, {total:,} comparisons, no differing bit", "bold green")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
