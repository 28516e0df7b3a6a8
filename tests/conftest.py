"""What every test shares."""

from __future__ import annotations

import zlib

import hypothesis
import numpy as np
import pytest

# What hypothesis draws follows from the test's name too, on every machine. A deadline would time a machine, not the code.
hypothesis.settings.register_profile("edgekit", derandomize=True, deadline=None)
hypothesis.settings.load_profile("edgekit")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that are the test's own: seeded from its name."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
