"""What tests that compile a C simulation ask of the machine."""

from __future__ import annotations

import pytest

from edgekit.tools import GXX, find, missing_reason

needs_compiler = pytest.mark.skipif(find(GXX) is None, reason=missing_reason(GXX) or "")
