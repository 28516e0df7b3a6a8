"""The schema of TFLite files: LiteRT's generated module, all of whose names are names of this one.

    from edgekit.tflite import schema

    schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.RELU)

It is imported where one of its names is first used: only then LiteRT has to be there.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python's own modules ask of any module
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from ai_edge_litert import schema_py_generated

    return getattr(schema_py_generated, name)
