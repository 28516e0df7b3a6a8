"""Makes every kind of file that edgekit writes and hashes them, to show that a change of the code changes no written byte.

    written_files.py -o hashes.json       name -> SHA-256 of every file of this tree
    written_files.py --against REV        makes them by this tree and by a commit, each with its own copy of this script, and compares
    written_files.py --against FILE       compares with hashes that were written before

Exit codes: 0 equal, 1 a file differs, is missing or is new. Files are made in groups, each in a process of its own and in an empty
folder, so that none depends on what was made before. No file has a time or a path in it, so none has to be normalised; manifests
have the versions of Python and packages, which are the same on both sides.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))  # this tree, whatever is installed
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(2, str(Path(__file__).resolve().parents[1] / "tests" / "hls"))

from foldings import random_plan
from hand_graphs import every_product
from hls4ml_projects import plan_hls4ml_project
from projects import every_kernel
from random_graphs import PLAIN, random_graph, random_inputs

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, read_onnx, run, write_onnx
from edgekit.graph.ir import OP_TYPES
from edgekit.hls import FoldingPlan, folding_json, moderate_foldings, plan_simulation
from edgekit.hls.hls4ml_kernels.project import plan_hls4ml_simulation
from edgekit.jobs import ModelRequest, export_model, write_hls_project
from edgekit.keras_models import NETWORKS
from edgekit.targets.boards import BOARDS
from edgekit.tflite.writer import write_tflite

ROOT = Path(__file__).resolve().parents[1]

Files: TypeAlias = dict[str, bytes]
Hashes: TypeAlias = dict[str, str]

DEVICE, BOARD = "rpi4", "ultra96"
SIZE, CLASSES = 32, 10
STOCK = {
    "mobilenet_v1": ("float32", "float16", "dynamic", "int8", "int16x8"),
    "mobilenet_v3_small": ("float32", "float16", "dynamic", "int8"),  # gates
    "sbcformer_xs": ("float32", "float16", "dynamic", "int8"),  # attention
}
ON_EVERY_BOARD = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small")
ON_ONE_BOARD = ("sbcformer_xs",)
WITH_OPTIONS = "mobilenet_v1"
"""Written with the other interface, and with wishes, too."""
WISHES = (100.0, 1e6)
"""Frames a second: one that every board reaches, and one that none does."""
GRAPHS: Mapping[str, Callable[[], IntegerGraph]] = {"every_kernel": every_kernel, "every_product": every_product}
RANDOM_FOLDINGS = 3
RANDOM_GRAPHS = {"plain": PLAIN, "every_op": OP_TYPES}
RANDOM_COUNT, RANDOM_LENGTH = 50, 12
"""Graphs of each kind, and the ops that each has at least."""
COMMANDS = ("models", "train", "export", "hls", "verify", "evaluate", "bench", "report", "doctor")

ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Sums of floats then have one order, on which quantized weights depend; and groups side by side do not slow each other down."""


def groups() -> dict[str, Callable[[], Files]]:
    """What makes each group. The slowest come first, so that no process is left alone with one in the end."""
    made: dict[str, Callable[[], Files]] = {f"hls/{name}": partial(network_projects, name, tuple(BOARDS)) for name in ON_EVERY_BOARD[::-1]}
    made |= {f"hls/{name}": partial(network_projects, name, (BOARD,)) for name in ON_ONE_BOARD}
    made |= {f"bundle/{name}/qfx": partial(bundle, name, "qfx") for name in reversed(NETWORKS)}
    made |= {f"bundle/{name}/{precision}": partial(bundle, name, precision) for name, all_of in STOCK.items() for precision in all_of}
    made |= {f"random_graphs/{kind}": partial(random_graph_files, kind) for kind in RANDOM_GRAPHS}
    made |= {f"hls/{name}": partial(graph_projects, graph) for name, graph in GRAPHS.items()}
    made |= {"stock_hls/every_kernel": lambda: plan_hls4ml_project(every_kernel(), BOARDS[BOARD]), "command_line": command_line_texts}
    return made


def seeded(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def under(folder: str, files: Mapping[str, bytes]) -> Files:
    return {f"{folder}/{name}": content for name, content in files.items()}


def files_or_refusal(make: Callable[[], Mapping[str, bytes]]) -> Files:
    try:
        return dict(make())
    except EdgekitError as error:
        return {"refused.txt": str(error).encode()}


def folder_files(done: Any) -> Files:
    """The files of a folder that edgekit wrote, and what it warned of and noted."""
    files = {path.relative_to(done.folder).as_posix(): path.read_bytes() for path in done.folder.rglob("*") if path.is_file()}
    return files | {"said.txt": "\n".join((*done.warnings, *done.notes)).encode()}


def of_zoo(network: str) -> ModelRequest:
    return ModelRequest(network, alpha=min(NETWORKS[network].alphas), size=SIZE, classes=CLASSES)


def bundle(network: str, precision: str) -> Files:
    return folder_files(export_model(of_zoo(network), target=DEVICE, precision=precision, output=Path("bundle")))


def project(request: ModelRequest, board: str, **options: Any) -> Files:
    """With the planner's estimates and foldings, for boards that it does not fit too."""
    with tempfile.TemporaryDirectory() as folder:
        return files_or_refusal(lambda: folder_files(write_hls_project(request, board=board, output=Path(folder) / "project", **options)))


def network_projects(network: str, boards: tuple[str, ...]) -> Files:
    """The first is made of the zoo's network, the others of the integer graph that is in it: quantizing takes longest."""
    first = project(of_zoo(network), BOARD)
    Path("model.onnx").write_bytes(first["model.onnx"])
    request = ModelRequest("model.onnx")
    files = under(BOARD, first)
    for board in boards:
        if board != BOARD:
            files |= under(board, project(request, board, interface=BOARDS[board].interfaces[0]))
    if network == WITH_OPTIONS:
        files |= under("axi-stream", project(request, BOARD, interface="axi-stream"))
        for fps in WISHES:
            files |= under(f"{fps:g}_fps", project(request, BOARD, fps=fps))
    return files


def graph_projects(make: Callable[[], IntegerGraph]) -> Files:
    graph = make()
    Path("model.onnx").write_bytes(write_onnx(graph))
    foldings: dict[str, FoldingPlan] = {"planned": {}, "moderate": moderate_foldings(graph)}
    foldings |= {f"random_{seed}": random_plan(graph, np.random.default_rng(seed)) for seed in range(RANDOM_FOLDINGS)}
    files: Files = {}
    for name, folding in foldings.items():
        Path("folding.json").write_bytes(folding_json(folding))
        files |= under(name, project(ModelRequest("model.onnx"), BOARD, folding=Path("folding.json")))
    return files


def random_graph_files(kind: str) -> Files:
    files: Files = {}
    for number in range(RANDOM_COUNT):
        rng = seeded(f"{kind}/{number}")
        graph = random_graph(rng, RANDOM_GRAPHS[kind], RANDOM_LENGTH)
        values = run(graph, random_inputs(rng, graph))
        onnx = write_onnx(graph)
        made = {"model.onnx": onnx, "read_back.onnx": write_onnx(read_onnx(onnx)), "model.tflite": write_tflite(graph)}
        made |= {f"values/{name}": repr((values[name].dtype, values[name].shape)).encode() + values[name].tobytes() for name in values}
        made |= under("folded_hls", plan_simulation(graph, BOARDS[BOARD], random_plan(graph, rng)))
        made |= under("stock_hls", files_or_refusal(partial(plan_hls4ml_simulation, graph, BOARDS[BOARD])))
        files |= under(str(number), made)
    return files


def command_line_texts() -> Files:
    words = [(), *((command,) for command in COMMANDS)]
    asked = {" ".join(("edgekit", *command, "--help")): (*command, "--help") for command in words}
    asked |= {"edgekit models --json": ("models", "--json"), "edgekit models": ("models",)}
    return {name: subprocess.check_output([sys.executable, "-m", "edgekit", *one]) for name, one in asked.items()}


def hashes_of(files: Mapping[str, bytes]) -> Hashes:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def write_json(hashes: Hashes, output: Path) -> None:
    output.write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def in_own_process(group: str) -> Hashes:
    """Raises RuntimeError with what the process printed, where it failed."""
    with tempfile.TemporaryDirectory(prefix="edgekit-written-") as name:
        output, folder = Path(name) / "hashes.json", Path(name) / "work"
        folder.mkdir()
        settings = {"PYTHONPATH": str(ROOT / "src"), "EDGEKIT_CACHE": str(Path(name) / "cache"), "COLUMNS": "100"}
        command = [sys.executable, str(Path(__file__).resolve()), "--group", group, "-o", str(output)]
        done = subprocess.run(command, cwd=folder, env={**os.environ, **ONE_THREAD, **settings}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the group '{group}' failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        found: Hashes = json.loads(output.read_text(encoding="utf-8"))
        return found


def make_all(chosen: list[str], jobs: int) -> Hashes:
    """The hashes of some groups. The names begin with the group's."""
    start, hashes = time.monotonic(), Hashes()
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = {pool.submit(in_own_process, group): group for group in chosen}
        for number, future in enumerate(as_completed(waiting), 1):
            group, found = waiting[future], future.result()
            hashes |= {f"{group}/{name}": digest for name, digest in found.items()}
            seconds = time.monotonic() - start
            print(f"{seconds:4.0f} s: {number} of {len(chosen)}, {group}: {len(found)} files", file=sys.stderr, flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    return hashes


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A folder with the files of a commit."""
    with tempfile.TemporaryDirectory(prefix="edgekit-worktree-") as name:
        folder = Path(name) / "tree"
        try:
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", folder, revision], cwd=ROOT, check=True)
            yield folder
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, check=False, capture_output=True)


def made_by(revision: str, only: str, jobs: int) -> Hashes:
    """What a commit's own copy of this script says."""
    with worktree(revision) as tree:
        output = tree / "hashes.json"
        command = [sys.executable, tree / "scripts" / Path(__file__).name, "-o", output, "--only", only, "--jobs", str(jobs)]
        subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree / "src")}, check=True)
        found: Hashes = json.loads(output.read_text(encoding="utf-8"))
        return found


def known_hashes(against: str, only: str, jobs: int) -> Hashes:
    """Those to compare with. Raises OSError or CalledProcessError where there are none."""
    if not against.endswith(".json"):
        return made_by(against, only, jobs)
    known = json.loads(Path(against).read_text(encoding="utf-8"))
    return {name: digest for name, digest in known.items() if name.startswith(only)}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """A line for each file that is not the same."""
    lines = []
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            what = "new" if name not in before else "missing" if name not in after else "differs"
            lines.append(f"{what}: {name}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Hashes of every kind of file that edgekit writes, to show that a change changes none.")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the hashes as JSON")
    parser.add_argument("--against", metavar="REV", help="a commit, or a .json file of hashes, to compare with")
    parser.add_argument("--only", metavar="PREFIX", default="", help="only groups that begin so, such as hls/ or bundle/mobilenet_v2")
    parser.add_argument("--jobs", type=int, default=2, help="groups that are made side by side (%(default)s)")
    parser.add_argument("--group", help=argparse.SUPPRESS)  # makes one group, in this process and folder
    wanted = parser.parse_args()
    if wanted.output is None and wanted.against is None:
        parser.error("give -o, --against, or both")
    if wanted.group:
        write_json(hashes_of(groups()[wanted.group]()), wanted.output)
        return 0
    chosen = [group for group in groups() if group.startswith(wanted.only)]
    if wanted.against and not chosen:
        parser.error(f"no group begins with '{wanted.only}'; there are {', '.join(sorted(groups()))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the worktree is removed then too
    before: Hashes = {}
    if wanted.against:
        try:
            before = known_hashes(wanted.against, wanted.only, wanted.jobs)
        except (OSError, subprocess.CalledProcessError) as error:  # git and the other script have said why
            parser.error(f"nothing to compare with: {error}")
    after = make_all(chosen, wanted.jobs)
    if wanted.output:
        write_json(after, wanted.output)
    if not wanted.against:
        return 0
    found = differences(before, after)
    equal = sum(before.get(name) == digest for name, digest in after.items())
    print("\n".join([*found, f"{equal} files are equal, {len(found)} are not"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
