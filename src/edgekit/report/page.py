"""The page: a verification, a timing and a manifest as HTML. Whatever comes from the bundle is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from edgekit.bundle import SENSITIVITY, Bundle, Manifest
from edgekit.files import read_bounded
from edgekit.images.preprocessing import PIXELS
from edgekit.keras_models.qfx.sensitivity import LayerLoss, read_sensitivity
from edgekit.report.charts import Bar, histogram, layer_chart
from edgekit.report.timing import Timing
from edgekit.verify import Verification
from edgekit.verify.compare import Result
from edgekit.verify.show import coverage_lines, file_lines, label_kinds, plural
from edgekit.version import __version__

FILES_SHOWN = 40
MAPPED, MAPPED_BYTES_MAX = "mapped.json", 1 << 22
SENSITIVITY_BYTES_MAX = 1 << 20


def render_page(verification: Verification, timing: Timing | None) -> str:
    """One HTML page about a verified bundle, that needs nothing but itself."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files("edgekit.report").joinpath("templates", "page.html.jinja").read_text())
    manifest = verification.bundle.manifest
    return template.render(
        title=f"{manifest.network}, {manifest.precision}, for {manifest.target}",
        subtitle="exact: compared with equality" if verification.exact else "a stock file: its kernels may round each in its own way",
        passed=verification.passed,
        verdict=_verdict(verification),
        random=manifest.weights.origin == "random",
        facts=list(_facts(manifest)),
        inputs=_inputs(verification),
        baseline=verification.baseline or "",
        executors=[_row(one, verification.exact) for one in verification.results],
        remarks=[(one.name, text) for one in verification.results for text in one.remarks],
        mapped=_mapped(verification.bundle),
        missing=[(one.name, one.reason) for one in verification.missing],
        outputs=[
            f"Output {one.name}: {one.distinct} distinct of {one.inputs}, {one.varying:,} of {one.elements:,} elements vary."
            for one in verification.outputs
        ],
        coverage=list(coverage_lines(verification)),
        layers=[_layers(one) for one in verification.results if one.differing],
        losses=_losses(verification.bundle),
        latency=_latency(timing) if timing else None,
        files=_files(verification.bundle),
        file_lines=list(file_lines(verification)),
        version=__version__,
    )


def layer_of(tensor: str) -> str:
    """The layer in a tensor's name: TensorFlow's converter writes model/layer/op;model/layer/op for what it fused."""
    parts = tensor.split(";")[0].split("/")
    return parts[-2] if len(parts) > 2 else parts[-1]


def _verdict(verification: Verification) -> str:
    if not verification.passed:
        return " ".join(f"{text}." for text in verification.failures)
    total = sum(one.values for one in verification.results)
    return f"{len(verification.results) + 1} executors, {total:,} comparisons" + (", no differing bit." if verification.exact else ".")


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "network", manifest.network
    for name, value in manifest.options.items():
        yield name, str(value)
    yield "precision", manifest.precision
    yield "target", manifest.target
    source = manifest.weights
    yield "weights", f"random, seed {source.seed}" if source.origin == "random" else f"{source.origin}: {source.file} {source.sha256 or ''}"
    if source.accuracy:
        yield "accuracy", f"{source.accuracy.top1:.2%} of {source.accuracy.images} held-out images of {source.accuracy.data}, when trained"
    mean, deviation = (", ".join(f"{value:g}" for value in values) for values in (manifest.preprocessing.mean, manifest.preprocessing.std))
    assumed = ". ASSUMED: nothing said how images are normalized; if it was trained on others, its answers are wrong"
    what = "pixel" if manifest.preprocessing.of == PIXELS else "value"
    yield "preprocessing", f"({what} - {mean}) / {deviation}{assumed if manifest.assumed else ''}"
    yield "command", " ".join(manifest.command)
    yield "made with", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())


def _inputs(verification: Verification) -> str:
    kinds = ", ".join(f"{number} {plural(kind, number)}" for kind, number in label_kinds(verification.labels).items())
    return f"{len(verification.labels)} inputs: {kinds}; seed {verification.seed}."


def _row(result: Result, exact: bool) -> dict[str, str]:
    first = result.first
    unit = " LSB" if exact or not any(tensor.is_float for tensor in result.tensors) else ""
    where = (
        f"{layer_of(first.tensor)} {list(first.index)}, input {first.input}: {first.expected:g} and {first.actual:g}" if first else "none"
    )
    return {
        "name": result.name,
        "tensors": f"{len(result.tensors):,}",
        "compared": f"{result.values:,}",
        "differing": f"{result.differing:,}",
        "largest": f"{result.largest:g}{unit}",
        "first": result.error or where,
    }


def _layers(result: Result) -> dict[str, Any]:
    """Shares by tensor; the first that differs is marked."""
    from markupsafe import Markup

    parting = next(tensor.name for tensor in result.tensors if tensor.differing)
    bars = []
    for tensor in result.tensors:
        share = tensor.differing / max(1, tensor.values)
        title = f"{layer_of(tensor.name)}: {share:.2%}, largest {tensor.largest:g}"
        bars.append(Bar(share, title, marked=tensor.name == parting))
    return {
        "name": result.name,
        "first": f"They part at {layer_of(parting)}.",
        "svg": Markup(layer_chart(bars, "tensors, in graph order")),
    }


def _latency(timing: Timing) -> dict[str, Any]:
    from markupsafe import Markup

    p50, p90, p99 = (timing.percentile(share) for share in (50, 90, 99))
    return {
        "text": f"{timing.runtime}, XNNPACK, one thread, {timing.machine}: p50 {p50:.2f} ms, p90 {p90:.2f} ms, p99 {p99:.2f} ms over "
        f"{len(timing.milliseconds)} inferences. This says nothing of the target device.",
        "svg": Markup(histogram(timing.milliseconds, "ms", (("p50", p50), ("p90", p90)), "time of one inference")),
    }


def _losses(bundle: Bundle) -> tuple[LayerLoss, ...]:
    """None where the bundle has no such table, or not the one that was exported."""
    if SENSITIVITY not in bundle.manifest.files or SENSITIVITY in bundle.changed:
        return ()
    return read_sensitivity(read_bounded(bundle.folder / SENSITIVITY, SENSITIVITY_BYTES_MAX))


def _mapped(bundle: Bundle) -> dict[str, Any] | None:
    """What Yosys mapped of an HLS project that was written with --measure; None where the file is not there, or not the one written."""
    if MAPPED not in bundle.manifest.files or MAPPED in bundle.changed:
        return None
    found: dict[str, Any] = json.loads(read_bounded(bundle.folder / MAPPED, MAPPED_BYTES_MAX))
    return {**found, "rows": [*found["layers"], {**found["total"], "name": "all"}]}


def _files(bundle: Bundle) -> list[tuple[str, str, str]]:
    rows = []
    for name, digest in bundle.manifest.files.items():
        path = bundle.folder / name
        size = f"{path.stat().st_size:,}" if path.is_file() else "missing"
        rows.append((name, size, digest[:16]))
    hidden = len(rows) - FILES_SHOWN
    return [*rows[:FILES_SHOWN], (f"and {hidden} more files", "", "")] if hidden > 0 else rows
