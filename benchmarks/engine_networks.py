"""Compares the engine's C simulation with the reference at full size: every tensor of seven images, and what a frame takes.

python benchmarks/engine_networks.py [--board BOARD] model.onnx...       files that `edgekit export --precision qfx` writes

The images: all lowest, all highest, checkerboards of 1 and 8 pixels, three crops of photographs. Exit code 1 if a value differs, or where
the simulation counts other beats or bytes than the estimate claims, or these bytes are 80 % or more of what memory can do at its rate.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgekit.arrays import Array
from edgekit.graph import IntegerGraph, read_onnx, run
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.cost import design_for
from edgekit.hls.engine.estimate import ddr_rate, estimate
from edgekit.hls.engine.program import busy
from edgekit.hls.simulation.engine import Counts, compile_engine, simulate, write_program
from edgekit.images.photographs import any_part, sample_photographs, square_crop
from edgekit.targets.boards import BOARDS, find_board

HEAD = (
    "network",
    "tensors",
    "values compared",
    "differing",
    "counted as estimated",
    "waits counted",
    "estimated",
    "DDR of peak",
    "s an image",
)

DDR_SHARE_MAX = 0.8


def images_of(graph: IntegerGraph) -> Array:
    """(7, *shape) of the input's type."""
    tensor = graph.tensors[graph.input]
    rows, cols, channels = tensor.shape
    low, high = np.full(tensor.shape, tensor.low), np.full(tensor.shape, tensor.high)
    place = np.indices((rows, cols)).sum(0), np.indices((rows, cols))[0] // 8 + np.indices((rows, cols))[1] // 8
    boards = [np.where((one % 2 == 0)[:, :, np.newaxis], low, high) for one in place]
    rng, crops = np.random.default_rng(0), []
    for number in range(3):
        photograph = square_crop(sample_photographs()[number % 2], rng, 0.5, any_part)
        row, col = (np.arange(length) * len(photograph) // length for length in (rows, cols))
        crops.append(photograph[row[:, np.newaxis], col, :channels].astype(np.int64))
    scaled = tensor.low + np.stack(crops) * (tensor.high - tensor.low) // 255
    return np.stack([low, high, *boards, *scaled]).astype(tensor.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", nargs="+", type=Path)
    parser.add_argument("--board", default="ultra96", choices=sorted(BOARDS))
    options = parser.parse_args()
    board = find_board(options.board)
    design = design_for(board)
    rate, failed = ddr_rate(design, board), False
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    with TemporaryDirectory() as folder:
        executable = compile_engine(design.size, Path(folder))
        for path in options.graphs:
            graph = read_onnx(path.read_bytes())
            program = compile_graph(graph, design.size, rate)
            write_program(program, Path(folder))
            differing, same, seconds, waits = 0, True, 0.0, 0
            images = images_of(graph)
            for image in images:
                begin = time.perf_counter()
                found = simulate(program, graph, executable, Path(folder), image[np.newaxis], rate)
                seconds += time.perf_counter() - begin
                wanted = run(graph, image[np.newaxis])
                differing += sum(int((found.values[name] != wanted[name]).sum()) for name in graph.tensors)
                moved, (counts,) = program.traffic, found.counts
                waits = counts.waits
                claimed = Counts(
                    busy(program, False), busy(program, True), moved.weights, moved.image, moved.results, 0, moved.program, waits
                )
                same = same and counts == claimed
            values = sum(int(np.prod(tensor.shape)) for tensor in graph.tensors.values()) * len(images)
            claims = estimate(program, design, board)
            share = claims.ddr_share
            cells = [graph.name, len(graph.tensors), f"{values:,}", differing, "yes" if same else "NO", f"{waits:,}", f"{claims.waits:,}"]
            print(f"| {' | '.join(map(str, cells))} | {share:.0%} | {seconds / len(images):.2f} |", flush=True)
            failed = failed or differing > 0 or not same or share >= DDR_SHARE_MAX
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
