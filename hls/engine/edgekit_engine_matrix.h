// The matrix array: a word of the map memory times lanes x simd weights a beat.
//
//     for each group, for each tap and word (a pass), for each position:  sums[position][lane] += sum over s of x[s] * weight[lane][s]
//
// Weights of the next pass come in, a row of the stream a beat, while a pass runs. A product of two maps (source ROWS, COLUMNS) takes them from
// the map memory instead, in `lanes` beats in front of each pass.

#ifndef EDGEKIT_ENGINE_MATRIX_H_
#define EDGEKIT_ENGINE_MATRIX_H_

#include "edgekit_engine_job.h"
#include "edgekit_engine_memory.h"
#include "hls_stream.h"

namespace nnet {

static const int engine_pass_min = 10; // beats of a pass, so that a sum is back before it is read again
enum { engine_stream = 0, engine_of_rows = 1, engine_of_columns = 2 };

// Two products that share x in one 25 x 18 multiplier, 17 bits apart; three are added before they are taken apart:
// 3 * 128 * 128 < 2^16. With x in 0..255 the weights are within +-31, and 3 * 31 * 255 is less.
template <unsigned LANES, unsigned SIMD> void engine_dot(const int x[SIMD], const signed char weight[LANES][SIMD], int sums[LANES]) {
    #pragma HLS INLINE
#if defined(EDGEKIT_NATIVE) && !defined(EDGEKIT_ENGINE_PACKED)
    for (unsigned p = 0; p < LANES; p++) { // equal, and a processor has no use for packing
        int sum = 0;
        for (unsigned s = 0; s < SIMD; s++) {
            sum += x[s] * weight[p][s];
        }
        sums[p] += sum;
    }
#else
    for (unsigned p = 0; p < LANES; p += 2) {
        #pragma HLS UNROLL
        const unsigned other = p + 1 < LANES ? p + 1 : p;
        for (unsigned chunk = 0; chunk < SIMD; chunk += 3) {
            #pragma HLS UNROLL
            long long sum = 0;
            for (unsigned s = chunk; s < SIMD && s < chunk + 3; s++) {
                #pragma HLS UNROLL
                const int pair = int(weight[other][s]) * (1 << 17) + weight[p][s];
                const long long products = static_cast<long long>(pair) * x[s];
                #pragma HLS BIND_OP variable=products op=mul impl=dsp
                sum += products;
            }
            const int low = int((sum + (1 << 16)) & ((1 << 17) - 1)) - (1 << 16);
            sums[p] += low;
            if (other != p) {
                sums[other] += int((sum - low) >> 17);
            }
        }
    }
#endif
}

template <class SIZE_T> struct matrix_array {
    static const unsigned lanes = SIZE_T::lanes, simd = SIZE_T::simd;
    int sums[SIZE_T::positions][lanes];
    signed char now[lanes][simd], next[lanes][simd];
    int bias[lanes], code[lanes], next_bias[lanes], next_code[lanes];
    engine_lookup<SIZE_T> table;
    const short *jobs;
    unsigned job_count, running, filling; // the job that runs or is next; the one whose weights come in
    engine_job job, fill_job;
    bool active, fill_open;
    int group, tap_h, tap_w, word, at, row, col, constant; // where the job is; `at`: the beat of the pass
    int fill_group, fill_pass, filled;

    void begin(const short *list, const unsigned count) {
        jobs = list;
        job_count = count;
        running = filling = 0;
        active = false;
        fetch();
        open_fill();
    }

    void beat(const int now_beat, engine_memory<SIZE_T> &memory, hls::stream<engine_row<SIZE_T>> &rows) {
        #pragma HLS INLINE
        if (!active && running < job_count && job.start <= now_beat) {
            EDGEKIT_ENGINE_COUNT(late, job.start != now_beat);
            active = true;
            group = tap_h = tap_w = word = at = row = col = constant = table.row = 0;
        }
        if (active) {
            EDGEKIT_ENGINE_COUNT(busy[1], 1);
            if (table.load(job.flags, rows, 1)) {
                // the job's first beats
            } else if (job.kind == engine_stream) {
                if (at == 0) {
                    take_weights();
                }
                position(memory, at);
                pass_beat(stream_length());
            } else {
                map_beat(memory, rows);
            }
        }
        fill(rows);
    }

  private:
    void fetch() {
        if (running < job_count) {
            job = read_engine_job(jobs + running * engine_job_halves);
            EDGEKIT_ENGINE_COUNT(jobs[1], 1);
        }
    }

    // The weights of job `filling` may come in if they are of the stream; else it is passed when its last pass runs.
    void open_fill() {
        fill_group = fill_pass = filled = 0;
        fill_open = false;
        if (filling < job_count) {
            fill_job = read_engine_job(jobs + filling * engine_job_halves);
            fill_open = fill_job.kind == engine_stream;
        }
    }

    static int groups(const engine_job &one) { return (one.count + int(SIZE_T::words) - 1) / int(SIZE_T::words); }

    static int passes(const engine_job &one) { return one.kernel_h * one.kernel_w * one.x_words; }

    // Rows of a pass: the last group may have fewer words.
    static int weight_rows(const engine_job &one, const int group) {
        const int left = one.count - group * int(SIZE_T::words), words = left < int(SIZE_T::words) ? left : int(SIZE_T::words);
        return (words * int(simd) + int(SIZE_T::row_words) - 1) / int(SIZE_T::row_words);
    }

    int rows_of_fill() const { return weight_rows(fill_job, fill_group) + (fill_pass == 0 ? int(SIZE_T::constant_rows) : 0); }

    void fill(hls::stream<engine_row<SIZE_T>> &rows) {
        if (!fill_open || filled == rows_of_fill()) {
            return;
        }
        const engine_row<SIZE_T> one = rows.read();
        EDGEKIT_ENGINE_COUNT(rows[1], 1);
        const int place = fill_pass == 0 ? filled - int(SIZE_T::constant_rows) : filled;
        if (place < 0) {
            constants(one, filled, next_bias, next_code);
        } else {
            for (unsigned w = 0; w < SIZE_T::row_words; w++) {
                #pragma HLS UNROLL
                const unsigned lane = unsigned(place) * SIZE_T::row_words + w;
                for (unsigned s = 0; s < simd && lane < lanes; s++) {
                    #pragma HLS UNROLL
                    next[lane][s] = static_cast<signed char>(engine_weight(one, w * simd + s));
                }
            }
        }
        filled++;
    }

    static void constants(const engine_row<SIZE_T> &one, const int number, int *biases, int *codes) {
        for (unsigned c = 0; c < SIZE_T::constants_a_row; c++) {
            #pragma HLS UNROLL
            const unsigned lane = unsigned(number) * SIZE_T::constants_a_row + c;
            if (lane < lanes) {
                engine_constant(one, c, biases[lane], codes[lane]);
            }
        }
    }

    void take_weights() {
        EDGEKIT_ENGINE_COUNT(no_weights, !fill_open || filling != running || filled != rows_of_fill());
        swap();
        if (fill_pass == 0) {
            for (unsigned p = 0; p < lanes; p++) {
                #pragma HLS UNROLL
                bias[p] = next_bias[p];
                code[p] = next_code[p];
            }
        }
        filled = 0;
        if (++fill_pass == passes(fill_job)) {
            fill_pass = 0;
            if (++fill_group == groups(fill_job)) {
                filling++;
                open_fill();
            }
        }
    }

    void swap() {
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            for (unsigned s = 0; s < simd; s++) {
                #pragma HLS UNROLL
                now[p][s] = next[p][s];
            }
        }
    }

    bool first_pass() const { return tap_h == 0 && tap_w == 0 && word == 0; }

    bool last_pass() const { return tap_h + 1 == job.kernel_h && tap_w + 1 == job.kernel_w && word + 1 == job.x_words; }

    int place() const {
        const int positions = job.rows * job.cols;
        return positions < engine_pass_min ? engine_pass_min : positions;
    }

    int stream_length() const {
        const bool end = last_pass();
        if (end && group + 1 == groups(job)) {
            return place();
        }
        const int rows = weight_rows(job, end ? group + 1 : group) + (end ? int(SIZE_T::constant_rows) : 0);
        return rows < place() ? place() : rows;
    }

    // The beat after this one: of the same pass, or of the next.
    void pass_beat(const int length) {
        if (++at < length) {
            return;
        }
        at = row = col = 0;
        if (++word < job.x_words) {
            return;
        }
        word = 0;
        if (++tap_w < job.kernel_w) {
            return;
        }
        tap_w = 0;
        if (++tap_h < job.kernel_h) {
            return;
        }
        tap_h = constant = 0;
        if (++group == groups(job)) {
            active = false;
            running++;
            fetch();
        }
    }

    void position(engine_memory<SIZE_T> &memory, const int number) {
        if (number >= job.rows * job.cols) {
            return;
        }
        const int in_row = (job.first_row + row) * job.stride_h - job.pad_h + tap_h * job.dilation_h;
        const int in_col = col * job.stride_w - job.pad_w + tap_w * job.dilation_w;
        int x[simd];
        if (in_row >= 0 && in_row < job.x_rows && in_col >= 0 && in_col < job.x_cols) {
            const int slot = engine_slot(in_row, job.x_lift, job.x_ring);
            const int address = job.x_base + (slot * job.x_cols + in_col) * job.x_pixel + job.x_word + word;
            const engine_word<SIZE_T> found = memory.read(address, 1);
            for (unsigned s = 0; s < simd; s++) {
                #pragma HLS UNROLL
                x[s] = engine_value(found.byte[s], job.x_signed);
            }
        } else {
            for (unsigned s = 0; s < simd; s++) {
                #pragma HLS UNROLL
                x[s] = 0;
            }
        }
        int sum[lanes];
        const bool first = first_pass(), own = job.flags & engine_own_bias;
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            sum[p] = first && !own ? bias[p] : sums[number][p];
        }
        engine_dot<lanes, simd>(x, now, sum);
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            sums[number][p] = sum[p];
        }
        if (last_pass()) {
            emit(memory, sum);
        }
        if (++col == job.cols) {
            col = 0;
            row++;
        }
    }

    void emit(engine_memory<SIZE_T> &memory, const int sum[lanes]) {
        const int slot = engine_slot(job.first_row + row, job.out_lift, job.out_ring);
        const int address = job.out_base + slot * job.out_row_words + col * job.out_pixel + job.out_word + group * int(SIZE_T::words);
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            if (group * int(SIZE_T::words) + int(w) < job.count) {
                engine_word<SIZE_T> out;
                for (unsigned s = 0; s < simd; s++) {
                    #pragma HLS UNROLL
                    const unsigned p = w * simd + s;
                    out.byte[s] = static_cast<unsigned char>(engine_requantize(sum[p], code[p], job.low, job.high));
                }
                EDGEKIT_ENGINE_PASSED(memory, address + int(w), out);
                memory.write(address + int(w), table.of(job.flags, out), 1);
            }
        }
    }

    // A product of two maps: constants of a group, then of each pass the weights out of y, then the positions.
    void map_beat(engine_memory<SIZE_T> &memory, hls::stream<engine_row<SIZE_T>> &rows) {
        const int sets = job.flags & engine_own_bias ? job.rows * job.cols : 1;
        if (first_pass() && at == 0 && constant < sets * int(SIZE_T::constant_rows)) {
            const int inside = constant % int(SIZE_T::constant_rows);
            constants(rows.read(), inside, bias, code);
            EDGEKIT_ENGINE_COUNT(rows[1], 1);
            if ((job.flags & engine_own_bias) && inside + 1 == int(SIZE_T::constant_rows)) {
                for (unsigned p = 0; p < lanes; p++) {
                    #pragma HLS UNROLL
                    sums[constant / int(SIZE_T::constant_rows)][p] = bias[p];
                }
            }
            constant++;
            return;
        }
        if (at < int(lanes)) {
            weights_of_map(memory);
        } else {
            if (at == int(lanes)) {
                swap();
                if (last_pass() && group + 1 == groups(job)) {
                    filling++;
                    open_fill();
                }
            }
            position(memory, at - int(lanes));
        }
        pass_beat(int(lanes) + place());
    }

    void weights_of_map(engine_memory<SIZE_T> &memory) {
        const bool of_rows = job.kind == engine_of_rows;
        const int s_of = at / int(SIZE_T::words), w_of = at % int(SIZE_T::words);
        const int cell = of_rows ? job.y_first + group * int(lanes) + at : word * int(simd) + s_of;
        const int column = of_rows ? word : group * int(SIZE_T::words) + w_of;
        const bool there = cell < job.y_rows * job.y_cols && (of_rows || column < job.count);
        engine_word<SIZE_T> found;
        if (there) {
            found = memory.read(job.y_base + cell * job.y_pixel + job.y_word + column, 1);
        }
        for (unsigned s = 0; s < simd; s++) {
            #pragma HLS UNROLL
            const bool zero = !there || (of_rows && word + 1 == job.x_words && int(s) >= job.y_lanes);
            const signed char value = zero ? 0 : static_cast<signed char>(found.byte[s]);
            if (of_rows) {
                next[at][s] = value;
            } else {
                next[w_of * int(simd) + int(s)][s_of] = value;
            }
        }
    }
};

} // namespace nnet

#endif
