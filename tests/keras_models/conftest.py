"""Keras keeps every graph that it built; tests that build many models give them back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekit.keras_models.legacy_keras import import_keras


@pytest.fixture(autouse=True)
def fresh_session() -> Iterator[None]:
    yield
    import_keras().backend.clear_session()
