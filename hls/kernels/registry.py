"""All kernels, in the list that projects, tests and benchmarks read: what is in it is written into projects, and tested."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.hls.kernels import matmul, matvec, products, taps, tokens, upsample, window
from edgekit.hls.kernels.base import Stage


@dataclass(frozen=True)
class Kernel:
    """A header and the stages that call what is in it. `name`: that of the module, and the header's without `edgekit_`."""

    name: str
    stages: tuple[type[Stage], ...]

    @property
    def header(self) -> str:
        return f"edgekit_{self.name}.h"


KERNELS = (
    Kernel("matmul", (matmul.MatMul,)),
    Kernel("matvec", (matvec.MatVec, matvec.HeldMatVec, matvec.WeightReader)),
    Kernel("products", (products.Product, products.Gate)),
    Kernel("taps", (taps.Depthwise, taps.MapSums, taps.Largest)),
    Kernel("tokens", (tokens.Add, tokens.Lookup, tokens.Fork, tokens.Concat, tokens.Slice, tokens.Resize)),
    Kernel("upsample", (upsample.Upsample,)),
    Kernel("window", (window.Window,)),
)
STAGES = tuple(stage for kernel in KERNELS for stage in kernel.stages)
HEADERS = ("edgekit_arithmetic.h", *(kernel.header for kernel in KERNELS))
"""What a project needs: the kernels, and the arithmetic that they share."""
