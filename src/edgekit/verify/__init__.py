"""verify: the executors that this machine has, compared bit by bit."""

from edgekit.verify.executors import NAMES, emulated_names, executors_for
from edgekit.verify.run import Verification, verify
from edgekit.verify.show import as_json, show

__all__ = ["NAMES", "Verification", "as_json", "emulated_names", "executors_for", "show", "verify"]
