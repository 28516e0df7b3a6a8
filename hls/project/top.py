"""The top function of a folded network, as other C++ calls it. Data between the code generator and what is put around the network."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY_FOLDER = "firmware/memory"


@dataclass(frozen=True, kw_only=True)
class WeightMemory:
    """Weights that the network reads over an AXI master: an argument of its top function, in the file `name`.bin of MEMORY_FOLDER."""

    name: str
    cpp_type: str
    words: int
    word_bytes: int


@dataclass(frozen=True, kw_only=True)
class TopFunction:
    """What the network's top function takes and gives: C++ types of the tokens of its streams, and weights in memory."""

    input_type: str
    output_types: tuple[str, ...]
    memories: tuple[WeightMemory, ...] = ()
