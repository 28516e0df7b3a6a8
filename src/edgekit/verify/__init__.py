"""verify: the executors that this machine has, compared bit by bit."""

from edgekit.verify.executors import NAMES, emulated_names, executors_for
from edgekit.verify.report import Report, as_json, show
from edgekit.verify.run import verify

__all__ = ["NAMES", "Report", "as_json", "emulated_names", "executors_for", "show", "verify"]
