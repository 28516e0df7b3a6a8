"""Architecture tables as JSON files, written by a search or by hand, and read as data: what is not in the form is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgekit.errors import EdgekitError
from edgekit.files import read_json_object
from edgekit.graph import Activation
from edgekit.images.preprocessing import Preprocessing
from edgekit.keras_models.zoo.network import SIZE_MAX, SIZE_MIN
from edgekit.keras_models.zoo.table import BlockOp, Stage, Table

T = TypeVar("T")

SCHEMA = "edgekit-network/1"
SUFFIX = ".json"
FORM = (
    f'{{"schema": "{SCHEMA}", "name": "mine", "size": 48, "stem": {{"filters": 16}}, "stages": [{{"op": "inverted", "kernel": 3, '
    '"stride": 2, "expansion": 3, "filters": 24, "squeeze_excite": false, "skip": true, "repeats": 2}], '
    '"head": {"filters": 256}, "activation": "relu6"}'
)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
FILTERS_MAX, STAGES_MAX, REPEATS_MAX, EXPANSION_MAX = 4096, 64, 64, 16
KERNELS, STRIDES = (1, 3, 5, 7), (1, 2)
TABLE_KEYS = ("schema", "name", "size", "stem", "stages", "head", "activation", "preprocessing")
STEM_KEYS = ("filters", "kernel", "stride")
STAGE_KEYS = ("op", "kernel", "stride", "expansion", "filters", "squeeze_excite", "skip", "repeats")
ACTIVATIONS = {one.value: one for one in (Activation.RELU, Activation.RELU6)}


class FormError(EdgekitError):
    """A value that the form of a table has not; the message says where it stands."""


def is_table_name(name: str) -> bool:
    """Whether a network's name is the path of a table."""
    return Path(name).suffix.lower() == SUFFIX


def read_table(path: Path) -> Table:
    """The table in a file. Raises EdgekitError: it cannot be read, or is not of that FORM; the message names the place."""
    found = read_json_object(path, "an architecture table", FORM)
    try:
        return parse_table(found)
    except FormError as error:
        raise EdgekitError(f"'{path}': {error}; an architecture table has the form {FORM}") from error


def parse_table(found: Mapping[str, Any]) -> Table:
    """A table from what JSON made of its file. Raises FormError."""
    check_keys("the table", found, TABLE_KEYS, needed=("schema", "name", "size", "stem", "stages"))
    if found["schema"] != SCHEMA:
        raise FormError(f"the schema is {_shown(found['schema'])}, not '{SCHEMA}'")
    if not (isinstance(found["name"], str) and NAME.fullmatch(found["name"])):
        raise FormError(f"the name {_shown(found['name'])} is not one of lower-case letters, digits, '_' and '-'")
    stem = part("stem", found["stem"], STEM_KEYS, needed=("filters",))
    stages = found["stages"]
    if not isinstance(stages, list) or not 1 <= len(stages) <= STAGES_MAX:
        raise FormError(f"stages are a list of 1 to {STAGES_MAX}, not {_shown(stages)}")
    head = part("head", found.get("head", {"filters": 0}), ("filters",), needed=("filters",))
    given: dict[str, Any] = {}
    if "preprocessing" in found:
        pixels = part("preprocessing", found["preprocessing"], ("mean", "std"), needed=("mean", "std"))
        mean, std = (_numbers(f"preprocessing.{name}", pixels[name]) for name in ("mean", "std"))
        if 0.0 in std:
            raise FormError("preprocessing.std has a 0, which nothing can be divided by")
        given["preprocessing"] = Preprocessing(mean, std)
    return Table(
        name=found["name"],
        size=whole("size", found["size"], SIZE_MIN, SIZE_MAX),
        stem=whole("stem.filters", stem["filters"], 1, FILTERS_MAX),
        stem_kernel=one_of("stem.kernel", stem.get("kernel", 3), KERNELS),
        stem_stride=one_of("stem.stride", stem.get("stride", 2), STRIDES),
        stages=tuple(parse_stage(f"stages[{number}]", stage) for number, stage in enumerate(stages)),
        head=whole("head.filters", head["filters"], 0, FILTERS_MAX),
        activation=ACTIVATIONS[one_of("activation", found.get("activation", "relu6"), tuple(ACTIVATIONS))],
        **given,
    )


def parse_stage(where: str, found: Any) -> Stage:
    """One stage of a table. Raises FormError."""
    stage = part(where, found, STAGE_KEYS, needed=("filters",))
    made: dict[str, Any] = {}
    for name, read in STAGE_VALUES.items():
        if name in stage:
            made[name] = read(f"{where}.{name}", stage[name])
    return Stage(**made)


def table_json(table: Table) -> str:
    """The text of a table's file; `read_table` gives the same table again."""
    plain = {
        "schema": SCHEMA,
        "name": table.name,
        "size": table.size,
        "activation": table.activation.value,
        "preprocessing": {"mean": list(table.preprocessing.mean), "std": list(table.preprocessing.std)},
        "stem": {"filters": table.stem, "kernel": table.stem_kernel, "stride": table.stem_stride},
        "stages": [{name: _plain(getattr(stage, name)) for name in STAGE_KEYS} for stage in table.stages],
        "head": {"filters": table.head},
    }
    return json.dumps(plain, indent=1) + "\n"


def check_keys(where: str, found: Mapping[str, Any], known: tuple[str, ...], *, needed: tuple[str, ...] = ()) -> None:
    """Raises FormError for a key that is not known, or one that is needed and lacking."""
    strange = sorted(set(map(str, found)) - set(known))
    if strange:
        raise FormError(f"{where} has {_shown(strange[0])}, and takes {', '.join(known)}")
    lacking = [name for name in needed if name not in found]
    if lacking:
        raise FormError(f"{where} has no '{lacking[0]}'")


def part(where: str, found: Any, known: tuple[str, ...], *, needed: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """A JSON object inside a file. Raises FormError."""
    if not isinstance(found, dict):
        raise FormError(f"{where} is {_shown(found)}, and no object")
    check_keys(where, found, known, needed=needed)
    return found


def whole(where: str, found: Any, low: int, high: int) -> int:
    """Raises FormError unless it is a whole number in a range."""
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise FormError(f"{where} is {_shown(found)}, and no whole number of {low} to {high}")
    return found


def one_of(where: str, found: Any, values: tuple[T, ...]) -> T:
    """Raises FormError unless it is one of the values, of the same type."""
    for value in values:
        if type(found) is type(value) and found == value:
            return value
    raise FormError(f"{where} is {_shown(found)}, and not one of {', '.join(map(str, values))}")


STAGE_VALUES: Mapping[str, Callable[[str, Any], Any]] = {
    "op": lambda where, found: BlockOp(one_of(where, found, tuple(one.value for one in BlockOp))),
    "kernel": lambda where, found: one_of(where, found, KERNELS),
    "stride": lambda where, found: one_of(where, found, STRIDES),
    "expansion": lambda where, found: whole(where, found, 1, EXPANSION_MAX),
    "filters": lambda where, found: whole(where, found, 1, FILTERS_MAX),
    "squeeze_excite": lambda where, found: one_of(where, found, (False, True)),
    "skip": lambda where, found: one_of(where, found, (False, True)),
    "repeats": lambda where, found: whole(where, found, 0, REPEATS_MAX),
}
"""Each value of a stage, by its name, and what reads it."""


def _numbers(where: str, found: Any) -> tuple[float, ...]:
    if not isinstance(found, list) or len(found) not in (1, 3) or not all(type(one) in (int, float) and abs(one) < 1e6 for one in found):
        raise FormError(f"{where} has {_shown(found)}, and takes one number or three")
    return tuple(float(one) for one in found)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, BlockOp) else value


def _shown(value: Any) -> str:
    return repr(value)[:60]
