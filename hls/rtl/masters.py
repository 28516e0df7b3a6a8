"""The accelerator in simulation: AXI masters beside the stages that read and write memory, and a memory with latency and bursts.

Vitis HLS makes bursts of a loop whose addresses ascend by one. That they do is checked here, word by word; how soon a burst follows
another is assumed (`axi.v`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from edgekit.hls.rtl.circuit import MemoryPorts, StageRtl
from edgekit.hls.rtl.pipeline import hex_text, pipeline_files, waiting_memories
from edgekit.hls.rtl.project import ProjectRtl

IDLE_MAX = 100_000
"""Cycles without a step of any stage after which the accelerator stands still for good."""


@dataclass(frozen=True)
class MemoryModel:
    """`latency`: cycles from a burst's address to its first word, or from its last word to the answer; `bytes_per_cycle`: of all masters
    together."""

    latency: int
    bytes_per_cycle: float

    @property
    def options(self) -> list[str]:
        """As the simulation takes them."""
        return [f"+latency={self.latency}", f"+rate={round(1024 * self.bytes_per_cycle)}"]


@dataclass(frozen=True)
class _Master:
    """`start`: the first word of its loop's first call; `stride`: words from a call's to the next one's; `words`: of a call. `file`: what
    the memory reads or writes."""

    stage: StageRtl
    port: MemoryPorts
    start: int
    stride: int
    words: int
    word_bytes: int
    file: str

    @property
    def name(self) -> str:
        return f"{self.stage.name}_{self.port.name}"


def result_file(output: int) -> str:
    """Where the simulation leaves an output's words."""
    return f"results{output}.hex"


def accelerator_files(rtl: ProjectRtl, frames: int, outputs: Sequence[int], shown: Iterable[str]) -> dict[str, str]:
    """The files of the simulation, by name, but for images.hex, which has the words of the images, of `frames` at most.

    `outputs`: values of each output in a frame, a byte each, which lie one output behind the other in the words of a result.
    """
    files = {"axi.v": resources.files("edgekit.hls.rtl").joinpath("axi.v").read_text()}
    files |= {f"{array}.hex": hex_text(stored.words, stored.width) for array, stored in rtl.stored.items() if stored.words}
    masters = list(_masters(rtl, frames, outputs))
    bytes_of = ", ".join(f"32'd{one.word_bytes}" for one in reversed(masters))
    lines = [f"  wire [{len(masters) - 1}:0] want, grant;"]
    lines.append(f"  memory_time #({len(masters)}, {{{bytes_of}}}) of_memory_time(clk, rst, want, grant);")
    for place, one in enumerate(masters):
        lines += _writing(place, one) if one.port.enables else _reading(place, one)
    steps = " | ".join(f"fire_{stage.name}" for stage in rtl.stages)
    lines += ["  integer idle = 0;", f"  always @(posedge clk) idle <= ({steps}) ? 0 : idle + 1;"]
    lines += [f"  assign stuck = idle > {IDLE_MAX};", "  assign in_ready = 0;"]
    done = " & ".join(f"(ended_{one.name} >= frames)" for one in masters if one.port.enables)
    return files | pipeline_files(rtl, shown, lines, done, 8)


def _masters(rtl: ProjectRtl, frames: int, outputs: Sequence[int]) -> Iterator[_Master]:
    """Weights are read again for each frame; images and results lie one behind the other."""
    start, left = 0, list(enumerate(outputs))
    for stage, port in waiting_memories(rtl):
        stored = rtl.stored[port.array]
        words, word_bytes = port.words, stored.word_bytes
        if port.enables:
            output, values = left.pop(0)
            size = -(-values // word_bytes)
            yield _Master(stage, port, start, words // frames, size, word_bytes, result_file(output))
            start += size
        elif stored.words:
            yield _Master(stage, port, 0, 0, words, word_bytes, f"{port.array}.hex")
        else:
            yield _Master(stage, port, 0, words // frames, words // frames, word_bytes, f"{port.array}.hex")


def _parameters(one: _Master) -> str:
    port = one.port
    return f"#({port.width}, {one.word_bytes}, {port.address_bits}, {one.start}, {one.stride}, {one.words})"


def _model(one: _Master) -> str:
    return f'#(.WIDTH({one.port.width}), .WORDS({one.port.words}), .FILE("{one.file}"))'


def _reading(place: int, one: _Master) -> list[str]:
    n, loop = one.name, ", ".join(f"{one.name}_{port}" for port in ("ready", "valid", "address", "data"))
    between = ", ".join(f"{n}_{port}" for port in ("arvalid", "araddr", "arlen", "rvalid", "rdata", "rlast"))
    return [
        f"  wire {n}_arvalid, {n}_rvalid, {n}_rlast; wire [31:0] {n}_araddr, {n}_arlen; wire [{one.port.width - 1}:0] {n}_rdata;",
        f"  axi_reader {_parameters(one)} master_{n}(clk, rst, {loop}, {between});",
        f"  memory_read {_model(one)} memory_{n}(clk, rst, cycle, want[{place}], grant[{place}], {between});",
    ]


def _writing(place: int, one: _Master) -> list[str]:
    """A frame has ended for this output when the memory has said that all its words are there."""
    n, loop = one.name, ", ".join(f"{one.name}_{port}" for port in ("valid", "ready", "address", "data"))
    between = ", ".join(f"{n}_{port}" for port in ("wvalid", "wready", "waddr", "wdata", "wlast", "bvalid", "blen"))
    return [
        f"  wire {n}_wvalid, {n}_wready, {n}_wlast, {n}_bvalid; wire [31:0] {n}_waddr, {n}_blen, {n}_written;",
        f"  wire [{one.port.width - 1}:0] {n}_wdata;",
        f"  axi_writer {_parameters(one)} master_{n}(clk, rst, {n}_written, {loop}, {between});",
        f"  memory_write {_model(one)} memory_{n}(clk, rst, cycle, want[{place}], grant[{place}], {between});",
        f"  integer ended_{n} = 0;",
        f"  always @(posedge clk) if (!rst & {n}_written >= (ended_{n} + 1) * {one.words} & ended_{n} < frames) begin",
        f'    ended_{n} <= ended_{n} + 1; $display("end %0d %0d", ended_{n}, cycle); end',
    ]
