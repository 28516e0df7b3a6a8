"""What each layer of a quantized network loses: the table that export and hls keep beside it, and read again. Imports no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from edgekit.errors import EdgekitError

SCHEMA = "edgekit-sensitivity/1"


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """What a layer with weights loses. Signal-to-noise ratios are in decibels, of what it gives before its clamp.

    `own_db`: by the rounding of its own weights alone, given the best real ones. `total_db`: against the float network, with all that was
    lost before it. `steps_of_narrow_channels`: so many of the 255 (signed: 127) steps of its output, or fewer, are all that a twentieth of
    its channels use: where it is small, the channels differ by more than 8 bits can hold.
    """

    name: str
    own_db: float
    total_db: float
    steps_of_narrow_channels: float


def worst_first(losses: Iterable[LayerLoss]) -> list[LayerLoss]:
    """The layer that loses most by itself comes first."""
    return sorted(losses, key=lambda loss: loss.own_db)


def sensitivity_json(losses: Iterable[LayerLoss]) -> bytes:
    """The content of a bundle's sensitivity.json, the worst layer first."""
    return (json.dumps({"schema": SCHEMA, "layers": [asdict(loss) for loss in worst_first(losses)]}, indent=1) + "\n").encode()


def read_sensitivity(content: bytes) -> tuple[LayerLoss, ...]:
    """The layers of a sensitivity.json. Raises EdgekitError where it is none."""
    try:
        found = json.loads(content)
        if found["schema"] != SCHEMA:
            raise ValueError(f"its schema is {str(found['schema'])[:40]}")
        return tuple(_layer_loss(one) for one in found["layers"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EdgekitError(f"this is no sensitivity table: {error}") from error


def _layer_loss(one: dict[str, Any]) -> LayerLoss:
    numbers = {field.name: float(one[field.name]) for field in fields(LayerLoss) if field.name != "name"}
    return LayerLoss(name=str(one["name"]), **numbers)
