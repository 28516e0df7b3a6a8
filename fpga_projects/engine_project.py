"""The project of an engine as a plan: what its bitstream is made of, the same bytes for every network, and a network's program.

Data flows so: driver -> memory (program, images) -> accelerator.cpp (AXI masters) -> the engine -> memory (results) -> driver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from string import Template

from edgekit.fpga_projects.project import APPLICATION_FOLDER, FRAMES_MAX, application_sources, read_template, system_words
from edgekit.graph import IntegerGraph, run
from edgekit.hls.engine.board_program import ENGINE_FACTS
from edgekit.hls.engine.cost import MATRIX_ROWS, VECTOR_ROWS, Design
from edgekit.hls.engine.pack import identity_of, program_file
from edgekit.hls.engine.program import Program
from edgekit.hls.project.project import interface_rows, test_inputs
from edgekit.hls.simulation.engine import kernel_sources, native_types
from edgekit.targets import AXI_MASTER, Board, check_interface
from edgekit.version import __version__

PROGRAM_FILE = "network.program"
BUFFER_BYTES = 128 << 20
"""Memory that the device tree keeps for program, images and results: the same for every network."""
POINTERS = ("matrix_jobs", "matrix_program", "vector_jobs", "vector_program", "images", "results")
COUNTS, PLACES = ("matrix_count", "vector_count"), ("matrix_at", "vector_at", "rows_at")
NUMBERS = ("engine", "beats", *COUNTS, *PLACES, "image_bytes", "result_words", "frames")
REGISTERS = {name: 0x18 + 12 * index for index, name in enumerate(POINTERS)} | {
    name: 0x18 + 12 * len(POINTERS) + 8 * index for index, name in enumerate(NUMBERS)
}
"""Where Vitis HLS puts the arguments in the control port, behind the value that the function gives (0x10)."""
FIRST_PORT, SECOND_PORT = POINTERS[:2], POINTERS[2:]
"""The masters that share each of the two ports to memory: what one array takes, and the image and the results with the other's."""
SECOND_PORTS = {
    "zynq_ultra_ps_e": {
        "second_port_settings": "        CONFIG.PSU__USE__S_AXI_GP3 1 \\\n        CONFIG.PSU__SAXIGP3__DATA_WIDTH $hp_port_bits \\\n",
        "second_port_clock": " processing_system/saxihp1_fpd_aclk",
        "second_port": "        second_memory processing_system/S_AXI_HP1_FPD \\\n",
    },
    "processing_system7": {
        "second_port_settings": "        CONFIG.PCW_USE_S_AXI_HP1 1 \\\n        CONFIG.PCW_S_AXI_HP1_DATA_WIDTH $hp_port_bits \\\n",
        "second_port_clock": " processing_system/S_AXI_HP1_ACLK",
        "second_port": "        second_memory processing_system/S_AXI_HP1 \\\n",
    },
}
SECOND_SMARTCONNECT = """set second [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect second]
set_property -dict [list CONFIG.NUM_SI $masters CONFIG.NUM_MI 1] $$second
connect_bd_net [get_bd_pins [dict get $$ps clock]] [get_bd_pins second/aclk]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins second/aresetn]
$connections
connect_bd_intf_net [get_bd_intf_pins second/M00_AXI] [get_bd_intf_pins [dict get $$ps second_memory]]"""


def engine_identity(design: Design, board: Board) -> int:
    """The identity of the engine of a board, which its programs name."""
    return identity_of(_synthesized(design, board, 0))


def engine_files(design: Design, board: Board) -> dict[str, bytes]:
    """What is the same for every network: the engine's C++, its bitstream's scripts, the programs for the board. Raises EdgekitError where
    the board has no AXI master interface."""
    check_interface(board, AXI_MASTER)
    identity, family = engine_identity(design, board), board.part.processing_system.name
    words = {**_words(design, board), "identity": f"0x{identity:08x}"}
    templates = {
        "Makefile": "engine_Makefile",
        "testbench.cpp": "engine_testbench.cpp",
        "build_ip.tcl": "engine_build_ip.tcl",
        "build_bitstream.tcl": "build_bitstream.tcl",
        "processing_system.tcl": f"{family}.tcl",
        "overlay.dts": f"overlay_{family}.dts",
        "board.mk": "board.mk",
        f"{APPLICATION_FOLDER}/facts.h": "engine_facts.h",
    }
    plan = {name: Template(read_template(template)).substitute(words).encode() for name, template in templates.items()}
    plan |= _synthesized(design, board, identity) | {f"firmware/{name}": content for name, content in native_types().items()}
    plan |= application_sources("engine")
    plan |= {name: read_template(template).encode() for name, template in (("driver.py", "engine_driver.py"), ("board.py", "board.py"))}
    plan["program_file.py"] = (resources.files("edgekit.hls.engine") / "program_file.py").read_bytes()
    plan[ENGINE_FACTS] = _facts(design, board, identity)
    return plan


def network_files(graph: IntegerGraph, program: Program, design: Design, board: Board) -> dict[str, bytes]:
    """What is the network's: its program for that engine, golden vectors, and the page that says how to go on."""
    inputs = test_inputs(graph.tensors[graph.input])
    values = run(graph, inputs)
    identity = engine_identity(design, board)
    words = {**_words(design, board), "network": graph.name, "identity": f"{identity:08x}", "version": __version__}
    return {
        PROGRAM_FILE: program_file(program, graph, identity),
        "tb_data/inputs.bin": inputs.tobytes(),
        "tb_data/expected.bin": b"".join(values[name][image].tobytes() for image in range(len(inputs)) for name in graph.outputs),
        "README.md": Template(read_template("engine_README.md")).substitute(words, interface="\n".join(interface_rows(graph))).encode(),
    }


def _synthesized(design: Design, board: Board, identity: int) -> dict[str, bytes]:
    """The C++ that the bitstream is of."""
    words = {**_words(design, board), "identity": f"0x{identity:08x}u"}
    plan = {name: Template(read_template(f"engine_{name}")).substitute(words).encode() for name in ("accelerator.h", "accelerator.cpp")}
    return plan | {f"firmware/{name}": content for name, content in kernel_sources(design.size).items()}


def _words(design: Design, board: Board) -> dict[str, str | int]:
    """What the templates have in the place of $words."""
    system = board.part.processing_system
    second = {name: text.replace("$hp_port_bits", str(system.hp_port_bits)) for name, text in SECOND_PORTS[system.name].items()}
    return {
        **system_words(board),
        **second,
        "name": "engine",
        "clock_period_ns": f"{board.clock_period_ns:g}",
        "word_bytes": system.hp_port_bits // 8,
        "frames_max": FRAMES_MAX,
        "matrix_rows": MATRIX_ROWS,
        "vector_rows": VECTOR_ROWS,
        "interface": "\n".join(_interface()),
        "masters": len(FIRST_PORT),
        "connect_memories": _connections(),
        "buffer_bytes": f"0x{BUFFER_BYTES:x}",
        "registers": "\n".join(f"constexpr std::size_t register_{name} = 0x{place:02x};" for name, place in REGISTERS.items()),
        "simulation": "",
        "simulation_targets": "",
        "carried": "driver.py board.py program_file.py engine.json network.program tb_data",
        "carried_last": "",
    }


def _interface() -> list[str]:
    """An AXI master a pointer, and the register of every argument."""
    lines = []
    for name in POINTERS:
        burst = "write" if name == "results" else "read"
        lines.append(
            f"    #pragma HLS INTERFACE m_axi port={name} bundle={name} offset=slave max_{burst}_burst_length=64 num_{burst}_outstanding=8"
        )
    lines += [f"    #pragma HLS INTERFACE s_axilite port={name} bundle=control offset=0x{place:02x}" for name, place in REGISTERS.items()]
    return lines


def _connections() -> str:
    """Tcl: the masters to the two ports."""

    def joined(masters: tuple[str, ...], block: str) -> str:
        return "\n".join(
            f"connect_bd_intf_net [get_bd_intf_pins accelerator/m_axi_{name}] [get_bd_intf_pins {block}/S{index:02d}_AXI]"
            for index, name in enumerate(masters)
        )

    second = Template(SECOND_SMARTCONNECT).substitute(masters=len(SECOND_PORT), connections=joined(SECOND_PORT, "second"))
    return f"{joined(FIRST_PORT, 'memory')}\n{second}"


def _facts(design: Design, board: Board, identity: int) -> bytes:
    """What a driver has to know."""
    size: Mapping[str, int] = {name: getattr(design.size, name) for name in design.size.__dataclass_fields__}
    facts = {
        "board": board.name,
        "ip": "accelerator",
        "clock_mhz": board.clock_mhz,
        "engine": identity,
        "size": size,
        "frames_max": FRAMES_MAX,
        "registers": REGISTERS,
    }
    return (json.dumps(facts, indent=1) + "\n").encode()
