"""evaluate and verify of many networks, each a task of a worker: a process of this machine, or one of a Ray cluster.

On the machines of a cluster the models and the data lie under the same paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

from edgekit.bundle import open_bundle
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import RGB
from edgekit.jobs.candidates import runs_in_keras
from edgekit.jobs.dataset import verification_inputs
from edgekit.jobs.evaluate import Evaluated, Evaluation, Seen, check_options, evaluate_models, is_written
from edgekit.progress import Note
from edgekit.spread.tasks import Task, Workers, results_of
from edgekit.targets import EMULATED, LOCAL
from edgekit.verify import as_json, show, verify
from edgekit.verify.devices import executors_on

TEXT_COLUMNS = 140


@dataclass(frozen=True)
class VerifyTask:
    """As the options of `edgekit verify`."""

    folder: Path
    inputs: int
    seed: int
    data: str | None
    executors: tuple[str, ...]
    on: str
    accept_changes: bool


@dataclass(frozen=True)
class Verified:
    """What `edgekit verify` prints of a folder: for programs, and for people."""

    passed: bool
    report: dict[str, Any]
    text: str


@dataclass(frozen=True)
class EvaluateTask:
    """A model, and the options of `evaluate_models`."""

    model: str
    options: Mapping[str, Any]


def verify_folder(task: VerifyTask) -> Verified:
    """Raises EdgekitError: the folder cannot be verified."""
    from rich.console import Console

    bundle = open_bundle(task.folder)
    names, also = executors_on(task.on, bundle) if task.accept_changes or not bundle.changed else (None, ())
    found = verify(
        bundle,
        accept_changes=task.accept_changes,
        count=task.inputs,
        seed=task.seed,
        executors=[*(names or ()), *task.executors] if task.executors else names,
        also=also,
        images=None if task.data is None else verification_inputs(task.data, bundle),
    )
    text = StringIO()
    show(found, Console(file=text, width=TEXT_COLUMNS))
    return Verified(found.passed, as_json(found), text.getvalue())


def verify_folders(tasks: Sequence[VerifyTask], workers: Workers, note: Note = lambda _: None) -> list[Verified]:
    """Each folder verified, in order. One at a time holds a device. Raises EdgekitError: a folder cannot be verified."""
    wanted = [Task(str(number), verify_folder, task, _device(task.on)) for number, task in enumerate(tasks)]
    found: dict[str, Verified] = {}
    for done in results_of(workers, wanted):
        found[done.task.key] = done.value
        note(f"verifying: {len(found)} of {len(tasks)} folders")
    return [found[task.key] for task in wanted]


def evaluate_spread(models: Sequence[str], options: Mapping[str, Any], workers: Workers, note: Note = lambda _: None) -> Evaluation:
    """As `evaluate_models` with these options, each model by a worker. Where outputs of one integer graph are not those of the first model
    with it, the two are evaluated once more, together, to count how many differ.

    Raises EdgekitError: a model cannot be evaluated.
    """
    check_options(models, options["preprocessing"], options["channel_order"], options["size"])
    if options["on"] != LOCAL and not any(map(is_written, models)):
        raise EdgekitError(f"none of these is a bundle for a device; --on {options['on']} is for what 'edgekit export' wrote")
    own = [{**options, **_not_for(model)} for model in models]
    tasks = [Task(str(n), _evaluate, EvaluateTask(*pair), _device(pair[1]["on"])) for n, pair in enumerate(zip(models, own, strict=True))]
    found: dict[str, tuple[Evaluation, list[Seen]]] = {}
    for done in results_of(workers, tasks):
        found[done.task.key] = done.value
        note(f"evaluating: {len(found)} of {len(models)} models")
    first: dict[str, tuple[str, Seen]] = {}
    rows: list[Evaluated] = []
    for task, model in zip(tasks, models, strict=True):
        evaluation, seen = found[task.key]
        for number, (row, one) in enumerate(zip(evaluation.rows, seen, strict=True)):
            other, earlier = first.setdefault(one.graph, (model, one)) if one.graph else (model, one)
            if other != model:
                differing = 0
                if earlier.outputs != one.outputs:
                    both = evaluate_models([other, model], **options).rows
                    differing = both[len(both) - len(seen) + number].differing or 0
                row = replace(row, differing=differing)
            rows.append(row)
    whole = [evaluation for evaluation, _ in (found[task.key] for task in tasks)]
    return Evaluation(
        data=whole[0].data,
        images=whole[0].images,
        classes=max(one.classes for one in whole),
        rows=tuple(rows),
        warnings=tuple(dict.fromkeys(text for one in whole for text in one.warnings)),
        notes=tuple(dict.fromkeys(text for one in whole for text in one.notes)),
    )


def _evaluate(task: EvaluateTask) -> tuple[Evaluation, list[Seen]]:
    seen: list[Seen] = []
    return evaluate_models([task.model], **task.options, seen=seen), seen


def _not_for(model: str) -> dict[str, Any]:
    """The options that are for other models, as they are when they are not given."""
    if is_written(model):
        return {"preprocessing": None, "channel_order": RGB, "size": None}
    return {"on": LOCAL, **({} if runs_in_keras(Path(model)) else {"size": None})}


def _device(on: str) -> str | None:
    return None if on in (LOCAL, EMULATED) else on
