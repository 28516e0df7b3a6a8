"""The kernel sets that every TFLite runtime has, and what the executors are called that run a file with one of them."""

from __future__ import annotations

KERNEL_SETS = {"reference": "BUILTIN_REF", "optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "BUILTIN"}
"""The runtimes' reference kernels, their optimized ones, and XNNPACK with the optimized ones for what it does not take; and which
OpResolverType asks for them."""


def executor_name(kernels: str) -> str:
    """The executor of these kernels on this machine."""
    return f"tflite-{kernels}"


def device_executor_name(device: str, package: str, kernels: str) -> str:
    """The executor of these kernels of a runtime's package on a device, emulated or reached."""
    return f"{device}-{package}-{kernels}"
