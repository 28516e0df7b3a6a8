"""The process in which TFLite Micro runs: python -m edgekit.tflite.micro_process MODEL ARENA_BYTES TENSORS [INPUTS.npy OUTPUTS.npz]

TENSORS are the indices, with commas, of the tensors that are kept. Without files the model is only loaded. Exit code 1 and a line on
standard error where it cannot be run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def main(words: list[str]) -> int:
    from tflite_micro.python.tflite_micro import runtime

    model, arena_bytes, tensors, *files = words
    keep_all = runtime.InterpreterConfig.kPreserveAllTensors
    try:
        interpreter = runtime.Interpreter.from_bytes(Path(model).read_bytes(), arena_size=int(arena_bytes), intrepreter_config=keep_all)
        if files:
            inputs, outputs = files
            kept = [int(index) for index in tensors.split(",")]
            images = []
            for image in np.load(inputs, allow_pickle=False):
                interpreter.set_input(image[np.newaxis], 0)
                interpreter.invoke()
                images.append([_without_batch(np.array(interpreter.GetTensor(index, 0)["tensor_data"])) for index in kept])
            named: dict[str, Any] = {str(index): np.stack(values) for index, values in zip(kept, zip(*images, strict=True), strict=True)}
            np.savez(outputs, **named)
    except (RuntimeError, ValueError, TypeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _without_batch(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(value[0]) if value.shape[:1] == (1,) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
