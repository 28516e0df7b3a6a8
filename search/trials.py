"""Trials: points that Optuna proposes, each with its cost and its accuracy; kept in a journal, from which a killed search goes on.

What the sampler proposes follows from the seed, the trial's number and the trials before it, not from what a process remembers: so a
search on one worker is the same whether it was stopped between trials or not. A trial that was running when the search, or its worker,
was killed counts as failed, and its point is proposed once more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, UnknownName
from edgekit.progress import Note
from edgekit.search.cost import FPS, Cost
from edgekit.search.space import Choice, Space, point_of
from edgekit.spread.tasks import Task, Workers, spread

NSGA2, TPE, RANDOM = "nsga2", "tpe", "random"
SAMPLERS = (NSGA2, TPE, RANDOM)
POPULATION = 12
SEED_STEP = 1_000_003
RETRIES_MAX = 3
"""So often a point is proposed again whose worker died: it may be the point that kills it."""
INSTALL = "Optuna is not installed; pip install 'edgekit[search]'"


@dataclass(frozen=True)
class Scored:
    """What an evaluation gives. `accuracy`, 0..1, is None where the cost misses its limit: then it is not looked at."""

    cost: Cost
    accuracy: float | None


@dataclass(frozen=True)
class Trial:
    """A point that was evaluated: its number in the journal, what was chosen, and what came of it."""

    number: int
    chosen: dict[str, Choice]
    digest: str
    cost: Cost
    accuracy: float | None

    @property
    def feasible(self) -> bool:
        return self.accuracy is not None


@dataclass(frozen=True)
class Trials:
    """All that were completed, in order; how many failed, with the last reason; and what the search was resumed after."""

    completed: tuple[Trial, ...]
    failed: int
    resumed_after: int
    reason: str = ""


@dataclass
class _State:
    known: dict[str, Scored] = field(default_factory=dict)
    reason: str = ""
    failures: dict[str, int] = field(default_factory=dict)


def run_trials(
    space: Space,
    evaluate: Callable[[Any], Scored],
    argument: Callable[[dict[str, Choice]], Any],
    *,
    unit: str,
    device: str | None,
    journal: Path,
    sampler: str,
    seed: int,
    budget: int,
    workers: Workers,
    known: Sequence[Trial] = (),
    note: Note = lambda _: None,
) -> Trials:
    """Trials until `budget` are complete, those that a journal has among them.

    Args:
        evaluate: called by workers with what `argument` makes of a choice.
        device: what an evaluation holds while it runs.
        journal: the file; made where it is not there.
        known: of another search; what it found of a network is taken over where it is proposed here.

    Raises:
        UnknownName: no such sampler.
        EdgekitError: Optuna is not installed, the journal is of another search, or evaluations fail.
    """
    if sampler not in SAMPLERS:
        raise UnknownName("sampler", sampler, SAMPLERS)
    study = _study(journal, space, unit)
    optuna = _optuna()
    states = optuna.trial.TrialState
    for left in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(left.number, state=states.FAIL)
        study.enqueue_trial(dict(left.params))
    distributions = {name: optuna.distributions.CategoricalDistribution(values) for name, values in open_choices(space).items()}
    state = _State()
    for one in (*known, *_completed(study, space)):
        state.known[one.digest] = Scored(one.cost, one.accuracy)
    resumed_after = complete = len(study.get_trials(deepcopy=False, states=(states.COMPLETE,)))
    running: dict[str, Any] = {}

    def told(trial: Any, scored: Scored) -> None:
        nonlocal complete
        trial.set_user_attr("cost", asdict(scored.cost))
        trial.set_user_attr("excess", scored.cost.excess)
        trial.set_user_attr("accuracy", scored.accuracy)
        study.tell(trial, (scored.accuracy or 0.0, scored.cost.value))
        complete += 1
        note(f"searching ({sampler}): {complete} of {budget} networks")

    def tasks() -> Iterator[Task]:
        while complete + len(running) < budget:
            number = len(study.get_trials(deepcopy=False))
            study.sampler = _sampler(sampler, seed, number)
            trial = study.ask(distributions)
            digest = point_of(space, trial.params).digest
            trial.set_user_attr("digest", digest)
            if digest in state.known:
                told(trial, state.known[digest])
                continue
            key = f"{sampler} {trial.number}"
            running[key] = trial
            yield Task(key, evaluate, argument(dict(trial.params)), device)

    while complete < budget:
        for done in spread(workers, tasks()):
            trial = running.pop(done.task.key)
            digest = trial.user_attrs["digest"]
            if done.error is None and not done.lost:
                state.known[digest] = done.value
                told(trial, done.value)
                continue
            study.tell(trial, state=states.FAIL)
            state.reason = done.error or "its worker died"
            state.failures[digest] = state.failures.get(digest, 0) + 1
            note(f"{done.task.key} failed: {state.reason}")
            if done.error is not None or state.failures[digest] > RETRIES_MAX:
                raise EdgekitError(f"network {digest} cannot be evaluated: {state.reason}")
            study.enqueue_trial(dict(trial.params))
    failed = len(study.get_trials(deepcopy=False, states=(states.FAIL,)))
    return Trials(tuple(_completed(study, space)), failed, resumed_after, state.reason)


def open_choices(space: Space) -> dict[str, tuple[Choice, ...]]:
    """The names that have more than one value, with those."""
    return {name: space.choices[name] for name in space.open_names}


def front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Of the feasible ones those that no other one beats in both, each network once, the cheapest first."""
    kept: dict[str, Trial] = {}
    for one in trials:
        if one.feasible and not any(_beats(other, one) for other in trials):
            kept.setdefault(one.digest, one)
    return tuple(sorted(kept.values(), key=lambda one: (one.cost.value, one.number), reverse=bool(trials) and trials[0].cost.unit == FPS))


def hypervolume(trials: Sequence[Trial], worst: float) -> float:
    """The area that the front covers, of accuracy 0..1 times cost relative to `worst`: the more, the better a search was.

    `worst`: a cost that none of the compared searches' fronts exceeds; of frames a second the most that one has.
    """
    area, before = 0.0, 0.0
    for one in sorted(front(trials), key=lambda one: -(one.accuracy or 0.0), reverse=True):
        good = one.cost.value / worst if one.cost.unit == FPS else 1 - one.cost.value / worst
        area += max(0.0, good) * ((one.accuracy or 0.0) - before)
        before = one.accuracy or 0.0
    return area


def _beats(left: Trial, right: Trial) -> bool:
    """At least as good in both, and better in one."""
    if not left.feasible:
        return False
    sign = 1 if left.cost.unit == FPS else -1
    pair, other = ((one.accuracy or 0.0, sign * one.cost.value) for one in (left, right))
    return pair != other and all(a >= b for a, b in zip(pair, other, strict=True))


def _completed(study: Any, space: Space) -> Iterator[Trial]:
    states = _optuna().trial.TrialState
    for one in study.get_trials(deepcopy=False, states=(states.COMPLETE,)):
        digest = point_of(space, one.params).digest
        yield Trial(one.number, dict(one.params), digest, Cost(**one.user_attrs["cost"]), one.user_attrs["accuracy"])


def _study(journal: Path, space: Space, unit: str) -> Any:
    optuna = _optuna()
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    directions = ["maximize", "maximize" if unit == FPS else "minimize"]
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend), study_name="search", directions=directions, load_if_exists=True
    )
    written = repr(sorted(space.choices.items()))
    if study.user_attrs.get("space", written) != written:
        raise EdgekitError(f"'{journal}' is of a search in another space; remove its folder, or name another output")
    study.set_user_attr("space", written)
    return study


def _sampler(name: str, seed: int, number: int) -> Any:
    samplers = _optuna().samplers
    seed = (seed * SEED_STEP + number) % (1 << 32)
    if name == RANDOM:
        return samplers.RandomSampler(seed)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constraints are called experimental
        if name == TPE:
            return samplers.TPESampler(seed=seed, constraints_func=_constraints)
        return samplers.NSGAIISampler(population_size=POPULATION, seed=seed, constraints_func=_constraints)


def _constraints(trial: Any) -> tuple[float, ...]:
    return (trial.user_attrs.get("excess", 0.0),)


def _optuna() -> Any:
    if find_spec("optuna") is None:
        raise EdgekitError(INSTALL)
    import optuna

    with suppress(AttributeError):
        optuna.logging.set_verbosity(logging.WARNING)
    return optuna
