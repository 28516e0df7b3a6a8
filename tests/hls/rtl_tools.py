"""What tests of the RTL ask of the machine, and hand-made kernels compiled as the generated ones are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from edgekit.hls.rtl.circuit import StreamShape
from edgekit.hls.rtl.compiled import compile_stages
from edgekit.hls.rtl.sources import for_clang
from edgekit.hls.rtl.translator.llvm import Module, read_module
from edgekit.tools import CLANG, OPT, VERILATOR, YOSYS, Tool, find, missing_reason


def _needs(*tools: Tool) -> pytest.MarkDecorator:
    missing = [missing_reason(tool) for tool in tools if find(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=missing[0] or "" if missing else "")


needs_clang = _needs(CLANG, OPT)
needs_verilator = _needs(CLANG, OPT, VERILATOR)
needs_yosys = _needs(CLANG, OPT, YOSYS)

TOKEN = """
#include "hls_stream.h"
template <class T, unsigned N> struct array {
    typedef T value_type;
    static const unsigned size = N;
    T data[N];
    T &operator[](unsigned i) { return data[i]; }
    const T &operator[](unsigned i) const { return data[i]; }
    array &operator=(const array &other) {
        #pragma clang loop unroll(full)
        for (unsigned i = 0; i < N; i++) { data[i] = other.data[i]; }
        return *this;
    }
};
typedef array<ap_int<8>, 1> one;
typedef array<ap_int<8>, 2> two;
"""
SHAPES = {0: StreamShape(1, 8, True), 1: StreamShape(1, 8, True), 2: StreamShape(2, 8, True)}


def compiled(bodies: list[str], folder: Path) -> Module:
    """A function `stage0`, `stage1`.. of each body, with the streams `in` and `out` (0, 1; a value a token) and `pairs` (2)."""
    for file in resources.files("edgekit.hls.rtl").joinpath("include").iterdir():
        (folder / file.name).write_text(file.read_text())
    streams = "hls::stream<one> in(0), out(1); hls::stream<two> pairs(2);"
    functions = [f'extern "C" void stage{place}() {{ {streams}\n{for_clang(body)}\n}}' for place, body in enumerate(bodies)]
    (folder / "stages.cpp").write_text("\n".join([TOKEN, *functions]))
    return read_module(compile_stages(folder))
