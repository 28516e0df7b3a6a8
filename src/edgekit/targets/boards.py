"""FPGA boards as data: a board has a part, a part has resources and the processors of its family.

Sources: the vendors' data sheets, reference manuals and board files. The AUP-ZU3's values are those of AMD's image for it
(github.com/Xilinx/AUP-ZU3, its overview and the settings of its processors: DDR4-2400 of 32 bits) and of FINN, which was run on it
(github.com/Xilinx/finn, pull requests 1410 and 1659: part and board file).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgekit.errors import EdgekitError, UnknownName


@dataclass(frozen=True)
class Resources:
    """What a part has: six-input LUTs, flip-flops, 36-kbit block RAMs, DSP slices, 288-kbit UltraRAMs."""

    lut: int
    ff: int
    bram36: int
    dsp: int
    uram: int = 0


PLANNING_SHARES = {"lut": 0.70, "ff": 0.50, "bram36": 0.80, "dsp": 0.80, "uram": 0.80}
"""The share of each resource that a design may plan with, so that timing still closes."""


@dataclass(frozen=True, kw_only=True)
class ProcessingSystem:
    """The processors of a family of chips, and how an accelerator is joined to them.

    name: the block in Vivado's IP catalog. Two files of fpga_projects/templates have it in their names: NAME.tcl makes the block and names
        its pins, overlay_NAME.dts tells Linux of the accelerator.
    title: the family, for readers.
    control_address: where in the processors' memory the accelerator's registers are put, 64 KiB of it.
    hp_port_bits: the width of a high-performance port, by which the accelerator reads and writes DDR.
    clock_max_mhz: the fastest clock that the processors' PLLs give to the fabric.
    compiler: what builds Linux programs for the processors.
    """

    name: str
    title: str
    control_address: int
    hp_port_bits: int
    clock_max_mhz: float
    compiler: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """A device in one package and speed grade."""

    name: str
    resources: Resources
    processing_system: ProcessingSystem

    @property
    def planned(self) -> Resources:
        """What a design may plan to use, rounded down."""
        return Resources(**{name: int(getattr(self.resources, name) * share) for name, share in PLANNING_SHARES.items()})


CLOCK_MIN_MHZ = 10.0
"""Slower than this the PS's dividers do not go from every PLL setting."""
DDR_REACHED = 0.92
"""The share of a DDR memory's peak that bursts of 128 to 192 bytes reach."""
MASTERS_MAX = 16
"""What one SmartConnect has (PG247)."""
WEIGHT_READERS_MAX = MASTERS_MAX - 2
"""Layers that can read their weights from memory, beside the masters of images and results."""
AXI_MASTER, AXI_STREAM = "axi-master", "axi-stream"
"""What an accelerator can be given as: with its own access to memory, in a design with the processors; or a bare IP with streams."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """`board_part` is the identifier of its Vivado board file; `clock_mhz` the clock that a design gets unless told otherwise;
    `carrier` the value of Vivado's board_connections, of a module that sits on another board."""

    name: str
    title: str
    part: Part
    board_part: str
    ddr_peak_bytes_per_s: float
    clock_mhz: float = 100.0
    interfaces: tuple[str, ...] = (AXI_MASTER, AXI_STREAM)
    carrier: str = ""

    @property
    def clock_period_ns(self) -> float:
        return 1000.0 / self.clock_mhz

    @property
    def ddr_reached_bytes_per_s(self) -> float:
        """What all ports together get of DDR, in bursts."""
        return DDR_REACHED * self.ddr_peak_bytes_per_s

    @property
    def ddr_bytes_per_s(self) -> float:
        """What one AXI HP port gets at this clock: DDR, or the port's width times the clock."""
        return min(self.ddr_reached_bytes_per_s, self.part.processing_system.hp_port_bits / 8 * self.clock_mhz * 1e6)


ZYNQ_ULTRASCALE = ProcessingSystem(
    name="zynq_ultra_ps_e",
    title="Zynq UltraScale+",
    control_address=0xA000_0000,  # UG1085: the window of M_AXI_HPM0_FPD
    hp_port_bits=128,
    clock_max_mhz=400.0,  # DS925
    compiler="aarch64-linux-gnu-g++",
)
ZYNQ_7000 = ProcessingSystem(
    name="processing_system7",
    title="Zynq-7000",
    control_address=0x4000_0000,  # UG585: the window of M_AXI_GP0
    hp_port_bits=64,
    clock_max_mhz=250.0,  # DS187
    compiler="arm-linux-gnueabihf-g++",
)

XCZU3EG = Part(
    name="xczu3eg-sbva484-1-i",
    resources=Resources(lut=70_560, ff=141_120, bram36=216, dsp=360),
    processing_system=ZYNQ_ULTRASCALE,
)
XCZU7EV = Part(
    name="xczu7ev-ffvc1156-2-e",
    resources=Resources(lut=230_400, ff=460_800, bram36=312, dsp=1_728, uram=96),
    processing_system=ZYNQ_ULTRASCALE,
)
XCZU9EG = Part(
    name="xczu9eg-ffvb1156-2-e",
    resources=Resources(lut=274_080, ff=548_160, bram36=912, dsp=2_520),
    processing_system=ZYNQ_ULTRASCALE,
)
XCK26 = Part(
    name="xck26-sfvc784-2LV-c",
    resources=Resources(lut=117_120, ff=234_240, bram36=144, dsp=1_248, uram=64),
    processing_system=ZYNQ_ULTRASCALE,
)
XC7Z020 = Part(
    name="xc7z020clg400-1",
    resources=Resources(lut=53_200, ff=106_400, bram36=140, dsp=220),
    processing_system=ZYNQ_7000,
)
LPDDR4_32 = 4.26e9  # 32 bits at 1066 MT/s
DDR3_16 = 2.1e9  # 16 bits at 1050 MT/s
DDR4_64 = 17.06e9  # 64 bits at 2133 MT/s
DDR4_32 = 9.6e9  # 32 bits at 2400 MT/s

ULTRA96 = Board(
    name="ultra96",
    title="Avnet Ultra96-V2",
    part=XCZU3EG,
    board_part="avnet.com:ultra96v2:part0:1.2",
    ddr_peak_bytes_per_s=LPDDR4_32,
)
ULTRA96_V1 = replace(
    ULTRA96,
    name="ultra96_v1",
    title="Avnet Ultra96-V1",
    part=replace(XCZU3EG, name="xczu3eg-sbva484-1-e"),
    board_part="avnet.com:ultra96v1:part0:1.2",
)
AUP_ZU3 = Board(
    name="aup_zu3",
    title="AMD AUP-ZU3 (8 GB)",
    part=replace(XCZU3EG, name="xczu3eg-sfvc784-2-e"),
    board_part="realdigital.org:aup-zu3-8gb:part0:1.0",
    ddr_peak_bytes_per_s=DDR4_32,
)
PYNQ_Z2 = Board(
    name="pynq_z2",
    title="TUL Pynq-Z2",
    part=XC7Z020,
    board_part="tul.com.tw:pynq-z2:part0:1.0",
    ddr_peak_bytes_per_s=DDR3_16,
)
ZCU104 = Board(
    name="zcu104",
    title="Xilinx ZCU104",
    part=XCZU7EV,
    board_part="xilinx.com:zcu104:part0:1.1",
    ddr_peak_bytes_per_s=DDR4_64,
)
ZCU102 = Board(
    name="zcu102",
    title="Xilinx ZCU102",
    part=XCZU9EG,
    board_part="xilinx.com:zcu102:part0:3.4",
    ddr_peak_bytes_per_s=DDR4_64,
    interfaces=(AXI_STREAM,),
)
KV260 = Board(
    name="kv260",
    title="Xilinx Kria KV260",
    part=XCK26,
    board_part="xilinx.com:kv260_som:part0:1.4",
    ddr_peak_bytes_per_s=DDR4_64,
    carrier="som240_1_connector xilinx.com:kv260_carrier:som240_1_connector:1.3",
)

BOARDS: dict[str, Board] = {board.name: board for board in (ULTRA96, ULTRA96_V1, AUP_ZU3, PYNQ_Z2, ZCU104, ZCU102, KV260)}
"""Every board that edgekit knows, by name."""


def find_board(name: str) -> Board:
    """The board of that name. Raises UnknownName."""
    if name not in BOARDS:
        raise UnknownName("board", name, BOARDS)
    return BOARDS[name]


def at_clock(board: Board, clock_mhz: float | None) -> Board:
    """The board with another clock, None for its own. Raises EdgekitError for one that the part cannot have."""
    if clock_mhz is None:
        return board
    highest = board.part.processing_system.clock_max_mhz
    if not CLOCK_MIN_MHZ <= clock_mhz <= highest:
        raise EdgekitError(
            f"a clock of {clock_mhz:g} MHz: {board.part.name} of the {board.title} has {CLOCK_MIN_MHZ:g} to {highest:g} MHz for its fabric;"
            f" without --clock it is {board.clock_mhz:g} MHz"
        )
    return replace(board, clock_mhz=clock_mhz)


def check_interface(board: Board, interface: str) -> None:
    """Raises EdgekitError where the board has no such interface."""
    if interface not in board.interfaces:
        raise EdgekitError(f"the {board.title} has no interface '{interface}' here; it has {' and '.join(board.interfaces)}")
