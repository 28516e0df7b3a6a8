"""Boards and devices as data."""

from __future__ import annotations

import re

import pytest

from edgekit.errors import UnknownName
from edgekit.targets.boards import BOARDS, find_board
from edgekit.targets.devices import DEVICES, find_device


def test_ultra96_is_the_v2_and_the_v1_has_the_same_chip() -> None:
    assert find_board("ultra96").part.name == "xczu3eg-sbva484-1-i"
    assert find_board("ultra96_v1").part.name == "xczu3eg-sbva484-1-e"
    assert find_board("ultra96").part.resources == find_board("ultra96_v1").part.resources
    assert find_board("ultra96").clock_period_ns == 10.0


def test_the_aup_zu3_is_an_ultra96_with_faster_memory() -> None:
    """Its overview has 71 K LUTs, 141 K flip-flops, 7.6 Mbit of block RAM, 360 DSPs; its preset DDR4-2400 of 32 bits."""
    found = find_board("aup_zu3")
    assert (found.part.name, found.board_part) == ("xczu3eg-sfvc784-2-e", "realdigital.org:aup-zu3-8gb:part0:1.0")
    assert found.part.resources == find_board("ultra96").part.resources
    assert round(found.part.resources.bram36 * 36 / 1024, 1) == 7.6
    assert found.ddr_peak_bytes_per_s == 2400e6 * 32 / 8


def test_planned_shares_are_rounded_down() -> None:
    """70 % of 70,560 LUTs, 50 % of 141,120 FFs, 80 % of 216 block RAMs (172.8) and of 360 DSPs."""
    planned = find_board("ultra96").part.planned
    assert (planned.lut, planned.ff, planned.bram36, planned.dsp, planned.uram) == (49_392, 70_560, 172, 288, 0)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_board_is_complete(name: str) -> None:
    found = find_board(name)
    assert re.fullmatch(r"xc[a-z0-9]+-?[a-z0-9-]+-?[a-zA-Z0-9-]+", found.part.name)
    assert re.fullmatch(r"[a-z.]+:[a-z0-9_-]+:part0:\d+\.\d+", found.board_part)
    assert min(found.part.resources.lut, found.part.resources.ff, found.part.resources.bram36, found.part.resources.dsp) > 0


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown board 'ultra69'\. Did you mean ultra96"):
        find_board("ultra69")
    with pytest.raises(UnknownName, match=r"unknown device 'rpi6'\. Did you mean rpi"):
        find_device("rpi6")


def test_only_what_a_device_can_install_is_listed() -> None:
    assert [runtime.package for runtime in find_device("rpi4").runtimes] == ["ai-edge-litert", "tflite-runtime"]
    assert all(found.runtimes for found in DEVICES.values())
