"""report: one self-contained HTML page about a bundle: what it is, who agrees with whom, how fast it runs."""

from edgekit.report.page import render_page
from edgekit.report.timing import Timing, time_locally

__all__ = ["Timing", "render_page", "time_locally"]
