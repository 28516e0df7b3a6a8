"""What a stage is as a circuit: its Verilog, and the streams and memories that its ports lead to."""

from __future__ import annotations

from dataclasses import dataclass


def address_bits(words: int) -> int:
    return max(1, (words - 1).bit_length())


@dataclass(frozen=True)
class StreamShape:
    """`lanes` values of `width` bits each are a token."""

    lanes: int
    width: int
    is_signed: bool

    @property
    def bits(self) -> int:
        return self.lanes * self.width


@dataclass(frozen=True)
class MemoryPorts:
    """A memory beside a stage: `words` of `width` bits; `reads` ports that read; `enables`: parts of a word that are written one by one, 0
    of a ROM, whose words are `content`. Its ports' names begin with `name`. `waits`: it is behind an AXI master, and its one port, which
    reads or writes, says when a word is there or taken."""

    name: str
    array: str
    words: int
    width: int
    reads: int
    enables: int
    content: tuple[int, ...] | None = None
    waits: bool = False

    @property
    def address_bits(self) -> int:
        return address_bits(self.words)


@dataclass(frozen=True)
class StageRtl:
    """`inputs`, `outputs`: numbers of its streams. `iterations`: cycles a frame. `states`: loops."""

    name: str
    verilog: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    memories: tuple[MemoryPorts, ...]
    states: int
    iterations: int
