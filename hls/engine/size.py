"""How large an engine is: the numbers that its bitstream is built for."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

WEIGHT_BITS, CONSTANT_BITS = 6, 40
"""A weight of the contract, divided by 4; a channel's bias (32 bits) and shift (8 bits)."""
TABLE_ENTRIES, TABLE_BYTES_MAX = 256, 4
"""Of a table, and of a row of one: with 8, a lane's table takes 68 LUTs and 64 flip-flops behind it, with 4 these are 52 and 32."""
LINE_BYTES_MAX, GATHERED_WORDS = 8192, 4
"""Bytes of the image's lines that lie under a row of a kernel, and words of what lies under a whole kernel, where it is gathered."""


@dataclass(frozen=True)
class EngineSize:
    """The constants of an engine.

    simd: channels of a word of the map memory, and inputs of a sum that the matrix array takes a beat; at least 6.
    words: words of an output group. Both arrays have simd * words lanes; that many outputs are summed side by side.
    banks, bank_words: the map memory. A bank is read once and written once a beat.
    positions: sums that each lane of an array can hold, so the most cells of an output that a job makes.
    taps: neighbouring columns of a kernel that the vector array takes a beat.
    row_words: words' worth of weights that a row of the weight stream has; a row comes a beat.
    """

    simd: int
    words: int
    banks: int
    bank_words: int
    positions: int
    taps: int = 3
    row_words: int = 2

    @property
    def lanes(self) -> int:
        return self.simd * self.words

    @property
    def map_words(self) -> int:
        return self.banks * self.bank_words

    @property
    def map_bytes(self) -> int:
        return self.map_words * self.simd

    @property
    def row_bytes(self) -> int:
        """Of a row of the weight stream, in whole bytes."""
        return ceil(WEIGHT_BITS * self.simd * self.row_words / 8)

    def weight_rows(self, words: int) -> int:
        """Rows of a pass whose weights are so many words' worth."""
        return ceil(words / self.row_words)

    def group_rows(self, words: int) -> int:
        """Rows of a pass of the matrix array that makes so many words: the last group of a job may have fewer than the others."""
        return self.weight_rows(self.simd * words)

    @property
    def constant_rows(self) -> int:
        """Rows of the stream that hold the constants of all lanes."""
        return ceil(self.lanes / self.constants_a_row)

    @property
    def constants_a_row(self) -> int:
        return 8 * self.row_bytes // CONSTANT_BITS

    @property
    def table_bytes(self) -> int:
        """Entries of a table that a row brings: a power of two, so that a lane's table is one memory, of which a byte's upper bits are the
        address."""
        return 1 << min(TABLE_BYTES_MAX, self.row_bytes).bit_length() - 1

    @property
    def table_rows(self) -> int:
        return TABLE_ENTRIES // self.table_bytes

    @property
    def products(self) -> int:
        """Products of the matrix array a beat."""
        return self.lanes * self.simd
