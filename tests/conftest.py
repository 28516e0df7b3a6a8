"""What every test shares."""

from __future__ import annotations

import zlib

import numpy as np
import pytest


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that are the test's own: seeded from its name."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
