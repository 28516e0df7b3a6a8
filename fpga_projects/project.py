"""The board's part of a project as a plan: accelerator, block design, drivers. The same graph and board always give the same bytes.

Data flows so: driver or application -> memory -> accelerator.cpp (AXI masters) -> the network's streams -> memory -> driver.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from math import ceil, prod
from string import Template

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, Tensor
from edgekit.hls import MEMORY_FOLDER, TopFunction
from edgekit.targets import AXI_MASTER, WEIGHT_READERS_MAX, Board, check_interface

FRAMES_MAX = 4096
FRAMES_BUFFERED = 64
"""Images a call that the device tree's buffer has room for."""
BURST_WORDS = 64
REGISTERS = {"images": 0x10, "results": 0x1C, "frames": 0x28}
FIRST_MEMORY_REGISTER, REGISTER_STEP = 0x30, 12
"""Where Vitis HLS puts the arguments in the control port: 64-bit addresses take two words and one that is reserved."""
APPLICATION_FOLDER = "application"
"""The program for the board, in a project: firmware/zynq, and what it shares with the latency application."""
SHARED_SOURCES = ("errors.h", "files.cc", "files.h")
VERBATIM = ("mover.h", "driver.py", "board.py")
PAGE = 4096
"""Each layer's weights start at a multiple of it: no burst may cross one."""


def plan_board(graph: IntegerGraph, board: Board, top: TopFunction) -> dict[str, bytes]:
    """Everything beside the network's own sources: `make bitstream`, `make application`, `make deploy`.

    Raises:
        EdgekitError: the board has no AXI master interface, or too many layers have their weights in memory.
    """
    check_interface(board, AXI_MASTER)
    if len(top.memories) > WEIGHT_READERS_MAX:
        raise EdgekitError(
            f"{len(top.memories)} layers read their weights from DDR; beside images and results the interconnect has room for"
            f" {WEIGHT_READERS_MAX}. Place some of them in ROM with --folding"
        )
    words = _words(graph, board, top)
    family = board.part.processing_system.name
    templates = {
        "accelerator.h": "accelerator.h",
        "accelerator.cpp": "accelerator.cpp",
        "testbench_accelerator.cpp": "testbench_accelerator.cpp",
        "build_bitstream.tcl": "build_bitstream.tcl",
        "processing_system.tcl": f"{family}.tcl",
        "overlay.dts": f"overlay_{family}.dts",
        "board.mk": "board.mk",
        f"{APPLICATION_FOLDER}/facts.h": "facts.h",
    }
    plan = {name: Template(read_template(template)).substitute(words).encode() for name, template in templates.items()}
    plan |= {name: read_template(name).encode() for name in VERBATIM}
    plan |= application_sources()
    plan["accelerator.json"] = (json.dumps(accelerator_facts(graph, board, top), indent=1) + "\n").encode()
    return plan


def application_sources(variant: str = "") -> dict[str, bytes]:
    """The program for the board. `variant`: a folder of firmware/zynq whose files take the place of those of the same name."""
    firmware = resources.files("edgekit.firmware")
    core = firmware.joinpath("latency", "core")
    found = {source.name: source for source in firmware.joinpath("zynq").iterdir() if source.name.endswith((".cc", ".h"))}
    if variant:
        found |= {source.name: source for source in firmware.joinpath("zynq", variant).iterdir()}
    found |= {f"core/{name}": core.joinpath(name) for name in SHARED_SOURCES}
    return {f"{APPLICATION_FOLDER}/{name}": source.read_bytes() for name, source in found.items()}


def accelerator_facts(graph: IntegerGraph, board: Board, top: TopFunction) -> dict[str, object]:
    """What a driver has to know. Sizes in bytes; `first`: where an output begins in a result."""
    word = board.part.processing_system.hp_port_bits // 8
    outputs, first = [], 0
    for name in graph.outputs:
        tensor = graph.tensors[name]
        outputs.append({**_tensor(tensor), "first": first})
        first += _padded(tensor, word)
    return {
        "network": graph.name,
        "board": board.name,
        "ip": "accelerator",
        "clock_mhz": board.clock_mhz,
        "frames_max": FRAMES_MAX,
        "registers": REGISTERS,
        "image_values": prod(graph.tensors[graph.input].shape),
        "image_bytes": _padded(graph.tensors[graph.input], word),
        "result_bytes": first,
        "input": _tensor(graph.tensors[graph.input]),
        "outputs": outputs,
        "memories": [weights.to_json() for weights in _placed(top)],
    }


@dataclass(frozen=True, kw_only=True)
class PlacedWeights:
    """Weights of one layer in the block of memory that holds those of all: `size` bytes of `file`, from the `first` byte of the block on.

    `register`: the address of the accelerator's register that is told where they are.
    """

    name: str
    file: str
    register: int
    first: int
    size: int

    @property
    def room(self) -> int:
        """Bytes up to where the next layer's may begin."""
        return ceil(self.size / PAGE) * PAGE

    def to_json(self) -> dict[str, str | int]:
        return {"name": self.name, "file": self.file, "register": self.register, "first": self.first, "bytes": self.size}


def _placed(top: TopFunction) -> list[PlacedWeights]:
    found: list[PlacedWeights] = []
    first = 0
    for index, memory in enumerate(top.memories):
        register = FIRST_MEMORY_REGISTER + REGISTER_STEP * index
        file, size = f"{MEMORY_FOLDER}/{memory.name}.bin", memory.words * memory.word_bytes
        found.append(PlacedWeights(name=memory.name, file=file, register=register, first=first, size=size))
        first += found[-1].room
    return found


def _tensor(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "shape": list(tensor.shape), "signed": tensor.signed, "binary_point": tensor.binary_point}


def _padded(tensor: Tensor, word: int) -> int:
    return ceil(prod(tensor.shape) / word) * word


def _words(graph: IntegerGraph, board: Board, top: TopFunction) -> dict[str, str | int]:
    """What the templates have in the place of $words."""
    system = board.part.processing_system
    word = system.hp_port_bits // 8
    values = [prod(graph.tensors[name].shape) for name in graph.outputs]
    result_bytes = [_padded(graph.tensors[name], word) for name in graph.outputs]
    image_bytes, memories = _padded(graph.tensors[graph.input], word), _placed(top)
    weight_bytes = sum(weights.room for weights in memories)
    buffer_bytes = FRAMES_BUFFERED * (image_bytes + sum(result_bytes)) + weight_bytes + PAGE
    return {
        **_cpp_words(graph, top, word),
        **system_words(board),
        **dict.fromkeys(("second_port_settings", "second_port_clock", "second_port"), ""),
        "simulation": read_template("accelerator_csim.mk"),
        "simulation_targets": "csim_accelerator ",
        "carried": "driver.py board.py accelerator.json tb_data",
        "carried_last": "\ttest ! -d firmware/memory || $(SCP) -r firmware/memory $(BOARD):$(DESTINATION)/firmware",
        "name": graph.name,
        "masters": 2 + len(memories),
        "connect_memories": "\n".join(
            f"connect_bd_intf_net [get_bd_intf_pins accelerator/m_axi_{name}] [get_bd_intf_pins memory/S{index:02d}_AXI]"
            for index, name in enumerate(("images", "results", *(memory.name for memory in top.memories)))
        ),
        "buffer_bytes": f"0x{ceil(buffer_bytes / PAGE) * PAGE:x}",
        "image_bytes": image_bytes,
        "result_bytes": sum(result_bytes),
        "output_spans": ", ".join(f"{{{count}, {size}}}" for count, size in zip(values, result_bytes, strict=True)),
        "memories": ", ".join(f'{{"{one.file}", {one.first}, {one.size}, {one.register}}}' for one in memories),
        "memory_count": len(memories),
        "weight_bytes": weight_bytes,
    }


def system_words(board: Board) -> dict[str, str | int]:
    """What the templates of block design and drivers have in the place of $words, whatever the accelerator."""
    system = board.part.processing_system
    carrier = f"set_property board_connections {{{board.carrier}}} [current_project]" if board.carrier else "# not on a carrier card"
    return {
        "board": board.title,
        "part": board.part.name,
        "board_part": board.board_part,
        "carrier": carrier,
        "clock_mhz": f"{board.clock_mhz:g}",
        "clock_hz": round(board.clock_mhz * 1e6),
        "hp_port_bits": system.hp_port_bits,
        "compiler": system.compiler,
        "control_address": f"0x{system.control_address:08X}",
        "unit_address": f"{system.control_address:x}",
    }


def _cpp_words(graph: IntegerGraph, top: TopFunction, word: int) -> dict[str, str | int]:
    """What the templates of the accelerator's C++ have in the place of $words."""
    values = [prod(graph.tensors[name].shape) for name in graph.outputs]
    sizes = [_padded(graph.tensors[name], word) // word for name in graph.outputs]
    image_words = _padded(graph.tensors[graph.input], word) // word
    streams = [f"output{index}" for index in range(len(values))]
    writes = [
        f"    edgekit::write_result<{count}, edgekit::word_bytes>({stream}, results, index * edgekit::result_words + {sum(sizes[:index])});"
        for index, (stream, count) in enumerate(zip(streams, values, strict=True))
    ]
    declared = [
        f'    hls::stream<{kind}> {stream}("{stream}");\n    #pragma HLS STREAM variable={stream} depth=32'
        for kind, stream in zip(top.output_types, streams, strict=True)
    ]
    names = [memory.name for memory in top.memories]
    pointers = [f"{memory.cpp_type} {memory.name}[{memory.words}]" for memory in top.memories]
    data = ["const edgekit::word_t *images", "edgekit::word_t *results"]
    loads = [
        f'    std::vector<{one.cpp_type}> {one.name} = read_words<{one.cpp_type}>("{MEMORY_FOLDER}/{one.name}.bin", {one.word_bytes});'
        for one in top.memories
    ]
    return {
        "word_bytes": word,
        "image_words": image_words,
        "result_words": sum(sizes),
        "frames_max": FRAMES_MAX,
        "input_type": top.input_type,
        "input_values": prod(graph.tensors[graph.input].shape),
        "output_values": ", ".join(map(str, values)),
        "declare_outputs": "\n".join(declared),
        "write_outputs": "\n".join(writes),
        "parameters": ", ".join([*data, *pointers, "unsigned frames"]),
        "frame_parameters": ", ".join([*data, *pointers, "unsigned index"]),
        "frame_arguments": ", ".join(["images", "results", *names, "index"]),
        "network_arguments": ", ".join([*streams, *names]),
        "testbench_arguments": ", ".join(["images.data()", "results.data()", *(f"{name}.data()" for name in names), "frames"]),
        "load_memories": "\n".join(loads),
        "interface": "\n".join(_interface(top, image_words, sum(sizes))),
        **{f"register_{name}": f"0x{address:02x}" for name, address in REGISTERS.items()},
    }


def _interface(top: TopFunction, image_words: int, result_words: int) -> list[str]:
    """An AXI master a memory, and the register of its address."""
    bursts = {"images": "max_read_burst_length", "results": "max_write_burst_length"}
    ports = [("images", image_words, REGISTERS["images"]), ("results", result_words, REGISTERS["results"])]
    ports += [(memory.name, memory.words, FIRST_MEMORY_REGISTER + REGISTER_STEP * index) for index, memory in enumerate(top.memories)]
    lines = []
    for name, depth, register in ports:
        burst = bursts.get(name, "max_read_burst_length")
        outstanding = burst.replace("max_", "num_").replace("_burst_length", "_outstanding")
        lines.append(
            f"    #pragma HLS INTERFACE m_axi port={name} bundle={name} offset=slave depth={depth} {burst}={BURST_WORDS} {outstanding}=8"
        )
        lines.append(f"    #pragma HLS INTERFACE s_axilite port={name} bundle=control offset=0x{register:02x}")
    return lines


def read_template(name: str) -> str:
    """A file of fpga_projects/templates."""
    return resources.files("edgekit.fpga_projects").joinpath("templates", name).read_text()
