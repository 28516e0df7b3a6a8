"""Engine sizes for tests, one of them tiny and odd, and a program run with its steps in other orders than its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.graph import IntegerGraph
from edgekit.hls.engine.interpret import Machine, run_job
from edgekit.hls.engine.program import Program, Step
from edgekit.hls.engine.size import EngineSize

TINY = EngineSize(simd=9, words=1, banks=5, bank_words=400, positions=81, taps=2)
SMALL = EngineSize(simd=8, words=3, banks=4, bank_words=1000, positions=96)
WIDE = EngineSize(simd=16, words=2, banks=8, bank_words=512, positions=512)
TIGHT = replace(SMALL, banks=4, bank_words=240)
"""So little memory that a small network has to use it again and again."""
SIZES = (TINY, SMALL, WIDE)


def machine_for(program: Program, graph: IntegerGraph, image: np.ndarray) -> Machine:
    """Memory full of rubbish, the program's stream, and the image."""
    size, tensor = program.size, graph.tensors[program.input]
    stream = np.frombuffer(program.stream, np.uint8).reshape(-1, size.row_bytes)
    lines = np.ascontiguousarray(image.astype(tensor.dtype)).view(np.uint8)
    memory = np.full((size.map_words, size.simd), 0x5A, np.uint8)
    return Machine(size, memory, stream, lines.reshape(tensor.shape[0] if len(tensor.shape) > 1 else 1, -1))


def results_in_order(program: Program, machine: Machine, steps: Sequence[Step]) -> list[bytes]:
    """The results, by where they start, of steps that run one by one in this order."""
    found = []
    for step in steps:
        before = len(machine.results)
        for job in step.jobs:
            run_job(machine, job)
        found += [(step.op, step.first_row, one.tobytes()) for one in machine.results[before:]]
    return [content for *_, content in sorted(found)]


def results_written_late(program: Program, machine: Machine) -> list[bytes]:
    """The results where each step reads when it starts, and all that it writes appears when it ends.

    A step that follows another group by group, as that one writes, reads when it ends.
    """
    found = []
    events = [(step.start, 1, number) for number, step in enumerate(program.steps)]
    events += [(step.end, 0, number) for number, step in enumerate(program.steps)]
    pending: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    memory = machine.memory
    for _, starts, number in sorted(events):
        if not starts and not follows(program, program.steps[number]):
            words, values = pending.pop(number)
            memory[words] = values
            continue
        step, before = program.steps[number], len(machine.results)
        if starts and follows(program, step):
            pending[number] = (np.zeros(0, int), memory[:0])
            continue
        machine.memory = memory.copy()
        for job in step.jobs:
            run_job(machine, job)
        words = np.flatnonzero((machine.memory != memory).any(axis=1))
        pending[number] = (words, machine.memory[words])
        if not starts:
            memory[words] = machine.memory[words]
        machine.memory = memory
        found += [(step.op, step.first_row, one.tobytes()) for one in machine.results[before:]]
    return [content for *_, content in sorted(found)]


def follows(program: Program, step: Step) -> bool:
    """Whether it starts while another step still writes what it reads."""
    reads = {view.base for job in step.jobs for view in (job.x, job.y) if view.words}
    return any(one.start < step.start < one.end and one.jobs[-1].out.base in reads and one.matrix != step.matrix for one in program.steps)
