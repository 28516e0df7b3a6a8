// What both arrays are driven by: their jobs, the loops that a job is, and when rows of weights are taken: counters, and compares with
// numbers that lie in registers.

#ifndef EDGEKIT_ENGINE_CONTROL_H_
#define EDGEKIT_ENGINE_CONTROL_H_

#include "edgekit_engine_job.h"
#include "edgekit_engine_memory.h"
#include "hls_stream.h"

namespace nnet {

static const int engine_pass_min = 10; // beats of a pass, so that a sum is back before it is read again
enum { engine_stream = 0, engine_of_rows = 1, engine_of_columns = 2 };
enum { engine_depthwise, engine_add, engine_multiply, engine_max, engine_copy, engine_load, engine_store, engine_move };

// The loops of a job: groups, in each of them passes (of `steps_h` x `steps_w` taps, and `words` words of inputs), in each of them beats.
//
// positions: beats of a pass that do something. row_beats: of them, those of a row. width: words of a row that LOAD and STORE move.
// length: beats of a pass: inside a group; the last of a group, where a full one or the last one follows; inside the last group; the last.
struct engine_extent {
    int positions, row_beats, width, groups, steps_h, steps_w, words, length[5];
};

// Rows of the stream that a job's passes take: in the last group as many as it has words for. `streams`: 0 if it takes none this way.
// `table`: rows of the table that it brings, in front of all others.
struct engine_fill {
    short streams, groups, rows, last_rows, table;
    int passes;
};

static const unsigned engine_part_halves = 8, engine_extent_halves = 24;
static const unsigned engine_job_parts = engine_job_halves / engine_part_halves;
static const unsigned engine_parts = engine_job_parts + engine_extent_halves / engine_part_halves;

// A job and its extent come to the beat loop in parts of 16 bytes, one a beat: narrow FIFOs.
struct engine_part {
    short half[engine_part_halves];
};

// A number of 32 bits in two halves, the lower one first.
inline int engine_whole(const short *half) {
    #pragma HLS INLINE
    return int(half[0] & 0xFFFF) + half[1] * 65536;
}

// The job that an array has next: its parts come in while the one before runs.
struct engine_queue {
    short half[engine_job_halves + engine_extent_halves];
    unsigned left, loaded; // jobs that have not been taken, parts of the next one that have come

    void begin(const unsigned count) {
        left = count;
        loaded = 0;
    }

    // A part a beat. Gives whether it was the first one of a job.
    bool load(hls::stream<engine_part> &parts) {
        #pragma HLS INLINE
        if (left == 0 || loaded == engine_parts) {
            return false;
        }
        const engine_part part = parts.read();
        for (unsigned at = 0; at < engine_part_halves; at++) {
            #pragma HLS UNROLL
            half[loaded * engine_part_halves + at] = part.half[at];
        }
        return loaded++ == 0;
    }

    bool starts(const int now) const {
        #pragma HLS INLINE
        return left > 0 && loaded == engine_parts && engine_whole(half) <= now;
    }

    void take(engine_job &job, engine_extent &of) {
        #pragma HLS INLINE
        const short *number = half + engine_job_halves;
        job = read_engine_job(half);
        of.positions = engine_whole(number);
        of.row_beats = engine_whole(number + 2);
        of.width = engine_whole(number + 4);
        of.groups = engine_whole(number + 6);
        of.steps_h = engine_whole(number + 8);
        of.steps_w = engine_whole(number + 10);
        of.words = engine_whole(number + 12);
        for (unsigned at = 0; at < 5; at++) {
            #pragma HLS UNROLL
            of.length[at] = engine_whole(number + 14 + 2 * at);
        }
        left--;
        loaded = 0;
    }
};

// Where an array is in its job. `at`: the beat of the pass; `row`, `col`: of the beats that do something.
struct engine_loops {
    engine_extent of;
    int group, step_h, step_w, word, at, row, col;

    void begin() {
        #pragma HLS INLINE
        group = step_h = step_w = word = at = row = col = 0;
    }

    bool first_pass() const { return step_h == 0 && step_w == 0 && word == 0; }

    bool last_pass() const { return step_h + 1 == of.steps_h && step_w + 1 == of.steps_w && word + 1 == of.words; }

    bool last_group() const { return group + 1 == of.groups; }

    void next_position() {
        #pragma HLS INLINE
        if (++col == of.row_beats) {
            col = 0;
            row++;
        }
    }

    // To the beat after this one: of the same pass, or of the next. Gives whether the job is over.
    bool next() {
        #pragma HLS INLINE
        const bool end = last_pass(), last = last_group();
        const int length = end ? of.length[last ? 4 : group + 2 == of.groups ? 2 : 1] : of.length[last ? 3 : 0];
        if (++at < length) {
            return false;
        }
        at = row = col = 0;
        if (++word < of.words) {
            return false;
        }
        word = 0;
        if (++step_w < of.steps_w) {
            return false;
        }
        step_w = 0;
        if (++step_h < of.steps_h) {
            return false;
        }
        step_h = 0;
        return ++group == of.groups;
    }
};

// Which row of the stream an array takes in a beat, and what it is: of the weights or constants of the next pass, of the next job's table, or
// constants that take effect at once. `place`: which of them.
enum { engine_no_row, engine_weight_row, engine_constant_row, engine_table_row, engine_direct_row };
struct engine_take {
    int kind, place;
};

// The rows of the next pass. `job`: the number of the one that they are of; while it takes none, nothing comes. `filled`: how many have come;
// below 0 while the job's table has not come whole.
template <class SIZE_T> struct engine_filling {
    engine_fill of;
    unsigned left, job;
    bool open, over; // over: the next job's come
    int group, pass, filled;

    void begin(const unsigned count, hls::stream<engine_fill> &fills) {
        left = count;
        job = 0;
        next_job();
        load(fills);
        job = 0;
    }

    void next_job() {
        #pragma HLS INLINE
        group = pass = filled = 0;
        open = false;
        over = true;
        job++;
    }

    // Once a beat, so that the stream is read at one place.
    void load(hls::stream<engine_fill> &fills) {
        #pragma HLS INLINE
        if (over && left > 0) {
            of = fills.read();
            open = of.streams != 0 || of.table != 0;
            filled = -of.table;
            left--;
        }
        over = false;
    }

    int rows() const {
        const bool constants = of.streams != 0 && pass == 0;
        return (group + 1 == of.groups ? of.last_rows : of.rows) + (constants ? int(SIZE_T::constant_rows) : 0);
    }

    // `looks_up`: whether a job runs that needs its own table until it is over.
    engine_take take(const bool looks_up) {
        #pragma HLS INLINE
        engine_take found = {engine_no_row, 0};
        if (open && filled < 0) {
            if (!looks_up) {
                found.kind = engine_table_row;
                found.place = filled + int(SIZE_T::table_rows);
                filled++;
            }
        } else if (open && filled != rows()) {
            const bool constant = pass == 0 && filled < int(SIZE_T::constant_rows);
            found.kind = constant ? engine_constant_row : engine_weight_row;
            found.place = pass == 0 && !constant ? filled - int(SIZE_T::constant_rows) : filled;
            filled++;
        }
        return found;
    }

    // The next pass has become the one that runs.
    void taken() {
        #pragma HLS INLINE
        filled = 0;
        if (++pass == of.passes) {
            pass = 0;
            if (++group == of.groups) {
                next_job();
            }
        }
    }
};

// Weights and constants of the pass that runs and of the next: `NUMBER` times simd weights.
template <class SIZE_T, unsigned NUMBER> struct engine_weights {
    static const unsigned lanes = SIZE_T::lanes, simd = SIZE_T::simd;
    signed char now[NUMBER][simd], next[NUMBER][simd];
    int bias[lanes], code[lanes], next_bias[lanes], next_code[lanes];

    void swap(const bool constants) {
        #pragma HLS INLINE
        for (unsigned n = 0; n < NUMBER; n++) {
            #pragma HLS UNROLL
            for (unsigned s = 0; s < simd; s++) {
                #pragma HLS UNROLL
                now[n][s] = next[n][s];
            }
        }
        for (unsigned p = 0; p < lanes && constants; p++) {
            #pragma HLS UNROLL
            bias[p] = next_bias[p];
            code[p] = next_code[p];
        }
    }

    void fill(const int place, const engine_row<SIZE_T> &row) {
        #pragma HLS INLINE
        for (unsigned w = 0; w < SIZE_T::row_words; w++) {
            #pragma HLS UNROLL
            const unsigned number = unsigned(place) * SIZE_T::row_words + w;
            for (unsigned s = 0; s < simd && number < NUMBER; s++) {
                #pragma HLS UNROLL
                next[number][s] = static_cast<signed char>(engine_weight(row, w * simd + s));
            }
        }
    }

    // `direct`: for the pass that runs.
    void constants(const int place, const engine_row<SIZE_T> &row, const bool direct) {
        #pragma HLS INLINE
        for (unsigned c = 0; c < SIZE_T::constants_a_row; c++) {
            #pragma HLS UNROLL
            const unsigned lane = unsigned(place) * SIZE_T::constants_a_row + c;
            if (lane < lanes) {
                int new_bias, new_code;
                engine_constant(row, c, new_bias, new_code);
                if (direct) {
                    bias[lane] = new_bias;
                    code[lane] = new_code;
                } else {
                    next_bias[lane] = new_bias;
                    next_code[lane] = new_code;
                }
            }
        }
    }
};

} // namespace nnet

#endif
