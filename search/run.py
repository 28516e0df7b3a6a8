"""A search from start to end: supernet, table of operators, trials, the best trained from scratch, measured and verified, and its report.

What is unfinished lies in a folder beside the output, with the suffix .search. The same call goes on from there after it was killed, and
removes it once the output is whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from edgekit.bench import bench
from edgekit.bench.graphs import graph_timer
from edgekit.bundle import open_bundle
from edgekit.digest import digest_of
from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import IntegerGraph
from edgekit.jobs.hls_form import LAYERS
from edgekit.keras_models import find_network
from edgekit.keras_models.zoo.network import Request, make_request
from edgekit.keras_models.zoo.table import network_of
from edgekit.keras_models.zoo.table_file import table_json
from edgekit.plan import MANIFEST, SCHEMA, Plan, check_destination, write, write_file
from edgekit.progress import Note
from edgekit.search.cost import FPS, CostModel, CountedMacs, MeasuredLatency, PlannedFrames, PredictedLatency
from edgekit.search.evaluate import (
    Compared,
    PointTask,
    TrainedNetwork,
    TrainingTask,
    evaluate_point,
    search_images,
    train_network,
    verify_bundle,
)
from edgekit.search.graph_layers import graph_of
from edgekit.search.operators import FITTED, TESTED, OperatorTable, fitted, load_table, measure_units, save_table
from edgekit.search.page import render_page
from edgekit.search.results import COSTS, COUNT_MACS, MEASURE, Finalist, Found, SearchOptions, as_json
from edgekit.search.space import Choice, Point, Space, point_of, precisions_json, precisions_of, random_choice
from edgekit.search.supernet import SupernetOptions, save_weights, train_supernet
from edgekit.search.trials import RANDOM, SAMPLERS, Trial, Trials, front, hypervolume, run_trials
from edgekit.spread.spent import Phase, phase
from edgekit.spread.tasks import Task, Workers, results_of, workers_at
from edgekit.targets import find_board, find_device

SUFFIX = ".search"
IDENTITY, SUPERNET, OPERATORS, REPORT, RESULT = "search.json", "supernet.npz", "operators.json", "report.html", "search.json"
CHECKPOINT = "supernet.checkpoint"
TABLE, BITS, MODEL, BUNDLE = "network.json", "precisions.json", "model.keras", "bundle"
BENCH_ROUNDS = 5
"""So often all finalists are timed, in turns; a network's time is the median of its rounds' medians."""


def search_networks(space: Space, options: SearchOptions, *, output: Path, note: Note = lambda _: None) -> Found:
    """Searches, trains the best, and writes the folder, whole or not at all.

    Raises:
        UnknownName, EdgekitError: the request cannot be carried out; nothing was written but the folder of what is unfinished.
    """
    _check(space, options)
    check_destination(output)
    classes = len(search_images(options.data, _sizes(space)[0])[0].classes)
    state, phases = _state_folder(space, options, output), list[Phase]()
    with _gone_if_empty(state), workers_at(options.workers) as workers:
        with phase("measuring operators", phases):
            model, operators = _cost_model(space, options, state, classes, note)
        with phase("training the supernet", phases):
            supernet = _supernet(space, options, state, note)

        def task(chosen: dict[str, Choice]) -> PointTask:
            if isinstance(model, PredictedLatency):
                _complete(model.table, _graph(point_of(space, chosen), classes), options, note)
            return PointTask(space, chosen, model, supernet, options.data, classes, options.tuning_epochs, options.seed)

        def tried(sampler: str, known: Sequence[Trial] = ()) -> Trials:
            return run_trials(
                space,
                evaluate_point,
                task,
                unit=model.unit,
                device=model.device,
                journal=state / f"{sampler}.journal",
                sampler=sampler,
                seed=options.seed,
                budget=options.trials,
                workers=workers,
                known=known,
                note=note,
            )

        with phase(f"searching, {options.sampler}", phases, workers):
            searched = tried(options.sampler)
        with phase("searching, at random", phases, workers):
            random = tried(RANDOM, searched.completed)
        best = _best(searched.completed, options.finalists)
        if not best:
            raise EdgekitError(_nothing(searched.completed, model.unit, options))
        with phase("training from scratch, exporting", phases, workers):
            trained = _train(space, best, options, state, workers, note)
        first = {name: one for (name, seed), one in trained.items() if seed == options.seed}
        with phase("measuring", phases):
            times = _timed({name: one.bundle for name, one in first.items()}, options, note) if options.target else {}
        with phase("verifying", phases, workers):
            verified = _verified({name: one.bundle for name, one in first.items()}, workers, note)
    found = Found(
        folder=output,
        unit=model.unit,
        limit=options.fps if model.unit == FPS else options.latency_ms,
        finalists=tuple(_finalists(space, best, trained, times, verified, model, options, classes, note)),
        searched=searched,
        random=random,
        area=_areas(searched, random, options.sampler),
        operators=operators,
        options=options,
        phases=tuple(phases),
    )
    note("writing")
    write(_plan(space, found, trained), output)
    shutil.rmtree(state)
    return found


def _check(space: Space, options: SearchOptions) -> None:
    if (options.target is None) == (options.board is None):
        raise EdgekitError("a search is for a device or for a board; give one of --target and --board")
    if options.cost not in COSTS:
        raise UnknownName("cost", options.cost, COSTS)
    if options.sampler not in SAMPLERS:
        raise UnknownName("sampler", options.sampler, SAMPLERS)
    if options.target is not None:
        find_device(options.target)
    else:
        find_board(str(options.board))
    for name, value in (("--latency", options.latency_ms), ("--fps", options.fps)):
        if value is not None and not 0 < value < float("inf"):
            raise EdgekitError(f"{name} is {value:g}; it has to be a number above 0")
    if options.latency_ms is not None and options.board is not None:
        raise EdgekitError("a board is asked for frames a second; give --fps instead of --latency")
    if options.fps is not None and options.target is not None:
        raise EdgekitError("a device is asked for a latency; give --latency instead of --fps")
    if options.cost == COUNT_MACS and (options.latency_ms, options.fps) != (None, None):
        raise EdgekitError("multiply-accumulates say nothing of milliseconds or frames; with --cost macs leave --latency and --fps out")
    if options.cost == MEASURE and options.board is not None:
        raise EdgekitError("frames a second of a board are planned; --cost measure is for devices")
    if not space.open_names:
        raise EdgekitError("the space has one network, and nothing to search for")


def _state_folder(space: Space, options: SearchOptions, output: Path) -> Path:
    """Where what is unfinished is kept. Raises EdgekitError where that of another search lies there."""
    state = output.absolute().with_name(f"{output.absolute().name}{SUFFIX}")
    asked = {**asdict(options), "space": digest_of(repr((sorted(space.choices.items()), space.members)).encode())}
    lasting = {name: value for name, value in asked.items() if name not in ("workers", "trials", "finalists", "seeds")}
    text = json.dumps(lasting, indent=1, sort_keys=True) + "\n"
    identity = state / IDENTITY
    if identity.exists() and identity.read_text() != text:
        raise EdgekitError(f"{state} is of an unfinished search that was asked for otherwise; ask for the same, or remove that folder")
    if state.exists() and not identity.exists() and any(state.iterdir()):
        raise EdgekitError(f"{state} was not made by edgekit; move it away, or name another output")
    state.mkdir(parents=True, exist_ok=True)
    write_file(identity, text.encode())
    return state


@contextmanager
def _gone_if_empty(state: Path) -> Iterator[None]:
    """Where an error comes before there is anything to go on from, the folder goes, too."""
    try:
        yield
    except EdgekitError:
        if [one.name for one in state.iterdir()] == [IDENTITY]:
            shutil.rmtree(state)
        raise


def _sizes(space: Space) -> tuple[int, ...]:
    return tuple(int(value) for value in space.choices["size"] if isinstance(value, int))


def _cost_model(space: Space, options: SearchOptions, state: Path, classes: int, note: Note) -> tuple[CostModel, OperatorTable | None]:
    if options.cost == COUNT_MACS:
        return CountedMacs(), None
    if options.board is not None:
        return PlannedFrames(options.board, options.fps), None
    assert options.target is not None
    if options.cost == MEASURE:
        return MeasuredLatency(options.on, options.target, options.latency_ms), None
    path = state / OPERATORS
    measure_operators(space, options, path, classes, note)
    return PredictedLatency(path, options.latency_ms), load_table(path)


def measure_operators(space: Space, options: SearchOptions, path: Path, classes: int, note: Note = lambda _: None) -> None:
    """Writes the table of a device's operators: units of random networks of the space, fitted to some of these, with the errors of the
    others. What the file has already is not measured again."""
    table = load_table(path) if path.exists() else None
    if table is not None and table.fit is not None:
        return
    rng = np.random.default_rng(options.seed)
    graphs = [_graph(point_of(space, random_choice(space, rng)), classes) for _ in range(FITTED + TESTED)]
    with graph_timer(options.on, find_device(str(options.target)), note=note) as (timed_on, timer):
        table = measure_units(table or OperatorTable(timed_on, {}), graphs, timer, note)
        save_table(table, path)
        save_table(fitted(table, graphs, timer, note), path)


def _complete(path: Path, graph: IntegerGraph, options: SearchOptions, note: Note) -> None:
    """Measures the units of a graph that the table lacks."""
    table = load_table(path)
    if table.lacking(graph):
        with graph_timer(options.on, find_device(str(options.target)), note=note) as (_, timer):
            save_table(measure_units(table, [graph], timer, note), path)


def _graph(point: Point, classes: int) -> IntegerGraph:
    return graph_of(make_request(network_of(point.table), classes=classes), precisions_of(point))


def _supernet(space: Space, options: SearchOptions, state: Path, note: Note) -> Path:
    path = state / SUPERNET
    if not path.exists():
        images = {size: search_images(options.data, size)[0] for size in _sizes(space)}
        wanted, checkpoint = SupernetOptions(options.supernet_epochs, seed=options.seed), state / CHECKPOINT
        save_weights(train_supernet(space, images, wanted, checkpoint=checkpoint, note=note), path)
        checkpoint.unlink(missing_ok=True)
    return path


def _best(trials: Sequence[Trial], count: int) -> tuple[Trial, ...]:
    """The most accurate of the front, the best one first."""
    return tuple(sorted(front(trials), key=lambda one: -(one.accuracy or 0.0))[:count])


def _nothing(trials: Sequence[Trial], unit: str, options: SearchOptions) -> str:
    values = [one.cost.value for one in trials]
    nearest = max(values) if unit == FPS else min(values)
    limit = options.fps if unit == FPS else options.latency_ms
    return f"none of {len(trials)} networks keeps {limit:g} {unit}; the nearest has {nearest:.3g}. Ask for less, or make the space smaller"


def _jobs(space: Space, best: Sequence[Trial], options: SearchOptions, state: Path) -> Iterator[tuple[str, int, TrainingTask]]:
    """Name, seed and task of every training: the finalists, and the networks of the zoo."""
    for seed in range(options.seed, options.seed + options.seeds):
        first = seed == options.seed  # which is the one that is exported
        shared = {
            "data": options.data,
            "epochs": options.epochs,
            "qfx_epochs": options.qfx_epochs,
            "target": options.target if first else None,
            "board": options.board if first else None,
        }
        for trial in best:
            point = point_of(space, trial.chosen)
            folder = state / "networks" / point.table.name
            write_file(folder / TABLE, table_json(point.table).encode())
            bits = precisions_json(point)
            if bits:
                write_file(folder / BITS, bits.encode())
            task = TrainingTask(
                network=str(folder / TABLE),
                alpha=1.0,
                size=point.table.size,
                precisions=folder / BITS if bits else None,
                clock_mhz=point.clock_mhz,
                form=point.form,
                seed=seed,
                folder=folder / f"seed{seed}",
                **shared,  # type: ignore[arg-type]
            )
            yield point.table.name, seed, task
        for member in space.members:
            task = TrainingTask(
                network=member.network,
                alpha=member.alpha,
                size=member.size,
                precisions=None,
                clock_mhz=None,
                form=LAYERS,
                seed=seed,
                folder=state / "networks" / member.name / f"seed{seed}",
                **shared,  # type: ignore[arg-type]
            )
            yield member.name, seed, task


def _train(
    space: Space, best: Sequence[Trial], options: SearchOptions, state: Path, workers: Workers, note: Note
) -> dict[tuple[str, int], TrainedNetwork]:
    wanted = {(name, seed): task for name, seed, task in _jobs(space, best, options, state)}
    keys = {f"{name} {seed}": (name, seed) for name, seed in wanted}
    made: dict[tuple[str, int], TrainedNetwork] = {}
    # One whose worker died goes on from its checkpoint.
    for done in results_of(workers, [Task(key, train_network, wanted[pair]) for key, pair in keys.items()]):
        made[keys[done.task.key]] = done.value
        note(f"training: {len(made)} of {len(wanted)} networks")
    return made


def _finalists(
    space: Space,
    best: Sequence[Trial],
    trained: Mapping[tuple[str, int], TrainedNetwork],
    times: Mapping[str, float],
    verified: Mapping[str, Compared],
    model: CostModel,
    options: SearchOptions,
    classes: int,
    note: Note,
) -> Iterator[Finalist]:
    """The networks that were trained: those found, the best one first, then the zoo's."""
    trials = {point_of(space, trial.chosen).table.name: trial for trial in best}
    members = {member.name: member for member in space.members}
    unlimited: CostModel = replace(model, **{_limit_name(model): None})  # type: ignore[type-var]
    for name in (*trials, *members):
        if name in trials:
            cost, searched = trials[name].cost, trials[name].accuracy
        else:
            member = members[name]
            request: Request = make_request(find_network(member.network), alpha=member.alpha, size=member.size, classes=classes)
            if isinstance(unlimited, PredictedLatency):
                _complete(unlimited.table, graph_of(request), options, note)
            cost, searched = unlimited.cost(request, None, None), None
        yield Finalist(
            name=name,
            origin="found" if name in trials else "zoo",
            accuracies=tuple(trained[name, seed].accuracy for seed in range(options.seed, options.seed + options.seeds)),
            searched=searched,
            cost=cost,
            measured=times.get(name),
            differing=verified[name].differing,
            compared=verified[name].values,
            folder=f"networks/{name}",
        )


def _limit_name(model: CostModel) -> str:
    return "fps" if model.unit == FPS else "limit"


def _timed(bundles: Mapping[str, Path], options: SearchOptions, note: Note) -> dict[str, float]:
    """Milliseconds of each on the device, one thread: the median of the rounds' medians."""
    rounds: dict[str, list[float]] = {name: [] for name in bundles}
    for number in range(BENCH_ROUNDS):
        note(f"measuring: round {number + 1} of {BENCH_ROUNDS}")
        for name, bundle in bundles.items():
            measured = bench(open_bundle(bundle), options.on, threads=1)
            if measured.problem is not None:
                raise EdgekitError(f"{name} on {measured.device}: {measured.problem}")
            rounds[name].append(float(measured.report["latency_ms"]["p50"]))
    return {name: float(np.median(values)) for name, values in rounds.items()}


def _verified(bundles: Mapping[str, Path], workers: Workers, note: Note) -> dict[str, Compared]:
    found: dict[str, Compared] = {}
    for done in results_of(workers, [Task(name, verify_bundle, bundle) for name, bundle in bundles.items()]):
        found[done.task.key] = done.value
        note(f"verifying: {len(found)} of {len(bundles)} networks")
    return found


def _areas(searched: Trials, random: Trials, sampler: str) -> dict[str, float]:
    both = [one for one in (*searched.completed, *random.completed) if one.feasible]
    worst = max((one.cost.value for one in both), default=1.0)
    return {sampler: hypervolume(searched.completed, worst), RANDOM: hypervolume(random.completed, worst)}


def _plan(space: Space, found: Found, trained: dict[tuple[str, int], TrainedNetwork]) -> Plan:
    """The output: the report, all trials, and a folder for each network, with its table, its bits, the trained model and its bundle."""
    files: dict[str, bytes] = {}
    for one in found.finalists:
        result = trained[one.name, found.options.seed]
        source = result.model.parent.parent
        for name in (TABLE, BITS):
            if (source / name).exists():
                files[f"{one.folder}/{name}"] = (source / name).read_bytes()
        files[f"{one.folder}/{MODEL}"] = result.model.read_bytes()
        for path in sorted(path for path in result.bundle.rglob("*") if path.is_file()):
            files[f"{one.folder}/{BUNDLE}/{path.relative_to(result.bundle).as_posix()}"] = path.read_bytes()
    for trial in front(found.searched.completed):
        point = point_of(space, trial.chosen)
        files.setdefault(f"networks/{point.table.name}/{TABLE}", table_json(point.table).encode())
        if bits := precisions_json(point):
            files.setdefault(f"networks/{point.table.name}/{BITS}", bits.encode())
    files[RESULT] = (json.dumps(as_json(found), indent=1, allow_nan=False) + "\n").encode()
    files[REPORT] = render_page(found, lambda trial: point_of(space, trial.chosen).table.name).encode()
    hashes = {name: digest_of(content) for name, content in sorted(files.items())}
    mark = {"schema": SCHEMA, "kind": "search", "files": hashes}
    return Plan({**files, MANIFEST: (json.dumps(mark, indent=2) + "\n").encode()})
