"""The space that a search chooses from, as data in one JSON file; and its points, each an architecture table with the bits of its weights.

Everywhere in the file a list holds the choices, and a value that is no list is settled. Stages are MnasNet's, as in
edgekit.keras_models.zoo.table; besides what a table says of one, `weight_bits` and `k_hot` are those of all its layers. `families` are
networks of the zoo by name, with the widths and sizes that are to be compared: there are few, so all of them are trained and measured.
`board` has the clocks, and the forms (a kernel a layer, or one engine), to plan for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from itertools import product
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from edgekit.digest import digest_of
from edgekit.errors import EdgekitError
from edgekit.files import read_json_object
from edgekit.jobs.hls_form import FORMS, LAYERS
from edgekit.keras_models import Precisions, WeightPrecision, find_network
from edgekit.keras_models.qfx.precision import BITS_MAX, BITS_MIN, SIX_BITS
from edgekit.keras_models.zoo.network import SIZE_MAX, SIZE_MIN, make_request
from edgekit.keras_models.zoo.table import BlockOp, Stage, Table
from edgekit.keras_models.zoo.table_file import (
    ACTIVATIONS,
    FILTERS_MAX,
    KERNELS,
    STAGE_KEYS,
    STAGE_VALUES,
    STAGES_MAX,
    STEM_KEYS,
    STRIDES,
    FormError,
    check_keys,
    one_of,
    part,
    table_json,
    whole,
)

SCHEMA = "edgekit-space/1"
SPACE_KEYS = ("schema", "size", "stem", "stages", "head", "activation", "families", "board")
EXACT_KEYS = ("weight_bits", "k_hot")
CLOCK_MIN_MHZ, CLOCK_MAX_MHZ = 10.0, 1000.0
FORM = f'that of edgekit\'s own: {{"schema": "{SCHEMA}", "size": [32, 48], "stem": ..., "stages": [{{"kernel": [3, 5], ...}}, ...], ...}}'
DEVICE, BOARD = "device", "board"
"""The spaces that come with edgekit, in the folder `spaces`."""

Choice: TypeAlias = int | float | bool | str | None
Chosen: TypeAlias = Mapping[str, Choice]
"""A value for each open name, such as "stages[2].kernel"."""


@dataclass(frozen=True)
class Member:
    """A network of the zoo at one width and size."""

    network: str
    alpha: float
    size: int

    @property
    def name(self) -> str:
        return f"{self.network}_{self.alpha:g}_{self.size}"


@dataclass(frozen=True)
class Space:
    """`choices`: the values of each name, in the file's order; a name with one value is settled. `stages`: how many there are."""

    choices: Mapping[str, tuple[Choice, ...]]
    stages: int
    members: tuple[Member, ...] = ()

    @property
    def open_names(self) -> tuple[str, ...]:
        return tuple(name for name, values in self.choices.items() if len(values) > 1)

    @property
    def points(self) -> int:
        """How many ways there are to choose."""
        return prod(len(values) for values in self.choices.values())


@dataclass(frozen=True)
class Point:
    """A network of the space. `precisions`: of the weights of each stage. `clock_mhz`: the board's, or its engine's, own where it is None.
    `form`: what `edgekit hls --form` takes."""

    table: Table
    precisions: tuple[WeightPrecision, ...]
    clock_mhz: float | None = None
    form: str = LAYERS

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits, equal for points that are the same network, bits, clock and form, whatever it is called."""
        text = table_json(replace(self.table, name="point"))
        return digest_of(f"{text}{precisions_json(self)}{self.clock_mhz}{'' if self.form == LAYERS else self.form}".encode())[:12]


def read_space(path: Path) -> Space:
    """The space in a file. Raises EdgekitError: it cannot be read, or is no space; the message names the place."""
    return _space_in(str(path), read_json_object(path, "a search space", FORM))


def own_space(name: str) -> Space:
    """A space that comes with edgekit, DEVICE or BOARD."""
    return _space_in(name, json.loads(own_space_text(name)))


def own_space_text(name: str) -> str:
    """Its file, to be edited."""
    return resources.files("edgekit.search").joinpath("spaces", f"{name}.json").read_text()


def point_of(space: Space, chosen: Chosen) -> Point:
    """The point at which the open names have these values. What has no effect is left out, so that one network is one point."""
    full = {name: chosen.get(name, values[0]) if len(values) > 1 else values[0] for name, values in space.choices.items()}
    stages, precisions = [], []
    for number in range(space.stages):
        given = {key: full[name] for key in STAGE_KEYS if (name := f"stages[{number}].{key}") in full}
        stage = _effective(Stage(**{**given, **({"op": BlockOp(given["op"])} if "op" in given else {})}))  # type: ignore[arg-type]
        bits, hot = (full.get(f"stages[{number}].{key}", default) for key, default in zip(EXACT_KEYS, (BITS_MAX, None), strict=True))
        stages.append(stage)
        precisions.append(_effective_precision(bits, hot) if stage.repeats else SIX_BITS)
    stem = {key: full[f"stem.{key}"] for key in STEM_KEYS if f"stem.{key}" in full}
    table = Table(
        name="point",
        size=full["size"],  # type: ignore[arg-type]
        stem=stem["filters"],  # type: ignore[arg-type]
        stem_kernel=stem.get("kernel", 3),  # type: ignore[arg-type]
        stem_stride=stem.get("stride", 2),  # type: ignore[arg-type]
        stages=tuple(stages),
        head=full.get("head.filters", 0),  # type: ignore[arg-type]
        activation=ACTIVATIONS[str(full.get("activation", "relu6"))],
    )
    clock = full.get("board.clock_mhz")
    point = Point(table, tuple(precisions), None if clock is None else float(clock), str(full.get("board.form", LAYERS)))
    return replace(point, table=replace(table, name=f"point-{point.digest}"))


def random_choice(space: Space, rng: np.random.Generator) -> dict[str, Choice]:
    """A value for each open name, all of them equally likely."""
    return {name: space.choices[name][int(rng.integers(len(space.choices[name])))] for name in space.open_names}


def extreme(space: Space, *, largest: bool, op: int = 0) -> Point:
    """The largest or the smallest network: of every name the largest or least value; of operations the one at place `op`, or the last."""

    def pick(name: str, values: tuple[Choice, ...]) -> Choice:
        if name.endswith(".op"):
            return values[min(op, len(values) - 1)]
        if name.endswith(".k_hot"):
            return values[0]
        ordered = sorted(values, key=lambda value: (value is not None, float(value) if isinstance(value, int | float) else 0.0))
        return ordered[-1 if largest else 0]

    return point_of(space, {name: pick(name, values) for name, values in space.choices.items()})


def precisions_of(point: Point) -> Precisions | None:
    """The bits of the weights by layer, or None where all have the six that there are."""
    layers = {f"block_{number}_*": one for number, one in enumerate(point.precisions) if one != SIX_BITS}
    return Precisions(SIX_BITS, MappingProxyType(layers)) if layers else None


def precisions_json(point: Point) -> str:
    """The text of the file that `edgekit train --qfx --precisions` takes, empty where all weights have six bits."""
    found = precisions_of(point)
    if found is None:
        return ""
    return json.dumps({name: {"weight_bits": one.bits, "k_hot": one.k_hot} for name, one in found.layers.items()}, indent=1) + "\n"


def _effective(stage: Stage) -> Stage:
    """The same blocks, said in one way: an expansion of 1 is a separable block, and what an operation does not read has its usual value."""
    usual = Stage(filters=stage.filters)
    if not stage.repeats:
        return replace(usual, filters=1, repeats=0)
    if stage.op is BlockOp.INVERTED and stage.expansion == 1:
        stage = replace(stage, op=BlockOp.SEPARABLE)
    if stage.op is not BlockOp.INVERTED:
        stage = replace(stage, expansion=usual.expansion)
    return replace(stage, squeeze_excite=usual.squeeze_excite) if stage.op is BlockOp.CONV else stage


def _effective_precision(bits: Any, hot: Any) -> WeightPrecision:
    """As many non-zero bits as a level has are any number of them."""
    made = WeightPrecision(bits, hot)
    return WeightPrecision(bits) if made.levels == WeightPrecision(bits).levels else made


def _space_in(where: str, found: Mapping[str, Any]) -> Space:
    try:
        return _parse(found)
    except FormError as error:
        raise EdgekitError(f"'{where}': {error}; a search space has a form like {FORM}") from error


def _parse(found: Mapping[str, Any]) -> Space:
    check_keys("the space", found, SPACE_KEYS, needed=("schema", "size", "stem", "stages"))
    if found["schema"] != SCHEMA:
        raise FormError(f"the schema is {found['schema']!r:.60}, not '{SCHEMA}'")
    stages = found["stages"]
    if not isinstance(stages, list) or not 1 <= len(stages) <= STAGES_MAX:
        raise FormError(f"stages are a list of 1 to {STAGES_MAX}, not {stages!r:.60}")
    choices = {"size": _choices("size", found["size"], lambda where, value: whole(where, value, SIZE_MIN, SIZE_MAX))}
    readers: dict[str, Any] = {
        "stem": {
            "filters": lambda where, value: whole(where, value, 1, FILTERS_MAX),
            "kernel": lambda where, value: one_of(where, value, KERNELS),
            "stride": lambda where, value: one_of(where, value, STRIDES),
        },
        "head": {"filters": lambda where, value: whole(where, value, 0, FILTERS_MAX)},
        "board": {"clock_mhz": _clock, "form": lambda where, value: one_of(where, value, FORMS)},
    }
    for name, keys in readers.items():
        if name in found:
            needed = () if name == "board" else ("filters",)
            given = part(name, found[name], tuple(keys), needed=needed)
            choices |= {f"{name}.{key}": _choices(f"{name}.{key}", value, keys[key]) for key, value in given.items()}
    if "activation" in found:
        read = lambda where, value: one_of(where, value, tuple(ACTIVATIONS))  # noqa: E731
        choices["activation"] = _choices("activation", found["activation"], read)
    for number, stage in enumerate(stages):
        where = f"stages[{number}]"
        given = part(where, stage, (*STAGE_KEYS, *EXACT_KEYS), needed=("filters",))
        choices |= {f"{where}.{key}": _choices(f"{where}.{key}", value, STAGE_READERS[key]) for key, value in given.items()}
    return Space(choices, len(stages), _members(found.get("families", {})))


def _choices(where: str, found: Any, read: Any) -> tuple[Choice, ...]:
    """The choices of one name: a list of values, or one."""
    values = found if isinstance(found, list) else [found]
    if not values:
        raise FormError(f"{where} is an empty list, and there is nothing to choose")
    read_values = [read(where, value) for value in values]
    plain = tuple(value.value if isinstance(value, BlockOp) else value for value in read_values)
    if len(set(map(repr, plain))) < len(plain):
        raise FormError(f"{where} has a choice twice")
    return plain


def _members(found: Any) -> tuple[Member, ...]:
    if not isinstance(found, dict):
        raise FormError(f"families is {found!r:.60}, and no object")
    made = []
    for name, wanted in found.items():
        given = part(f"families.{name}", wanted, ("alpha", "size"), needed=("alpha", "size"))
        alphas, sizes = (one if isinstance(one, list) else [one] for one in (given["alpha"], given["size"]))
        for alpha, size in product(alphas, sizes):
            if type(alpha) not in (int, float) or type(size) is not int:
                raise FormError(f"families.{name} has an alpha or a size that is no number")
            try:
                make_request(find_network(name), alpha=float(alpha), size=size)
            except EdgekitError as error:
                raise FormError(f"families.{name}: {error}") from error
            made.append(Member(name, float(alpha), size))
    return tuple(made)


def _clock(where: str, found: Any) -> float:
    if type(found) not in (int, float) or not CLOCK_MIN_MHZ <= found <= CLOCK_MAX_MHZ:
        raise FormError(f"{where} is {found!r:.60}, and no clock of {CLOCK_MIN_MHZ:g} to {CLOCK_MAX_MHZ:g} MHz")
    return float(found)


def _k_hot(where: str, found: Any) -> int | None:
    return None if found is None else whole(where, found, 1, BITS_MAX - 1)


STAGE_READERS: Mapping[str, Any] = {
    **STAGE_VALUES,
    "weight_bits": lambda where, found: whole(where, found, BITS_MIN, BITS_MAX),
    "k_hot": _k_hot,
}
"""What reads a value of a stage, by its name."""
