// What comes from memory ahead of the beat loop: jobs, and rows of weights.
//
// All of a job that needs a product, a quotient or a maximum is made here, once.

#ifndef EDGEKIT_ENGINE_FETCH_H_
#define EDGEKIT_ENGINE_FETCH_H_

#include "edgekit_engine_control.h"
#include "edgekit_engine_job.h"
#include "edgekit_engine_memory.h"
#include "hls_stream.h"

namespace nnet {

// What LOAD and STORE jobs move between DDR and the chip. `more`: 0 behind the last one.
struct engine_lines {
    short more, first_row, rows, cols, count, kernel_h, stride_h, pad_h, x_rows, line, column_step, column_first, column_bytes;
};
struct engine_stored {
    short more, first_row, rows, row_words, width;
    int base;
};

inline int engine_most(const int one, const int other) {
    #pragma HLS INLINE
    return one > other ? one : other;
}

inline int engine_ceil(const int number, const int divisor) {
    #pragma HLS INLINE
    return (number + divisor - 1) / divisor;
}

// Beats of passes that take `place` beats themselves, and as many as the pass behind them has rows of weights.
template <class SIZE_T> void engine_lengths(engine_extent &of, const int place, const engine_fill &fill) {
    #pragma HLS INLINE
    const int constants = fill.streams ? int(SIZE_T::constant_rows) : 0;
    of.length[0] = engine_most(place, fill.rows);
    of.length[1] = engine_most(place, constants + fill.rows);
    of.length[2] = engine_most(place, constants + fill.last_rows);
    of.length[3] = engine_most(place, fill.last_rows);
    of.length[4] = place;
}

// Rows of the table that a job brings.
template <class SIZE_T> short engine_table_of(const engine_job &job) {
    #pragma HLS INLINE
    return job.flags & engine_brings ? short(SIZE_T::table_rows) : short(0);
}

// A job of the matrix array. A product of two maps takes `lanes` beats more in each pass, for the weights.
template <class SIZE_T> engine_extent matrix_extent(const engine_job &job, engine_fill &fill) {
    #pragma HLS INLINE
    const int words = int(SIZE_T::words), groups = engine_ceil(job.count, words), left = job.count - (groups - 1) * words;
    const int positions = job.rows * job.cols, place = engine_most(positions, engine_pass_min);
    const bool streams = job.kind == engine_stream;
    engine_extent of = {positions, job.cols, 0, groups, job.kernel_h, job.kernel_w, job.x_words, {0, 0, 0, 0, 0}};
    fill.streams = streams;
    fill.groups = short(groups);
    fill.table = engine_table_of<SIZE_T>(job);
    fill.passes = of.steps_h * of.steps_w * of.words;
    fill.rows = short(streams ? engine_ceil(words * int(SIZE_T::simd), int(SIZE_T::row_words)) : 0);
    fill.last_rows = short(streams ? engine_ceil(left * int(SIZE_T::simd), int(SIZE_T::row_words)) : 0);
    engine_lengths<SIZE_T>(of, place + (streams ? 0 : int(SIZE_T::lanes)), fill);
    return of;
}

// A job of the vector array.
template <class SIZE_T> engine_extent vector_extent(const engine_job &job, engine_fill &fill) {
    #pragma HLS INLINE
    const int words = int(SIZE_T::words);
    const bool streams = job.kind == engine_depthwise, moves = job.kind == engine_move;
    const bool transfers = job.kind == engine_load || job.kind == engine_store;
    const bool two = job.kind == engine_add || job.kind == engine_multiply;
    const int width = job.cols * job.count;
    engine_extent of = {0, job.cols, width, transfers || moves ? 1 : engine_ceil(job.count, words), 1, 1, 1, {0, 0, 0, 0, 0}};
    if (streams) {
        of.row_beats = job.walk;
        of.steps_h = job.kernel_h;
        of.steps_w = engine_ceil(job.kernel_w, job.taps);
    } else if (transfers) {
        of.row_beats = engine_ceil(width, words);
    } else if (moves) {
        of.row_beats = job.moved[0] * job.moved[1];
    } else if (two) {
        of.steps_h = job.flags & engine_pair ? 1 : 2;
    } else {
        of.steps_h = job.kernel_h;
        of.steps_w = job.kernel_w;
    }
    of.positions = job.rows * of.row_beats;
    fill.streams = streams;
    fill.groups = short(of.groups);
    fill.table = engine_table_of<SIZE_T>(job);
    fill.passes = of.steps_h * of.steps_w;
    fill.rows = fill.last_rows = short(streams ? engine_ceil(job.taps * words, int(SIZE_T::row_words)) : 0);
    engine_lengths<SIZE_T>(of, engine_most(of.positions, engine_pass_min), fill);
    if (job.flags & engine_y_cell) { // the gate is one position
        of.length[0] = of.length[3] = engine_pass_min;
    }
    return of;
}

// A job out of memory, with the extent of its loops; it goes on in parts to the beat loop, which needs the rows that it fills a job earlier.
//
// Loops:  Word   those of a job: 128 bytes      Part   11      with an initiation interval of 1 each
// A job and the gap behind it take at least 14 beats of the array, and its parts 11 of them.
template <class SIZE_T, bool MATRIX, class word_T>
engine_job read_engine_job_of(const word_T *words, const unsigned number, hls::stream<engine_part> &parts, hls::stream<engine_fill> &fills) {
    #pragma HLS INLINE
    const unsigned word_halves = sizeof(word_T) / 2, job_words = engine_job_halves / word_halves;
    short half[engine_job_halves + engine_extent_halves];
    #pragma HLS ARRAY_PARTITION variable=half complete
Word:
    for (unsigned place = 0; place < job_words; place++) {
        #pragma HLS PIPELINE II=1
        const word_T word = words[number * job_words + place];
        for (unsigned at = 0; at < word_halves; at++) {
            #pragma HLS UNROLL
            half[place * word_halves + at] = short(word.byte[2 * at] | word.byte[2 * at + 1] << 8);
        }
    }
    const engine_job job = read_engine_job(half);
    engine_fill fill;
    const engine_extent of = MATRIX ? matrix_extent<SIZE_T>(job, fill) : vector_extent<SIZE_T>(job, fill);
    const int derived[engine_extent_halves / 2] = {of.positions, of.row_beats, of.width,     of.groups,    of.steps_h,   of.steps_w,
                                                   of.words,     of.length[0], of.length[1], of.length[2], of.length[3], of.length[4]};
    for (unsigned at = 0; at < engine_extent_halves / 2; at++) {
        #pragma HLS UNROLL
        half[engine_job_halves + 2 * at] = short(derived[at]);
        half[engine_job_halves + 2 * at + 1] = short(derived[at] >> 16);
    }
    fills.write(fill);
Part:
    for (unsigned place = 0; place < engine_parts; place++) {
        #pragma HLS PIPELINE II=1
        engine_part part;
        for (unsigned at = 0; at < engine_part_halves; at++) {
            #pragma HLS UNROLL
            part.half[at] = half[place * engine_part_halves + at];
        }
        parts.write(part);
    }
    return job;
}

// The matrix array's jobs.
//
// Loop:   Job    `job_count`
template <class SIZE_T, class word_T>
void read_matrix_jobs(const word_T *words, const unsigned job_count, hls::stream<engine_part> &parts, hls::stream<engine_fill> &fills) {
Job:
    for (unsigned number = 0; number < job_count; number++) {
        read_engine_job_of<SIZE_T, true>(words, number, parts, fills);
    }
}

// The vector array's jobs; what LOAD and STORE move goes to what brings the image and takes results away as well.
//
// Loop:   Job    `job_count`
template <class SIZE_T, class word_T>
void read_vector_jobs(const word_T *words, const unsigned job_count, hls::stream<engine_part> &parts, hls::stream<engine_fill> &fills,
                      hls::stream<engine_lines> &loads, hls::stream<engine_stored> &stores) {
Job:
    for (unsigned number = 0; number < job_count; number++) {
        const engine_job job = read_engine_job_of<SIZE_T, false>(words, number, parts, fills);
        if (job.kind == engine_load) {
            engine_lines lines;
            lines.more = 1;
            lines.first_row = short(job.first_row);
            lines.rows = short(job.rows);
            lines.cols = short(job.cols);
            lines.count = short(job.count);
            lines.kernel_h = short(job.kernel_h);
            lines.stride_h = short(job.stride_h);
            lines.pad_h = short(job.pad_h);
            lines.x_rows = short(job.x_rows);
            lines.line = short(job.line);
            lines.column_step = short(job.column_step);
            lines.column_first = short(job.column_first);
            lines.column_bytes = short(job.column_bytes);
            loads.write(lines);
        }
        if (job.kind == engine_store) {
            const engine_stored stored = {1, short(job.first_row), short(job.rows), short(job.out_row_words), short(job.cols * job.count), job.out_base};
            stores.write(stored);
        }
    }
    const engine_lines no_lines = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const engine_stored no_stored = {0, 0, 0, 0, 0, 0};
    loads.write(no_lines);
    stores.write(no_stored);
}

// The weight stream's rows in the order in which the jobs of one array take them, of row_bytes bytes each, out of words of memory in which
// they lie one behind the other. Of each job it reads the first 16 bytes. `first_job`, `first_row`: words of memory.
//
// Loops:  Job     the array's jobs      Span    the words of 16 bytes
//         Step    of each job: a word is read where fewer bytes than a row are held, a row is written where they suffice
//                 trip count: at most words and rows together      initiation interval 1
template <class SIZE_T, class word_T>
void read_engine_rows(const word_T *words, const unsigned first_job, const unsigned job_count, const unsigned first_row,
                      hls::stream<engine_row<SIZE_T>> &out) {
    const unsigned word_bytes = sizeof(word_T), row_bytes = SIZE_T::row_bytes, span_words = (engine_span_bytes + word_bytes - 1) / word_bytes;
    unsigned char held[SIZE_T::row_bytes + sizeof(word_T)], span[engine_span_bytes + sizeof(word_T)];
    #pragma HLS ARRAY_PARTITION variable=held complete
    #pragma HLS ARRAY_PARTITION variable=span complete
Job:
    for (unsigned number = 0; number < job_count; number++) {
    Span:
        for (unsigned place = 0; place < span_words; place++) {
            #pragma HLS PIPELINE II=1
            const word_T word = words[first_job + number * (2 * engine_job_halves / word_bytes) + place];
            for (unsigned byte = 0; byte < word_bytes; byte++) {
                #pragma HLS UNROLL
                span[place * word_bytes + byte] = word.byte[byte];
            }
        }
        short half[8];
        for (unsigned at = 0; at < 8; at++) {
            #pragma HLS UNROLL
            half[at] = short(span[2 * at] | span[2 * at + 1] << 8);
        }
        const engine_span of = read_engine_span(half);
        const unsigned long long first = static_cast<unsigned long long>(of.stream_row) * row_bytes;
        const unsigned rows = unsigned(of.stream_rows), begun = unsigned(first % word_bytes);
        const unsigned steps = (begun + rows * row_bytes) / word_bytes + 1 + rows;
        unsigned next = first_row + unsigned(first / word_bytes), skip = begun, count = 0, written = 0;
    Step:
        for (unsigned step = 0; step < steps; step++) {
            #pragma HLS PIPELINE II=1
            if (written == rows) {
                break;
            }
            if (count < row_bytes) {
                const word_T word = words[next];
                for (unsigned byte = 0; byte < word_bytes; byte++) {
                    #pragma HLS UNROLL
                    if (byte >= skip) {
                        held[count + byte - skip] = word.byte[byte];
                    }
                }
                count += word_bytes - skip;
                skip = 0;
                next++;
            }
            if (count >= row_bytes) {
                engine_row<SIZE_T> row;
                for (unsigned byte = 0; byte < row_bytes; byte++) {
                    #pragma HLS UNROLL
                    row.byte[byte] = held[byte];
                }
                for (unsigned byte = 0; byte < word_bytes; byte++) {
                    #pragma HLS UNROLL
                    held[byte] = held[byte + row_bytes];
                }
                out.write(row);
                count -= row_bytes;
                written++;
            }
        }
    }
}

} // namespace nnet

#endif
