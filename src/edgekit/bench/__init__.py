"""bench: a bundle measured on a device, after its golden outputs were found right there; and earlier results to compare with."""

from edgekit.bench.measure import Measured, bench
from edgekit.bench.results import Comparison, add_result, as_json, earlier, read_results
from edgekit.bench.table import show

__all__ = ["Comparison", "Measured", "add_result", "as_json", "bench", "earlier", "read_results", "show"]
