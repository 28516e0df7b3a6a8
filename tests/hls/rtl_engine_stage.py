"""The engine's whole beat loop as a stage of the translator, and the tokens that its streams bring.

The loop is the kernel's own. What clang cannot take apart is written in another way, line by line, below: an array whose index is made in
the circuit is a variable of its own, to which the struct that has it refers. Of what Vitis HLS is told by pragmas that is what
ARRAY_PARTITION and static variables mean.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edgekit.hls.engine.size import EngineSize
from edgekit.hls.rtl.circuit import StageRtl, StreamShape
from edgekit.hls.rtl.compiled import compile_stages
from edgekit.hls.rtl.sources import for_clang
from edgekit.hls.rtl.translator.llvm import read_module
from edgekit.hls.rtl.translator.verilog import translate
from edgekit.hls.rtl.translator.walk import Walk
from edgekit.hls.simulation.engine import kernel_sources

STREAMS = """
#ifndef EDGEKIT_CLANG_HLS_STREAM_H_
#define EDGEKIT_CLANG_HLS_STREAM_H_
extern "C" {
int edgekit_lane(int port, int lane) noexcept;
void edgekit_pop(int port) noexcept;
void edgekit_put(int port, int lane, int value) noexcept;
void edgekit_push(int port) noexcept;
}
namespace hls {
template <class T> struct stream {
    int port;
    explicit stream(int port) : port(port) {}
    T read() { T token; take(port, token); edgekit_pop(port); return token; }
    void write(const T &token) { give(port, token); edgekit_push(port); }
};
}
#endif
"""
TOKENS = """
namespace nnet {
inline void take(int port, engine_part &part) {
    #pragma HLS INLINE
    for (unsigned at = 0; at < engine_part_halves; at++) {
        #pragma HLS UNROLL
        part.half[at] = (short)edgekit_lane(port, at);
    }
}
inline void take(int port, engine_fill &fill) {
    fill.streams = (short)edgekit_lane(port, 0);
    fill.groups = (short)edgekit_lane(port, 1);
    fill.rows = (short)edgekit_lane(port, 2);
    fill.last_rows = (short)edgekit_lane(port, 3);
    fill.table = (short)edgekit_lane(port, 4);
    fill.passes = edgekit_lane(port, 5);
}
template <class S> void take(int port, engine_row<S> &row) {
    for (unsigned at = 0; at < S::row_bytes; at++) {
        #pragma HLS UNROLL
        row.byte[at] = (unsigned char)edgekit_lane(port, at);
    }
}
template <class S> void take(int port, engine_token<S> &token) {
    for (unsigned w = 0; w < S::words; w++) {
        #pragma HLS UNROLL
        for (unsigned s = 0; s < S::simd; s++) {
            #pragma HLS UNROLL
            token.word[w].byte[s] = (unsigned char)edgekit_lane(port, w * S::simd + s);
        }
    }
}
template <class S> void give(int port, const engine_token<S> &token) {
    for (unsigned w = 0; w < S::words; w++) {
        #pragma HLS UNROLL
        for (unsigned s = 0; s < S::simd; s++) {
            #pragma HLS UNROLL
            edgekit_put(port, w * S::simd + s, token.word[w].byte[s]);
        }
    }
}
}
"""
STAGE = """
struct started { int beats, matrix_jobs, vector_jobs; };
inline void take(int port, started &of) {
    of.beats = edgekit_lane(port, 0);
    of.matrix_jobs = edgekit_lane(port, 1);
    of.vector_jobs = edgekit_lane(port, 2);
}
typedef engine_size SIZE;
extern "C" void stage0() {
    hls::stream<nnet::engine_part> matrix_parts(0), vector_parts(3);
    hls::stream<nnet::engine_fill> matrix_fills(1), vector_fills(4);
    hls::stream<nnet::engine_row<SIZE>> matrix_rows(2), vector_rows(5);
    hls::stream<nnet::engine_token<SIZE>> image(6), results(7);
    hls::stream<started> start(8);
    started of = {0, 0, 0};
    for (unsigned token = 0; token < 2; token++) { // a frame is called for, in cycles of its own; twice, since a loop of one trip is none
        of = start.read();
    }
    nnet::run_engine<SIZE>(of.beats, of.matrix_jobs, of.vector_jobs, matrix_parts, matrix_fills, matrix_rows, vector_parts, vector_fills,
                           vector_rows, image, results);
}
"""


def copied(own: str, part: str, count: str) -> str:
    """Members of a struct of bytes or words, of which a copy is its parts', one by one, and not of memory."""
    loop = f"for (unsigned i = 0; i < {count}; i++) {{\n#pragma HLS UNROLL\n{part}[i] = other.{part}[i]; }}"
    return f"{own}() {{}}\n{own}(const {own} &other) {{\n{loop}\n}}\n{own} &operator=(const {own} &other) {{\n{loop}\nreturn *this; }}\n"


WORD, TOKEN, ROW = (
    "    unsigned char byte[SIZE_T::simd];\n",
    "    engine_word<SIZE_T> word[SIZE_T::words];\n",
    "    unsigned char byte[SIZE_T::row_bytes];\n",
)
CONSTANTS = ("bias", "code", "next_bias", "next_code")
REFERRED = {
    "edgekit_engine_memory.h": {
        WORD: WORD + copied("engine_word", "byte", "SIZE_T::simd"),
        TOKEN: TOKEN + copied("engine_token", "word", "SIZE_T::words"),
        ROW: ROW + copied("engine_row", "byte", "SIZE_T::row_bytes"),
        "unsigned char entry[SIZE_T::lanes]": "unsigned char (&entry)[SIZE_T::lanes]",
        "engine_word<SIZE_T> bank[": "engine_word<SIZE_T> (&bank)[",
        "bool wanted[": "bool (&wanted)[",
        "unsigned row[": "unsigned (&row)[",
        "int byte[SIZE_T::banks]": "int (&byte)[SIZE_T::banks]",
        "engine_word<SIZE_T> found[": "engine_word<SIZE_T> (&found)[",
        "engine_word<SIZE_T> word[SIZE_T::banks]": "engine_word<SIZE_T> (&word)[SIZE_T::banks]",
    },
    "edgekit_engine_control.h": {
        "short half[engine_job_halves + engine_extent_halves];": "short (&half)[engine_job_halves + engine_extent_halves];",
        "words, length[5];": "words, (&length)[5];",
        "next[NUMBER][simd];": "(&next)[NUMBER][simd];",
        "int " + ", ".join(f"{one}[lanes]" for one in CONSTANTS): "int " + ", ".join(f"(&{one})[lanes]" for one in CONSTANTS),
    },
    "edgekit_engine_matrix.h": {"int sums[SIZE_T::positions][lanes];": "int (&sums)[SIZE_T::positions][lanes];"},
    "edgekit_engine_vector.h": {
        "int sums[SIZE_T::positions][lanes];": "int (&sums)[SIZE_T::positions][lanes];",
        "int partial[taps][lanes];": "int (&partial)[taps][lanes];",
    },
}


def variables(array: str, number: str) -> str:
    """An array's, and its control's. `number`: words of weights of a pass."""
    return f"""    unsigned char {array}_entry[SIZE_T::lanes][SIZE_T::table_rows][SIZE_T::table_bytes];
    int {", ".join(f"{array}_{one}[SIZE_T::lanes]" for one in CONSTANTS)}, {array}_length[5];
    struct {{ int of[SIZE_T::positions][SIZE_T::lanes]; }} {array}_sums;
    short {array}_half[engine_job_halves + engine_extent_halves];
    signed char {array}_next[{number}][SIZE_T::simd];
"""


def filled(array: str) -> str:
    return f"{{{{}}, {array}_next, {', '.join(f'{array}_{one}' for one in CONSTANTS)}}}"


def controlled(array: str) -> str:
    return f"{{{{}}, {{{{0, 0, 0, 0, 0, 0, 0, {array}_length}}}}, {{{array}_half}}}}"


WANTED = """        struct { bool of[SIZE_T::banks][SIZE_T::words]; } WAY_wanted;
        struct { unsigned of[SIZE_T::banks][SIZE_T::words]; } WAY_row;
        struct { int of[SIZE_T::banks][SIZE_T::words]; } WAY_byte;
        struct { engine_word<SIZE_T> of[SIZE_T::banks][SIZE_T::words]; } WAY_word;
"""
BEATS = {
    "    static engine_memory<SIZE_T> memory;": """    engine_word<SIZE_T> memory_bank[SIZE_T::banks][SIZE_T::words][SIZE_T::bank_part];
    engine_memory<SIZE_T> memory = {memory_bank};""",
    "    static matrix_array<SIZE_T> matrix;": variables("m", "SIZE_T::lanes")
    + f"    matrix_array<SIZE_T> matrix = {{m_sums.of, {filled('m')}, {{m_entry}}}};",
    "    static vector_array<SIZE_T> vector;": variables("v", "SIZE_T::taps * SIZE_T::words")
    + "    struct { int of[SIZE_T::taps][SIZE_T::lanes]; } v_partial;\n"
    + f"    vector_array<SIZE_T> vector = {{v_sums.of, {filled('v')}, v_partial.of, {{}}, {{v_entry}}}};",
    "    static matrix_control<SIZE_T> matrix_runs;": f"    matrix_control<SIZE_T> matrix_runs = {controlled('m')};",
    "    static vector_control<SIZE_T> vector_runs;": f"    vector_control<SIZE_T> vector_runs = {controlled('v')};",
    "        engine_reads<SIZE_T> reads;": WANTED.replace("WAY", "reads")
    + "        engine_reads<SIZE_T> reads = {reads_wanted.of, reads_row.of, reads_word.of};",
    "        engine_writes<SIZE_T> writes;": WANTED.replace("WAY", "writes")
    + "        engine_writes<SIZE_T> writes = {writes_wanted.of, writes_row.of, writes_byte.of, writes_word.of};",
}
"""Of run_engine: its variables."""


def rewritten(text: str, lines: dict[str, str]) -> str:
    for old, new in lines.items():
        assert old in text, f"the kernel has no '{old}' any more"
        text = text.replace(old, new)
    return text


VECTOR = """
typedef engine_size SIZE;
struct does { int bits, row_kind, row_place, number, tap, kind, low, high, shift; };
inline void take(int port, does &of) {
    of.bits = edgekit_lane(port, 0);
    of.row_kind = edgekit_lane(port, 1);
    of.row_place = edgekit_lane(port, 2);
    of.number = edgekit_lane(port, 3);
    of.tap = edgekit_lane(port, 4);
    of.kind = edgekit_lane(port, 5);
    of.low = edgekit_lane(port, 6);
    of.high = edgekit_lane(port, 7);
    of.shift = edgekit_lane(port, 8);
}
namespace nnet {
template <class SIZE_T> void arithmetic() {
    hls::stream<does> steps(0);
    hls::stream<engine_row<SIZE_T>> rows(1);
    hls::stream<engine_token<SIZE_T>> xs(2), ys(3), image(5), results(6), out(4);
VARIABLES
    engine_memory<SIZE_T> memory = {memory_bank};
    for (unsigned beat = 0; beat < 4096; beat++) {
        const does now = steps.read();
        const engine_token<SIZE_T> x = xs.read(), y = ys.read();
        vector_step step;
        step.swaps = now.bits & 1;
        step.swaps_constants = now.bits & 2;
        step.gates = now.bits & 4;
        step.sums = now.bits & 8;
        step.inside = now.bits & 16;
        step.first = now.bits & 32;
        step.second = now.bits & 64;
        step.last = now.bits & 128;
        step.partials = now.bits & 256;
        step.row.kind = now.row_kind & 2 ? 2 : now.row_kind & 1;
        step.row.place = now.row_place & 31;
        step.number = now.number;
        step.tap = now.tap & 7;
        step.x_address = 0;
        step.y_address = SIZE_T::bank_words;
        step.x_words = step.y_words = SIZE_T::words;
        step.out_address = 0;
        step.out_words = step.last ? SIZE_T::words : 0;
        engine_job job;
        job.kind = now.kind & 4 ? 4 : now.kind & 3;
        job.flags = (now.bits & 512 ? engine_pair : 0) | (now.bits & 1024 ? engine_y_cell : 0);
        job.x_signed = now.bits & 2048;
        job.y_signed = now.bits & 4096;
        job.low = now.low;
        job.high = now.high;
        job.shift = now.shift & 15;
READS
WRITES
        writes.begin();
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            reads.found[0][w] = x.word[w];
            reads.found[1][w] = y.word[w];
        }
        vector.run(step, job, reads, memory, writes, rows, image, results);
        engine_token<SIZE_T> made;
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            made.word[w] = writes.wanted[0][w] ? writes.word[0][w] : engine_zeros<SIZE_T>();
        }
        out.write(made);
    }
}
}
extern "C" void stage0() { nnet::arithmetic<SIZE>(); }
"""
"""The vector array without control, map memory and table: a token says what it does in a beat; words come, and words go."""


def written_headers(size: EngineSize, folder: Path) -> str:
    """Writes them into the folder, for clang; gives that of the beat loop as it is."""
    for file in resources.files("edgekit.hls.rtl").joinpath("include").iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "hls_stream.h").write_text(STREAMS)
    sources = {name: content.decode() for name, content in kernel_sources(size).items()}
    for name, lines in REFERRED.items():
        sources[name] = rewritten(sources[name], lines)
    for name, content in sources.items():
        (folder / name).write_text(for_clang(content))
    return sources["edgekit_engine.h"]


def translated(size: EngineSize, text: str, shapes: tuple[StreamShape, ...], folder: Path) -> StageRtl:
    """What the loops do depends on data, so that nothing is known of it: every number is as wide as its type."""
    used = [f'#include "edgekit_engine{name}.h"' for name in ("_size", "_control", "_memory", "_matrix", "_vector")]
    (folder / "stages.cpp").write_text(for_clang("\n".join([*used, text])))
    module = read_module(compile_stages(folder))
    return translate(module, "stage0", dict(enumerate(shapes)), {}, Walk(0, {}, frozenset()))


def engine_stage(size: EngineSize, folder: Path) -> StageRtl:
    """The beat loop with streams for the matrix array's parts of jobs, rows to fill and rows (0, 1, 2), the vector array's (3, 4, 5), the
    image (6) and results (7); a token of stream 8 starts a frame."""
    whole = written_headers(size, folder)
    loop = rewritten("template <class SIZE_T>\n" + whole[whole.index("void run_engine") :], BEATS)
    loop = "namespace nnet {\n" + loop.replace("\n#endif", "")
    of_array = (StreamShape(8, 16, True), StreamShape(6, 32, True), StreamShape(size.row_bytes, 8, False))
    token = StreamShape(size.lanes, 8, False)
    return translated(size, loop + TOKENS + STAGE, (*of_array, *of_array, token, token, StreamShape(3, 32, True)), folder)


def vector_stage(size: EngineSize, folder: Path) -> StageRtl:
    """Streams: what it does (0), rows of weights and constants (1), words of x and y (2, 3), the words that it makes (4)."""
    written_headers(size, folder)
    bank, _, array, *_, reads, writes = BEATS.values()
    variables = bank.split("\n")[0] + "\n" + array
    text = VECTOR.replace("VARIABLES", variables).replace("READS", reads).replace("WRITES", writes)
    token = StreamShape(size.lanes, 8, False)
    shapes = (StreamShape(9, 16, True), StreamShape(size.row_bytes, 8, False), token, token, token, token, token)
    return translated(size, TOKENS + text, shapes, folder)


PART = """
namespace nnet {
struct numbers { int value[IN]; };
struct results { int value[OUT]; };
inline int engine_whole_of(const int *in, unsigned first) {
    const unsigned lower = unsigned(in[first] & 255) | unsigned(in[first + 1] & 255) << 8;
    return int(lower | unsigned(in[first + 2] & 255) << 16 | unsigned(in[first + 3]) << 24);
}
inline void take(int port, numbers &of) {
    for (unsigned at = 0; at < IN; at++) {
        #pragma HLS UNROLL
        of.value[at] = edgekit_lane(port, at);
    }
}
inline void give(int port, const results &of) {
    for (unsigned at = 0; at < OUT; at++) {
        #pragma HLS UNROLL
        edgekit_put(port, at, of.value[at]);
    }
}
inline void part() {
    hls::stream<numbers> from(0);
    hls::stream<results> to(1);
    for (unsigned token = 0; token < 4096; token++) {
        const numbers one = from.read();
        const int *in = one.value;
        results made;
        int *out = made.value;
        BODY
        to.write(made);
    }
}
}
extern "C" void stage0() { nnet::part(); }
"""
"""A part of the arithmetic: numbers of 8 bits come, numbers go."""


def part_stage(body: str, numbers: int, results: int, bits: int, folder: Path) -> StageRtl:
    """`body`: from `in`, so many signed numbers of 8 bits, to `out`, so many of `bits` bits."""
    size = EngineSize(simd=6, words=1, banks=2, bank_words=64, positions=512, taps=5)
    written_headers(size, folder)
    text = PART.replace("BODY", body).replace("[IN]", f"[{numbers}]").replace("[OUT]", f"[{results}]")
    text = text.replace("< IN", f"< {numbers}").replace("< OUT", f"< {results}")
    return translated(size, TOKENS + text, (StreamShape(numbers, 8, True), StreamShape(results, bits, True)), folder)
