"""C++ of stages to LLVM IR, by clang and opt: every kernel is inlined, and what is left of it is a plain nest of loops."""

from __future__ import annotations

from pathlib import Path

from edgekit.hls.rtl.tools import output_of
from edgekit.tools import CLANG, OPT, require

SECONDS_MAX = 1800
FLAGS = (
    *("--target=i386-unknown-none-elf", "-nostdinc++", "-nostdlibinc", "-std=c++17", "-w", "-fno-exceptions", "-fno-rtti", "-O2"),
    *("-D__SYNTHESIS__", "-DNDEBUG", "-Xclang", "-fexperimental-max-bitint-width=4096"),
    *("-Xclang", "-disable-llvm-passes", "-fno-discard-value-names", "-I.", "-S", "-emit-llvm"),
)
"""A machine of 32 bits, so that an address is as wide as an unsigned number of the kernels. No header of the system is read."""
SIMPLE = "early-cse,instcombine,simplifycfg"
LOOPS = "loop-simplify,lcssa,loop-mssa(licm),loop(loop-rotate,indvars"
PASSES = (
    f"cgscc(inline),function(sroa,{SIMPLE},{LOOPS},loop-deletion,loop-unroll-full),sroa,{SIMPLE}),cgscc(inline),"
    f"function({LOOPS},loop-unroll-full),sroa,early-cse<memssa>,instcombine,simplifycfg,sroa,early-cse<memssa>,gvn,instcombine,"
    "correlated-propagation,bdce,adce,dse,simplifycfg,instcombine,simplifycfg,lowerswitch),globaldce"
)
LIMITS = (
    *("-inline-threshold=1000000", "-unroll-threshold=1", "-unroll-allow-peeling=0"),
    *("-phi-node-folding-threshold=1000", "-two-entry-phi-node-folding-threshold=1000"),
)
"""All calls are inlined; loops are unrolled where the code says so, and nowhere else."""


def compile_stages(folder: Path) -> str:
    """LLVM IR, as text, of the stages.cpp that `sources.prepare` wrote into `folder`.

    Raises:
        EdgekitError: a tool is missing, or it does not compile; the message has the compiler's end.
    """
    output_of([str(require(CLANG)), *FLAGS, "stages.cpp", "-o", "raw.ll"], folder, SECONDS_MAX)
    output_of([str(require(OPT)), *LIMITS, f"-passes={PASSES}", "-S", "raw.ll", "-o", "stages.ll"], folder, SECONDS_MAX)
    return (folder / "stages.ll").read_text()
