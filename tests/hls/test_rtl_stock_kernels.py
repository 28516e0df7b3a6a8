"""The kernels for hls4ml's own networks as RTL: every value in Verilator, beside numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rtl_bench import written_tokens
from rtl_tools import needs_verilator
from test_rtl_translator import STOCK, stock_stages

from edgekit.arrays import Int64

FRAMES = 3
CYCLES = 400
TABLE = np.arange(-128, 128)[::-1] // 2 + 5
SHIFTS = (4, 5)


def tokens_of(rng: np.random.Generator) -> dict[str, tuple[tuple[Int64, ...], Int64]]:
    """Kernel -> tokens (tokens, lanes) that each of its streams brings in FRAMES frames, and those that it writes."""

    def drawn(tokens: int) -> Int64:
        return np.where(rng.random((tokens, 2)) < 0.2, rng.choice([-128, 127], (tokens, 2)), rng.integers(-128, 128, (tokens, 2)))

    left, right, cells = drawn(FRAMES * 6), drawn(FRAMES * 6), drawn(FRAMES * 12)
    maps = np.full((FRAMES, 4, 4, 2), -128)
    maps[:, :3] = cells.reshape(FRAMES, 3, 4, 2)
    pooled = maps.reshape(FRAMES, 2, 2, 2, 2, 2).max(axis=(2, 4)).reshape(-1, 2)
    return {
        "saturating_add": ((left, right), np.clip(left + right, -128, 127)),
        "lookup": ((left,), TABLE[left + 128]),
        "max_pool_2d": ((cells,), pooled),
        "repack": ((left,), left.reshape(-1, 3)),
        "requantize": ((right,), np.clip(right >> (np.array(SHIFTS) - 2), -128, 127)),
    }


@needs_verilator
def test_the_kernels_for_hls4mls_own_networks_compute_every_value(tmp_path: Path) -> None:
    expected = tokens_of(np.random.default_rng(4))
    contents = {"table": tuple(int(one) for one in TABLE), "shifts": SHIFTS}
    stages = dict(zip(STOCK, stock_stages(tuple(STOCK), tmp_path, contents), strict=True))
    given = {name: (streams, wanted.shape[1]) for name, (streams, wanted) in expected.items()}
    found = written_tokens(stages, given, CYCLES, tmp_path)
    for name, (_, wanted) in expected.items():
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
