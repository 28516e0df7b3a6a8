"""What every test shares."""

from __future__ import annotations

import signal
import zlib

import hypothesis
import numpy as np
import pytest
from skips import pytest_make_collect_report, pytest_runtest_makereport

from edgekit.connections.emulator import missing_emulator
from edgekit.targets.emulators import EMULATORS

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]
"""Hooks, which pytest finds here."""

# What hypothesis draws follows from the test's name too, on every machine. A deadline would time a machine, not the code.
hypothesis.settings.register_profile("edgekit", derandomize=True, deadline=None)
hypothesis.settings.load_profile("edgekit")


def pytest_configure() -> None:
    """Signals are those of a terminal, also where the tests run in the background of a shell, which ignores SIGINT, or under nohup."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that are the test's own: seeded from its name."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the emulated devices is skipped with the reason where they are not."""
    reasons = [reason for emulator in EMULATORS.values() if (reason := missing_emulator(emulator))]
    if reasons:
        for item in items:
            if item.get_closest_marker("emulator"):
                item.add_marker(pytest.mark.skip(reason=reasons[0]))
