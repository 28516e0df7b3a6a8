"""The board's part of a project as a plan: accelerator, block design, drivers. The same graph and board always give the same bytes.

Data flows so: driver or application -> memory -> accelerator.cpp (AXI masters) -> the network's streams -> memory -> driver.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from math import ceil, prod
from string import Template

from edgekit.graph import IntegerGraph, Tensor
from edgekit.targets.boards import AXI_MASTER, Board, check_interface

FRAMES_MAX = 4096
FRAMES_BUFFERED = 64
"""Images a call that the device tree's buffer has room for."""
BURST_WORDS = 64
REGISTERS = {"images": 0x10, "results": 0x1C, "frames": 0x28}
"""Where Vitis HLS puts the arguments in the control port: 64-bit addresses take two words and one that is reserved."""
CONTROL_ADDRESSES = {"zynq_ultra_ps_e": 0xA000_0000, "processing_system7": 0x4000_0000}
COMPILERS = {"zynq_ultra_ps_e": "aarch64-linux-gnu-g++", "processing_system7": "arm-linux-gnueabihf-g++"}
APPLICATION = "application"
VERBATIM = ("mover.h", "driver.py")


@dataclass(frozen=True)
class StreamTypes:
    """C++ types of the tokens that the network's top function takes and gives."""

    input: str
    outputs: tuple[str, ...]


def plan_board(graph: IntegerGraph, board: Board, types: StreamTypes) -> dict[str, bytes]:
    """Everything beside the network's own sources: `make bitstream`, `make application`, `make deploy`.

    Raises:
        EdgekitError: the board has no AXI master interface.
    """
    check_interface(board, AXI_MASTER)
    words = _words(graph, board, types)
    family = board.part.processing_system
    templates = {
        "accelerator.h": "accelerator.h",
        "accelerator.cpp": "accelerator.cpp",
        "testbench_accelerator.cpp": "testbench_accelerator.cpp",
        "build_bitstream.tcl": "build_bitstream.tcl",
        "processing_system.tcl": f"{family}.tcl",
        "overlay.dts": f"overlay_{family}.dts",
        "board.mk": "board.mk",
        f"{APPLICATION}/facts.h": "facts.h",
    }
    plan = {name: Template(_read(template)).substitute(words).encode() for name, template in templates.items()}
    plan |= {name: _read(name).encode() for name in VERBATIM}
    sources = resources.files("edgekit.fpga_projects").joinpath(APPLICATION)
    plan |= {f"{APPLICATION}/{source.name}": source.read_bytes() for source in sources.iterdir() if source.name.endswith((".cc", ".h"))}
    plan["accelerator.json"] = (json.dumps(accelerator_facts(graph, board), indent=1) + "\n").encode()
    return plan


def accelerator_facts(graph: IntegerGraph, board: Board) -> dict[str, object]:
    """What a driver has to know. Sizes in bytes; `first`: where an output begins in a result."""
    word = board.part.hp_port_bits // 8
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
    }


def _tensor(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "shape": list(tensor.shape), "signed": tensor.signed, "binary_point": tensor.binary_point}


def _padded(tensor: Tensor, word: int) -> int:
    return ceil(prod(tensor.shape) / word) * word


def _words(graph: IntegerGraph, board: Board, types: StreamTypes) -> dict[str, str | int]:
    word = board.part.hp_port_bits // 8
    family = board.part.processing_system
    tensors = [graph.tensors[name] for name in graph.outputs]
    values = [prod(tensor.shape) for tensor in tensors]
    result_bytes = [_padded(tensor, word) for tensor in tensors]
    image_words, result_words = _padded(graph.tensors[graph.input], word) // word, sum(result_bytes) // word
    streams = [f"output{index}" for index in range(len(tensors))]
    writes, first = [], 0
    for stream, count, size in zip(streams, values, result_bytes, strict=True):
        writes.append(
            f"    edgekit::write_result<{count}, edgekit::word_bytes>({stream}, results, index * edgekit::result_words + {first});"
        )
        first += size // word
    masters = ("images", "results")
    connections = [
        f"connect_bd_intf_net [get_bd_intf_pins accelerator/m_axi_{name}] [get_bd_intf_pins memory/S{index:02d}_AXI]"
        for index, name in enumerate(masters)
    ]
    declared = [
        f'    hls::stream<{kind}> {stream}("{stream}");\n    #pragma HLS STREAM variable={stream} depth=32'
        for kind, stream in zip(types.outputs, streams, strict=True)
    ]
    return {
        "board": board.title,
        "name": graph.name,
        "part": board.part.name,
        "board_part": board.board_part,
        "carrier": f"set_property board_connections {{{board.carrier}}} [current_project]" if board.carrier else "# not on a carrier card",
        "clock_mhz": f"{board.clock_mhz:g}",
        "clock_hz": round(board.clock_mhz * 1e6),
        "hp_port_bits": board.part.hp_port_bits,
        "masters": len(masters),
        "connect_memories": "\n".join(connections),
        "compiler": COMPILERS[family],
        "weights_file": "",
        "control_address": f"0x{CONTROL_ADDRESSES[family]:08X}",
        "buffer_bytes": f"0x{FRAMES_BUFFERED * (image_words + result_words) * word:x}",
        "word_bytes": word,
        "image_words": image_words,
        "result_words": result_words,
        "image_bytes": image_words * word,
        "result_bytes": result_words * word,
        "frames_max": FRAMES_MAX,
        "burst": BURST_WORDS,
        "depth_images": image_words,
        "depth_results": result_words,
        **{f"register_{name}": f"0x{address:02x}" for name, address in REGISTERS.items()},
        "input_type": types.input,
        "input_values": prod(graph.tensors[graph.input].shape),
        "output_values": ", ".join(map(str, values)),
        "output_spans": ", ".join(f"{{{count}, {size}}}" for count, size in zip(values, result_bytes, strict=True)),
        "declare_outputs": "\n".join(declared),
        "outputs": ", ".join(streams),
        "write_outputs": "\n".join(writes),
    }


def _read(name: str) -> str:
    return resources.files("edgekit.fpga_projects").joinpath("templates", name).read_text()
