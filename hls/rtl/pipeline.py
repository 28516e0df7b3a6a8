"""The whole network as one Verilog module: stages, their memories, and FIFOs of the planned depths between them.

The module writes what passes through the streams that are looked at into files, and says when each frame ends and how full each FIFO was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgekit.errors import EdgekitError
from edgekit.hls.rtl.circuit import MemoryPorts, StageRtl
from edgekit.hls.rtl.project import ProjectRtl

TOP = "network"
FIFO = """\
module fifo #(parameter WIDTH = 8, DEPTH = 2, NUMBER = 0) (
  input clk, input rst,
  input in_valid, output in_ready, input [WIDTH-1:0] in_data,
  output out_valid, input out_ready, output [WIDTH-1:0] out_data
);
  localparam BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  reg [WIDTH-1:0] tokens [0:DEPTH-1];
  reg [BITS-1:0] first = 0, next = 0;
  integer waiting = 0, high = 0, full = 0, empty = 0, room = DEPTH, shortened;
  initial if ($value$plusargs("shortened=%d", shortened) && shortened == NUMBER) void'($value$plusargs("room=%d", room));
  assign in_ready = waiting < room;
  assign out_valid = waiting != 0;
  assign out_data = tokens[first];
  always @(posedge clk) if (!rst) begin
    if (in_valid & in_ready) begin tokens[next] <= in_data; next <= next == BITS'(DEPTH - 1) ? 0 : next + 1'b1; end
    if (out_valid & out_ready) first <= first == BITS'(DEPTH - 1) ? 0 : first + 1'b1;
    waiting <= waiting + ((in_valid & in_ready) ? 1 : 0) - ((out_valid & out_ready) ? 1 : 0);
    if (waiting > high) high <= waiting;
    if (in_valid & !in_ready) full <= full + 1;
    if (out_ready & !out_valid) empty <= empty + 1;
  end
  final $display("fifo %0d %0d %0d %0d", NUMBER, high, full, empty);
endmodule
"""
"""`full`, `empty`: cycles in which nothing but this FIFO keeps the stage before it, or behind it, waiting."""


def memory_module(name: str, memory: MemoryPorts, registered: bool) -> str:
    """A memory of a stage. `registered`: as a block RAM reads, the word a cycle later; else in the same one, as `translate` has it."""
    bits, width = memory.address_bits, memory.width
    ports = [
        "input clk",
        *(f"input [{bits - 1}:0] a{port}, output {'reg ' if registered else ''}[{width - 1}:0] q{port}" for port in range(memory.reads)),
    ]
    style = '(* ram_style = "block", rom_style = "block" *) ' if registered else ""
    lines = [f"  {style}reg [{width - 1}:0] words [0:{memory.words - 1}];"]
    if memory.content is not None:
        lines.append(f'  initial $readmemh("{name}.hex", words);')
    if memory.enables:
        ports.append(f"input [{memory.enables - 1}:0] we, input [{bits - 1}:0] wa, input [{width - 1}:0] wd")
    for part in range(memory.enables):
        lane = width // memory.enables
        place = f"[{(part + 1) * lane - 1}:{part * lane}]"
        lines.append(f"  always @(posedge clk) if (we[{part}]) words[wa]{place} <= wd{place};")
    for port in range(memory.reads):
        lines.append(f"  always @(posedge clk) q{port} <= words[a{port}];" if registered else f"  assign q{port} = words[a{port}];")
    return "\n".join([f"module {name} ({', '.join(ports)});", *lines, "endmodule", ""])


def hex_text(words: Iterable[int], width: int) -> str:
    """As $readmemh reads it."""
    mask = (1 << width) - 1
    return "".join(f"{word & mask:x}\n" for word in words)


def network_files(rtl: ProjectRtl, tokens: Mapping[str, int], shown: Iterable[str]) -> dict[str, str]:
    """The files of the simulation of the network alone, by name. What lies in memory is there at once.

    `tokens`: of a frame, of each stream that leaves the network. `shown`: streams whose tokens are written into `stream`.hex.
    """
    ports = rtl.top.ports
    written = {stream for stage in rtl.stages for stream in stage.outputs}
    sources = [stream for stream in rtl.top.ends if ports[stream] not in written]
    if len(sources) != 1:
        raise EdgekitError(f"a network has one input; this one has {len(sources)}")
    source = ports[sources[0]]
    lines = [f"  assign ir{ports[stream]} = 1;" for stream in rtl.top.ends if stream not in sources]
    lines.append(f"  assign ov{source} = in_valid; assign od{source} = in_data; assign in_ready = or{source};")
    files: dict[str, str] = {}
    ends = []
    for stream, count in tokens.items():
        number = ports[stream]
        lines += [
            f"  integer seen{number} = 0, ended{number} = 0;",
            f"  always @(posedge clk) if (!rst & iv{number}) begin",
            f"    seen{number} <= seen{number} == {count - 1} ? 0 : seen{number} + 1;",
            f"    if (seen{number} == {count - 1}) begin ended{number} <= ended{number} + 1;",
            f'      $display("end %0d %0d", ended{number}, cycle + 1); end',
            "  end",
        ]
        ends.append(f"(ended{number} >= frames)")
    for stage, memory in waiting_memories(rtl):
        name = f"{stage.name}_{memory.name}"
        files[f"{memory.array}.hex"] = hex_text(rtl.stored[memory.array].words, memory.width)
        lines += [
            f"  reg [{memory.width - 1}:0] words_{name} [0:{memory.words - 1}];",
            f'  initial $readmemh("{memory.array}.hex", words_{name});',
            f"  assign {name}_valid = 1; assign {name}_data = words_{name}[{name}_address];",
        ]
    lines.append(f"  assign stuck = !rst & ~({' | '.join(f'fire_{stage.name}' for stage in rtl.stages)});")
    return files | pipeline_files(rtl, shown, lines, " & ".join(ends), rtl.shapes[source].bits)


def pipeline_files(rtl: ProjectRtl, shown: Iterable[str], lines: list[str], done: str, input_bits: int) -> dict[str, str]:
    """Stages, their memories on the chip, and FIFOs. `lines`: what else is in the module; `done`: when all frames are."""
    files = {"fifo.v": FIFO}
    for stage in rtl.stages:
        files[f"{stage.name}.v"] = stage.verilog
        for memory in stage.memories:
            name = f"{stage.name}_{memory.name}"
            if not memory.waits:
                files[f"{name}.v"] = memory_module(name, memory, registered=False)
            if memory.content is not None:
                files[f"{name}.hex"] = hex_text(memory.content, memory.width)
    given = f"input in_valid, output in_ready, input [{input_bits - 1}:0] in_data"
    head = [f"module {TOP} (input clk, input rst, {given}, output done, output stuck);", "  reg [63:0] cycle = 0;"]
    head += ["  always @(posedge clk) if (!rst) cycle <= cycle + 1;", "  integer frames;"]
    head.append('  initial if (!$value$plusargs("frames=%d", frames)) frames = 1;')
    body = [*_streams(rtl, shown), *(line for stage in rtl.stages for line in _instance(stage)), *lines, f"  assign done = {done};"]
    return files | {"network.v": "\n".join([*head, *body, "endmodule", ""])}


def waiting_memories(rtl: ProjectRtl) -> list[tuple[StageRtl, MemoryPorts]]:
    """What lies behind AXI masters."""
    return [(stage, memory) for stage in rtl.stages for memory in stage.memories if memory.waits]


def _streams(rtl: ProjectRtl, shown: Iterable[str]) -> list[str]:
    """Between two stages a FIFO; a file of each stream that is shown."""
    lines: list[str] = []
    written = {stream for stage in rtl.stages for stream in stage.outputs}
    for stream, number in rtl.top.ports.items():
        bits, names = rtl.shapes[number].bits, ("iv", "ir", "ov", "or")
        lines.append(f"  wire {', '.join(f'{name}{number}' for name in names)}; wire [{bits - 1}:0] id{number}, od{number};")
        if stream not in rtl.top.ends:
            made = f"fifo #({bits}, {rtl.top.depths[stream]}, {number}) fifo{number}"
            lines.append(f"  {made}(clk, rst, iv{number}, ir{number}, id{number}, ov{number}, or{number}, od{number});")
    for stream in shown:
        number = rtl.top.ports[stream]
        valid, data = (f"iv{number} & ir{number}", f"id{number}") if number in written else (f"ov{number} & or{number}", f"od{number}")
        lines.append(f'  integer f{number}; initial f{number} = $fopen("{stream}.hex", "w");')
        lines.append(f'  always @(posedge clk) if (!rst & {valid}) $fwrite(f{number}, "%h\\n", {data});')
    return lines


def _instance(stage: StageRtl) -> list[str]:
    name, wires, lines = stage.name, [".clk(clk)", ".rst(rst)", f".fire(fire_{stage.name})"], [f"  wire fire_{stage.name};"]
    for stream in stage.inputs:
        wires += [f".in{stream}_valid(ov{stream})", f".in{stream}_ready(or{stream})", f".in{stream}_data(od{stream})"]
    for stream in stage.outputs:
        wires += [f".out{stream}_valid(iv{stream})", f".out{stream}_ready(ir{stream})", f".out{stream}_data(id{stream})"]
    for memory in stage.memories:
        own, bits = f"{name}_{memory.name}", memory.address_bits
        ports = [(f"a{port}", bits) for port in range(memory.reads)] + [(f"q{port}", memory.width) for port in range(memory.reads)]
        ports += [("we", memory.enables), ("wa", bits), ("wd", memory.width)] if memory.enables else []
        if memory.waits:
            ports = [("ready", 1), ("valid", 1), ("address", bits), ("data", memory.width)]
        lines += [f"  wire [{width - 1}:0] {own}_{port};" for port, width in ports]
        wires += [f".{memory.name}_{port}({own}_{port})" for port, _ in ports]
        if not memory.waits:
            lines.append(f"  {own} memory_{own}({', '.join(['.clk(clk)', *(f'.{port}({own}_{port})' for port, _ in ports)])});")
    return [*lines, f"  {name} of_{name}({', '.join(wires)});"]
