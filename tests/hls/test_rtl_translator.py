"""The translator from LLVM IR to Verilog: loop nests made by hand, whose cycles are known, and what it refuses by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest
from rtl_tools import SHAPES, compiled, needs_clang

from edgekit.hls.rtl.circuit import StageRtl, StreamShape
from edgekit.hls.rtl.compiled import compile_stages
from edgekit.hls.rtl.sources import for_clang
from edgekit.hls.rtl.translator.control import control_of
from edgekit.hls.rtl.translator.expressions import literal, times
from edgekit.hls.rtl.translator.llvm import Module, Refused, parts_of, read_function, read_module, size, split
from edgekit.hls.rtl.translator.memories import Outside, Pointers
from edgekit.hls.rtl.translator.ranges import bits, full
from edgekit.hls.rtl.translator.verilog import translate
from edgekit.hls.rtl.translator.walk import walk

LINES_BELOW = 1200
NESTS = {
    "a loop": ("for (unsigned i = 0; i < 10; i++) { out.write(in.read()); }", 1, 10),
    "no loop": ("out.write(in.read());", 1, 1),
    "a sum of each row": (
        """for (unsigned r = 0; r < 3; r++) { ap_int<16> sum = 0;
             for (unsigned c = 0; c < 4; c++) { one x = in.read(); sum = sum + x[0]; }
             one y; y[0] = sum; out.write(y); }""",
        1,
        12,
    ),
    "fill and emit": (
        """ap_int<8> kept[7];
           for (unsigned i = 0; i < 7; i++) { kept[i] = in.read()[0]; }
           for (unsigned i = 0; i < 5; i++) { one y; y[0] = kept[6 - i]; out.write(y); }""",
        2,
        12,
    ),
    "two loops in one": (
        """for (unsigned r = 0; r < 3; r++) { int last = 0;
             for (unsigned i = 0; i < 2; i++) { last = in.read()[0]; }
             for (unsigned i = 0; i < 4; i++) { one y; y[0] = last; out.write(y); } }""",
        2,
        18,
    ),
    "a triangle": ("for (unsigned i = 0; i < 5; i++) { for (unsigned j = 0; j <= i; j++) { out.write(in.read()); } }", 1, 15),
    "three deep": (
        "for (int a = 0; a < 2; a++) for (int b = 0; b < 3; b++) for (int c = 0; c < 4; c++) { out.write(in.read()); }",
        1,
        24,
    ),
    "unrolled lanes": (
        """for (unsigned i = 0; i < 6; i++) { two x = pairs.read(); int sum = 0;
             for (unsigned c = 0; c < 2; c++) {
                 #pragma HLS UNROLL
                 sum += int(x[c]); }
             one y; y[0] = sum; out.write(y); }""",
        1,
        6,
    ),
    "a choice by data": (
        """for (unsigned i = 0; i < 8; i++) { one x = in.read(); int v = x[0];
             if (v < 0) { v = v < -100 ? -7 : 3 * v; } else if (v > 50) { v = 50; }
             x[0] = v; out.write(x); }""",
        1,
        8,
    ),
}


MEMORIES = {
    "fill and emit": [(7, 8, 1, 1)],
    "tokens backwards": [(9, 16, 1, 1)],
    "tokens in two banks": [(5, 16, 1, 1), (5, 16, 1, 1)],
    "four read at once": [],
}
KEPT = {
    "fill and emit": NESTS["fill and emit"][0],
    "tokens backwards": """two kept[9];
        for (unsigned i = 0; i < 9; i++) { kept[i] = pairs.read(); }
        for (unsigned i = 0; i < 9; i++) { pairs.write(kept[8 - i]); }""",
    "tokens in two banks": """two kept[2][5]; unsigned bank = 0, place = 0;
        for (unsigned i = 0; i < 10; i++) { kept[bank][place] = pairs.read(); place += bank; bank = 1 - bank; }
        for (unsigned i = 0; i < 5; i++) { one y; y[0] = kept[0][i][0] + kept[1][i][1]; out.write(y); }""",
    "four read at once": """ap_int<8> kept[4];
        for (unsigned i = 0; i < 9; i++) { kept[i & 3] = in.read()[0];
          one y; y[0] = kept[0] + kept[1] + kept[2] + kept[3]; out.write(y); }""",
}
REFUSED = {
    "a loop that data ends": ("for (int i = 0; i < 9; i++) { if (in.read()[0] == 3) break; }", "depends on data and on which a loop hangs"),
    "a token that data asks for": (
        "for (int i = 0; i < 9; i++) { one x = in.read(); if (x[0] > 3) out.write(x); }",
        "on which edgekit_put hangs",
    ),
    "two tokens in a cycle": (
        "for (int i = 0; i < 9; i++) { in.read(); out.write(in.read()); }",
        "no second token of stream 0",
    ),
    "a division": (
        "for (int i = 0; i < 9; i++) { one x = in.read(); x[0] = 100 / (int(x[0]) | 1); out.write(x); }",
        "'sdiv'",
    ),
    "a fraction": ("for (int i = 0; i < 9; i++) { one x = in.read(); x[0] = int(int(x[0]) * 0.3f); out.write(x); }", "'sitofp'"),
    "a bank that data chooses": (
        """ap_int<8> kept[4][8];
           for (int i = 0; i < 32; i++) { kept[i & 3][i >> 2] = in.read()[0]; }
           for (int i = 0; i < 32; i++) { one y; y[0] = kept[i & 3][i >> 2]; out.write(y); }""",
        "no bank that is chosen when it is read",
    ),
}


BODIES = {
    **{name: body for name, (body, _, _) in NESTS.items()},
    **KEPT,
    **{name: body for name, (body, _) in REFUSED.items()},
}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Module:
    return compiled(list(BODIES.values()), tmp_path_factory.mktemp("kernels"))


def translated(module: Module, name: str) -> StageRtl:
    return translate(module, f"stage{list(BODIES).index(name)}", SHAPES, {})


@needs_clang
@pytest.mark.parametrize("name", NESTS)
def test_a_loop_nest_takes_its_iterations_and_a_state_for_each_innermost_loop(name: str, module: Module) -> None:
    made, (_, states, iterations) = translated(module, name), NESTS[name]
    assert (made.states, made.iterations) == (states, iterations)


@needs_clang
@pytest.mark.parametrize("name", MEMORIES)
def test_arrays_are_memories_of_words_and_what_is_read_in_many_places_is_registers(name: str, module: Module) -> None:
    made = translated(module, name)
    assert [(one.words, one.width, one.reads, one.enables) for one in made.memories] == MEMORIES[name]


@needs_clang
@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_understand_it_refuses_by_name(name: str, module: Module) -> None:
    with pytest.raises(Refused, match=REFUSED[name][1]):
        translated(module, name)


def test_it_is_small() -> None:
    """So that a witness can be read: what it does not understand it refuses, and does not grow for it."""
    files = [one for one in resources.files("edgekit.hls.rtl.translator").iterdir() if one.name.endswith(".py")]
    assert len(files) > 5
    assert sum(len(one.read_text().splitlines()) for one in files) < LINES_BELOW


def test_a_load_from_one_of_two_arrays_is_two_loads_and_a_choice() -> None:
    """As clang-16 writes a sum that begins with a bias or goes on, when both have as many bytes."""
    lines = (
        "  %c = icmp eq i32 0, 1",
        "  %either = select i1 %c, ptr %here, ptr @there",
        "  %sum.0 = load i32, ptr %either, align 4, !tbaa !71",
        "  ret void",
    )
    (found,) = read_function(Module({}, {}, {"stage0": "\n".join(lines)}), "stage0").blocks.values()
    assert [(one.name, one.op, one.width, one.operands) for one in found[1:-1]] == [
        ("%sum.0.first", "load", 32, ("%here",)),
        ("%sum.0.second", "load", 32, ("@there",)),
        ("%sum.0", "select", 32, ("%c", "%sum.0.first", "%sum.0.second")),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%x = fadd float 1.0, 2.0", "does not know 'fadd', which stage0 has"),
        ("switch i32 0, label %a [ i32 1, label %b ]", "does not know 'switch'"),
        ("%x = call i32 @llvm.ctpop.i32(i32 3)", "no function 'llvm.ctpop.i32'"),
        ("%x = load float, ptr @table", "no values of type 'float'"),
        ("%x = select i1 true, ptr @a, ptr @b", "no values of type 'ptr'"),
        ("%x = add i32 1, blockaddress", "operand 'blockaddress'"),
    ],
)
def test_instructions_that_it_does_not_know_are_named(line: str, said: str) -> None:
    module = read_module(f"define dso_local void @stage0() #0 {{\nentry:\n  {line}\n  ret void\n}}\n")
    with pytest.raises(Refused, match=said):
        read_function(module, "stage0")


def test_counters_are_run_and_their_ranges_known() -> None:
    module = read_module(
        """define dso_local void @stage0() #0 {
entry:
  br label %loop

loop:                                             ; preds = %entry, %loop
  %place = phi i32 [ 0, %entry ], [ %next, %loop ]
  %i = phi i32 [ 0, %entry ], [ %more, %loop ]
  %end = icmp sgt i32 %place, 4
  %step = select i1 %end, i32 -5, i32 1
  %next = add nsw i32 %place, %step
  %more = add nuw nsw i32 %i, 1
  %done = icmp eq i32 %more, 20
  br i1 %done, label %exit, label %loop, !llvm.loop !3

exit:
  ret void
}
"""
    )
    function = read_function(module, "stage0")
    walked = walk(function, control_of(function))
    assert walked.iterations == 20
    assert walked.ranges == {"%place": (0, 5), "%i": (0, 19)}
    assert not walked.data


def test_addresses_are_sums_of_values() -> None:
    module = read_module(
        """%"struct.pair" = type { i16, i16 }
define dso_local void @stage0() #0 {
entry:
  %kept = alloca [6 x [3 x %"struct.pair"]], align 2
  %o = add i32 0, 0
  %row = mul nuw nsw i32 %o, 3
  %at = getelementptr inbounds [6 x [3 x %"struct.pair"]], ptr %kept, i32 0, i32 2, i32 %row, i32 1
  %bank = getelementptr inbounds [3 x %"struct.pair"], ptr %kept, i32 5
  %inside = getelementptr inbounds [3 x %"struct.pair"], ptr %bank, i32 0, i32 1, i32 1
  ret void
}
"""
    )
    pointers = Pointers(read_function(module, "stage0"), module.structs)
    found = pointers.of("%at")
    assert (found.array, found.at.factors, found.at.constant) == ("%kept", (), 2)  # %o is known to be no more than its parts, 0
    assert found.bank.constant == 2
    inside = pointers.of("%inside")
    assert (inside.bank.constant, inside.at.constant) == (5, 6)


def test_memory_is_laid_out_as_the_compiler_does() -> None:
    structs = {"%a": "{ [3 x %b] }", "%b": "{ i16 }"}
    assert [size(kind, structs) for kind in ("i8", "i16", "i64", "i128", "%a", "[2 x %a]", "{ i32, i32 }")] == [1, 2, 8, 16, 6, 12, 8]
    assert [parts_of(kind, structs) for kind in ("%a", "[3 x %b]", "%b")] == [(1, "[3 x %b]"), (3, "%b"), (1, "i16")]
    assert split("i32 1, [2 x { i8, i8 }] %a, i32 3") == ["i32 1", "[2 x { i8, i8 }] %a", "i32 3"]
    for kind in ("i13", "{ i8, i16 }", "ptr", "float"):
        with pytest.raises(Refused, match="no memory of type"):
            size(kind, structs)


def test_names_with_any_letters_are_as_good_as_plain_ones() -> None:
    module = read_module(
        """%"struct.a, b]" = type { i16, i16 }
define dso_local void @stage0() #0 {
entry:
  %"x, 1)" = alloca [2 x %"struct.a, b]"], align 2
  br label %"end [1"

"end [1":                                         ; preds = %entry
  %y = getelementptr inbounds [2 x %"struct.a, b]"], ptr %"x, 1)", i32 0, i32 1, i32 1
  store i16 3, ptr %y, align 2
  ret void
}
"""
    )
    function = read_function(module, "stage0")
    pointers = Pointers(function, module.structs)
    (stored,) = [one for one in function.instructions if one.op == "store"]
    assert pointers.accessed(stored).at.constant == 6
    assert pointers.arrays.keys() == {pointers.accessed(stored).array}
    assert function.blocks["%entry"][-1].labels == (stored.block,)


@pytest.mark.parametrize("factor", [0, 1, -1, 3, 7, -7, 49, 147, 255, -256, 1023, 12345])
def test_a_product_with_a_constant_is_shifts_and_sums(factor: int) -> None:
    text = times("x", factor)
    assert eval(text.replace("<<<", "<<").replace("2'sh0", "0"), {"x": 37}) == 37 * factor
    assert "*" not in text and text.count("x") <= 1 + bin(abs(factor) * 3).count("1")


def test_literals_and_ranges_have_as_many_bits_as_they_need() -> None:
    assert [literal(value, 32) for value in (0, 1, -1, -128, 127, 128)] == ["2'sh0", "2'sh1", "2'sh3", "8'sh80", "8'sh7f", "9'sh80"]
    assert literal(-1, 1) == "1'b1"
    assert [bits(one) for one in ((0, 0), (0, 1), (-1, 0), (-128, 127), (0, 255))] == [1, 2, 1, 8, 9]
    assert full(1) == (0, 1) and full(8) == (-128, 127)


STOCK = {
    "saturating_add": ("nnet::saturating_add<two, two, two, adding>(pairs, others, summed);", 6),
    "lookup": ("nnet::lookup<two, two, looking>(pairs, summed, table);", 6),
    "max_pool_2d": ("nnet::max_pool_2d<two, two, pooling>(pairs, summed);", 4 * 4),
    "repack": ("nnet::repack<two, three, 12>(pairs, threes);", 12),
    "requantize": ("nnet::requantize<two, two, requantizing>(pairs, summed, shifts);", 6),
}
CONFIGS = """
#include "ap_fixed.h"
#include "nnet_types.h"
typedef nnet::array<ap_int<8>, 2> two;
typedef nnet::array<ap_int<8>, 3> three;
#include "edgekit_add.h"
#include "edgekit_lookup.h"
#include "edgekit_max_pool.h"
#include "edgekit_repack.h"
#include "edgekit_requantize.h"
struct adding : nnet::saturating_add_config { static const unsigned n_positions = 6, n_chan = 2; };
struct looking : nnet::lookup_config { static const unsigned n_positions = 6, n_chan = 2; typedef ap_int<8> table_t; };
struct pooling : nnet::max_pool_config {
    static const unsigned in_height = 3, in_width = 4, n_chan = 2, out_height = 2, out_width = 2, pool_height = 2, pool_width = 2;
    static const unsigned stride_height = 2, stride_width = 2, padded_height = 4, padded_width = 4;
};
struct requantizing : nnet::requantize_config {
    static const unsigned n_positions = 6, n_chan = 2, n_wide = 12;
    static const int shift_low = 4, shift_high = 5;
    typedef ap_int<6> shift_t;
};
extern ap_int<8> table[256];
extern ap_int<6> shifts[2];
"""


@needs_clang
@pytest.mark.parametrize("name", STOCK)
def test_the_kernels_for_hls4mls_own_networks_are_translated(name: str, tmp_path: Path) -> None:
    """With as many iterations as their loops say."""
    (made,) = stock_stages((name,), tmp_path, {"table": tuple(range(-128, 128)), "shifts": (4, 5)})
    assert made.iterations == STOCK[name][1]


def stock_stages(names: tuple[str, ...], folder: Path, contents: Mapping[str, tuple[int, ...]]) -> list[StageRtl]:
    """A stage of each of STOCK's kernels. `contents`: the bytes of its arrays of constants."""
    stock = resources.files("edgekit.hls.hls4ml_kernels")
    headers = [one for one in stock.iterdir() if one.name.startswith("edgekit_")]
    headers.append(resources.files("edgekit.hls.kernels").joinpath("edgekit_arithmetic.h"))
    for one in headers:
        (folder / one.name).write_text(for_clang(one.read_text()))
    types = resources.files("hls4ml").joinpath("templates", "vivado", "nnet_utils", "nnet_types.h")
    (folder / "nnet_types.h").write_text(for_clang(types.read_text()))
    (folder / "nnet_common.h").write_text("#define PRAGMA_DATA_PACK(variable)\n")
    streams = "hls::stream<two> pairs(0), others(1), summed(2); hls::stream<three> threes(3);"
    for file in resources.files("edgekit.hls.rtl").joinpath("include").iterdir():
        (folder / file.name).write_text(file.read_text())
    functions = [f'extern "C" void stage{place}() {{ {streams} {STOCK[name][0]} }}' for place, name in enumerate(names)]
    (folder / "stages.cpp").write_text("\n".join(['#include "hls_stream.h"', CONFIGS, *functions]) + "\n")
    shapes = {number: StreamShape(3 if number == 3 else 2, 8, True) for number in range(4)}
    module = read_module(compile_stages(folder))
    outside = {name: Outside(1, len(values), (min(0, *values), max(0, *values)), values) for name, values in contents.items()}
    return [translate(module, f"stage{place}", shapes, outside) for place in range(len(names))]
