"""A TFLite file on one thread, with an image of noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WARM_UP = 5


def runner(file: bytes, kernels: str = "BUILTIN") -> Callable[[], object]:
    """Runs the file once a call, warmed up. `kernels` is an OpResolverType: by default XNNPACK's."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=file, experimental_op_resolver_type=OpResolverType[kernels], num_threads=1)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for source in interpreter.get_input_details():
        if source["dtype"] == np.int8:
            noise = rng.integers(-128, 128, source["shape"], np.int8)
        else:
            noise = rng.standard_normal(source["shape"], np.float32)
        interpreter.set_tensor(source["index"], noise)
    for _ in range(WARM_UP):
        interpreter.invoke()
    return interpreter.invoke  # type: ignore[no-any-return]
