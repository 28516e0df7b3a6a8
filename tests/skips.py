"""Where tests run for everyone (CI=true), a test that is skipped is a failure, but for the reasons here: a green run hides nothing.

`make test` installs what tests need (scripts/debian-packages tests, the emulated devices); elsewhere pytest names what it skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping

import pytest

MAY_BE_SKIPPED: Mapping[str, str] = {
    r"the bundle is for x86-64": "a PC of another architecture has no bundle for itself to take over ssh",
    r"there is no latency application for ": "the application is built for x86-64 and 64-bit Arm only",
    r"not a git checkout": "without git nothing tells the project's files from others, so no package is built of them",
}
"""A pattern that the reason begins with, and why no installation could help."""


def complaint(reason: str) -> str | None:
    """What to say of a test that was skipped for `reason`; None where it may be."""
    if os.environ.get("CI") != "true" or any(re.match(pattern, reason) for pattern in MAY_BE_SKIPPED):
        return None
    return f"skipped, which fails where CI=true: {reason}\nLet `make test` install what it needs, or enter the reason in tests/skips.py."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A skip's `longrepr` is (file, line, "Skipped: REASON")."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    words = complaint(reason.removeprefix("Skipped: "))
    if words is not None:
        report.outcome, report.longrepr = "failed", words
