"""The integer graph as a TFLite file, with what reads and runs one: LiteRT here and on devices, the latency application.

Importing this package imports neither LiteRT nor TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.faces import lazy

if TYPE_CHECKING:
    from edgekit.tflite.device_executors import device_scripts, prove_runs
    from edgekit.tflite.float_reader import read_float_network
    from edgekit.tflite.kernel_sets import KERNEL_SETS
    from edgekit.tflite.op_versions import check_runs, lacking
    from edgekit.tflite.reader import describe, parse
    from edgekit.tflite.saved_graph import convert_saved_model
    from edgekit.tflite.tensorflow import CALIBRATED, Precision, convert
    from edgekit.tflite.writer import write_tflite
else:
    __getattr__ = lazy(
        __name__,
        {
            "device_executors": ("device_scripts", "prove_runs"),
            "float_reader": ("read_float_network",),
            "kernel_sets": ("KERNEL_SETS",),
            "op_versions": ("check_runs", "lacking"),
            "reader": ("describe", "parse"),
            "saved_graph": ("convert_saved_model",),
            "tensorflow": ("CALIBRATED", "Precision", "convert"),
            "writer": ("write_tflite",),
        },
    )

__all__ = [
    "CALIBRATED",
    "KERNEL_SETS",
    "Precision",
    "check_runs",
    "convert",
    "convert_saved_model",
    "describe",
    "device_scripts",
    "lacking",
    "parse",
    "prove_runs",
    "read_float_network",
    "write_tflite",
]
