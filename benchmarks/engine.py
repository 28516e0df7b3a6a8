"""Prints what the shared engine is estimated to make of networks, and of engines of other sizes: the tables of docs/engine.md.

python benchmarks/engine.py [--board BOARD]... [--alternatives] model.onnx...        files that `edgekit export --precision qfx` writes
python benchmarks/engine.py [--board BOARD]... --vgg16 SIDE          VGG16 as a user's Keras model, random weights, SIDE x SIDE images
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, read_onnx
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.cost import Design, design_for, over, resources
from edgekit.hls.engine.estimate import ddr_rate, estimate
from edgekit.jobs import ModelRequest
from edgekit.jobs.integer_graph import integer_graph
from edgekit.jobs.source import load_source
from edgekit.targets.boards import BOARDS, find_board

HEAD = ("network", "board", "frames/s", "beats", "waits", "matrix busy", "vector busy", "DDR MB a frame", "DDR of peak")


def alternatives(design: Design) -> dict[str, Design]:
    """Engines near one that a board has: fewer and more lanes, a longer and a shorter word, more memory for maps and none for sums."""
    size = design.size
    return {
        "as chosen": design,
        "half the words of a group": replace(design, size=replace(size, words=max(1, size.words // 2))),
        "twice the words of a group": replace(design, size=replace(size, words=2 * size.words)),
        "words of 8": replace(design, size=replace(size, simd=8, words=4 * size.words, bank_words=2 * size.bank_words)),
        "words of 32": replace(design, size=replace(size, simd=32, words=max(1, size.words // 4), bank_words=size.bank_words // 2)),
        "half the banks, twice as large": replace(design, size=replace(size, banks=size.banks // 2, bank_words=2 * size.bank_words)),
        "half the map memory": replace(design, size=replace(size, bank_words=size.bank_words // 2)),
        "a tap a beat": replace(design, size=replace(size, taps=1)),
        "sums of 256 cells": replace(design, size=replace(size, positions=256)),
    }


def read_file(path: Path) -> IntegerGraph:
    return read_onnx(path.read_bytes())


def vgg16(side: int) -> IntegerGraph:
    """The integer graph of a file that Keras saved: 13 convolutions of 3 x 3, five pools, three dense layers, random weights."""
    from own_models import keras
    from own_models import vgg16 as as_keras

    keras.utils.set_random_seed(0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vgg16.keras"
        as_keras(side).save(path)
        request = ModelRequest(str(path))
        return integer_graph(load_source(request, lambda _: None), request, lambda _: None).graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", nargs="*", type=Path)
    parser.add_argument("--vgg16", type=int, metavar="SIDE")
    parser.add_argument("--board", action="append", choices=sorted(BOARDS))
    parser.add_argument("--alternatives", action="store_true")
    options = parser.parse_args()
    boards = [find_board(name) for name in options.board or ("ultra96", "pynq_z2", "zcu104", "zcu102", "kv260")]
    head = ("engine", *HEAD) if options.alternatives else HEAD
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for graph in chain(map(read_file, options.graphs), [vgg16(options.vgg16)] if options.vgg16 else []):
        for board in boards:
            design = design_for(board)
            for name, one in (alternatives(design) if options.alternatives else {"": design}).items():
                cells = [name] if options.alternatives else []
                cells += [graph.name, board.name]
                beyond = ", ".join(f"{what} {share:.0%}" for what, share in over(one, board).items())
                try:
                    found = estimate(compile_graph(graph, one.size, ddr_rate(one, board)), one, board)
                except EdgekitError as error:
                    print(f"| {' | '.join(cells)} | {error} |")
                    continue
                cells += [
                    f"{found.fps:.1f}" + (f" (beyond the shares: {beyond})" if beyond else ""),
                    f"{found.beats:,}",
                    f"{found.waits:,}",
                ]
                cells += [f"{found.matrix / found.cycles:.0%}", f"{found.vector / found.cycles:.0%}"]
                cells += [f"{found.ddr_bytes / 1e6:.1f}", f"{found.ddr_share:.0%}"]
                print(f"| {' | '.join(cells)} |", flush=True)
    for board in boards:
        print(f"\n{board.name}: {design_for(board)} takes {resources(design_for(board))} of {board.part.planned}")


if __name__ == "__main__":
    main()
