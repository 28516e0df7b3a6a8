"""Stages that work channel by channel with weights: sums over windows or whole maps, and upsampling. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from edgekit.graph.ir import Pair
from edgekit.hls.kernels.base import VALUE_BITS, Arithmetic, Memory, Stage


@dataclass(frozen=True)
class Depthwise(Stage):
    """The sum over the taps of each channel, then requantize. Loops: position, PE group of channels, tap."""

    positions: int
    channels: int
    taps: int
    pe: int
    arithmetic: Arithmetic
    weight_bits: int
    accumulator_bits: int
    bias_bits: int
    shift_bits: int

    @property
    def cycles(self) -> int:
        return self.positions * (self.channels // self.pe) * self.taps

    @property
    def memories(self) -> tuple[Memory, ...]:
        groups = self.channels // self.pe
        return (
            Memory("weights", groups * self._weight_taps, self.pe * self.weight_bits, rom=True),
            Memory("bias and shift", groups, self.pe * (self.bias_bits + self.shift_bits), rom=True),
        )

    @property
    def _weight_taps(self) -> int:
        return self.taps

    @property
    def multipliers(self) -> int:
        return 0 if self.arithmetic is Arithmetic.SHIFT_ADD else self.pe


@dataclass(frozen=True)
class MapSums(Depthwise):
    """The same where the one window is the whole map: no line buffer, but a sum for each channel.

    `weight_taps`: 1 where a channel's weights are all alike, as a mean's are, else `taps`. Loops: tap, PE group of channels; then
    the sums are sent.
    """

    weight_taps: int

    @property
    def held(self) -> int:
        return 0

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def cycles(self) -> int:
        return (self.taps + 1) * self.groups

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (*super().memories, Memory("sums", self.groups, self.pe * self.accumulator_bits))

    @property
    def _weight_taps(self) -> int:
        return self.weight_taps


@dataclass(frozen=True)
class Upsample(Stage):
    """Each cell times a kernel as large as its stride, then requantize. A row is kept and given again for each of the kernel's.

    Loops: row, kernel row, column, kernel column, PE group of channels.
    """

    rows: int
    columns: int
    channels: int
    kernel: Pair
    pe: int
    arithmetic: Arithmetic
    weight_bits: int
    accumulator_bits: int
    bias_bits: int
    shift_bits: int

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def cycles(self) -> int:
        return self.rows * self.columns * prod(self.kernel) * self.groups

    @property
    def memories(self) -> tuple[Memory, ...]:
        row = (Memory("row", self.columns * self.groups, self.pe * VALUE_BITS),) if self.kernel != (1, 1) else ()
        return (
            Memory("weights", prod(self.kernel) * self.groups, self.pe * self.weight_bits, rom=True),
            Memory("bias and shift", self.groups, self.pe * (self.bias_bits + self.shift_bits), rom=True),
            *row,
        )

    @property
    def multipliers(self) -> int:
        return 0 if self.arithmetic is Arithmetic.SHIFT_ADD else self.pe
