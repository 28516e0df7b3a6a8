// The vector array: what each channel does alone, `lanes` channels a beat, and what comes from and goes to DDR.
//
//     DEPTHWISE   for each group, for each row of the kernel and `taps` columns of it (a pass), for each row, for each column that is read:
//                     sums[position][lane] += sum over taps of x[lane] * weight[tap][lane], x of the last `taps` columns
//     ADD, MULTIPLY    two passes: x, then y; one where they lie in different banks; y first, where it is one pixel
//     MAX   a pass for each tap          COPY   one pass
//     LOAD, STORE      a token of `words` words a beat          MOVE   a byte a beat

#ifndef EDGEKIT_ENGINE_VECTOR_H_
#define EDGEKIT_ENGINE_VECTOR_H_

#include "edgekit_engine_job.h"
#include "edgekit_engine_matrix.h"
#include "edgekit_engine_memory.h"
#include "hls_stream.h"

namespace nnet {

enum { engine_depthwise, engine_add, engine_multiply, engine_max, engine_copy, engine_load, engine_store, engine_move };

template <class SIZE_T> struct vector_array {
    static const unsigned lanes = SIZE_T::lanes, simd = SIZE_T::simd, taps = SIZE_T::taps;
    int sums[SIZE_T::positions][lanes];
    signed char now[taps][lanes], next[taps][lanes];
    int bias[lanes], code[lanes], next_bias[lanes], next_code[lanes];
    int partial[taps][lanes]; // sums over 1, 2, ... taps that end at the column that was read last
    int gate[lanes];
    engine_lookup<SIZE_T> table;
    const short *jobs;
    unsigned job_count, running, filling;
    engine_job job, fill_job;
    bool active, fill_open;
    int group, tap_h, tap_w, at, row, col, phase; // tap_w: the first of the pass; phase: columns until the next output
    int fill_group, fill_pass, filled;

    void begin(const short *list, const unsigned count) {
        jobs = list;
        job_count = count;
        running = filling = 0;
        active = false;
        fetch();
        open_fill();
    }

    void beat(const int now_beat, engine_memory<SIZE_T> &memory, hls::stream<engine_row<SIZE_T>> &rows,
              hls::stream<engine_token<SIZE_T>> &image, engine_word<SIZE_T> *results) {
        #pragma HLS INLINE
        if (!active && running < job_count && job.start <= now_beat) {
            EDGEKIT_ENGINE_COUNT(late, job.start != now_beat);
            active = true;
            group = tap_h = tap_w = at = row = col = table.row = 0;
            phase = job.kind == engine_depthwise ? job.taps - 1 : 0;
        }
        if (active) {
            EDGEKIT_ENGINE_COUNT(busy[0], 1);
            if (table.load(job.flags, rows, 0)) {
                // the job's first beats
            } else if (job.kind == engine_depthwise) {
                depthwise(memory);
            } else {
                if (at == 0 && last_pass() && group + 1 == groups(job)) { // the next job's weights may come
                    filling++;
                    open_fill();
                }
                other(memory, image, results);
            }
        }
        fill(rows);
    }

  private:
    void fetch() {
        if (running < job_count) {
            job = read_engine_job(jobs + running * engine_job_halves);
            EDGEKIT_ENGINE_COUNT(jobs[0], 1);
        }
    }

    void open_fill() {
        fill_group = fill_pass = filled = 0;
        fill_open = false;
        if (filling < job_count) {
            fill_job = read_engine_job(jobs + filling * engine_job_halves);
            fill_open = fill_job.kind == engine_depthwise;
        }
    }

    static bool streams(const engine_job &one) { return one.kind == engine_load || one.kind == engine_store || one.kind == engine_move; }

    static bool takes_two(const engine_job &one) { return one.kind == engine_add || one.kind == engine_multiply; }

    static int groups(const engine_job &one) { return streams(one) ? 1 : (one.count + int(SIZE_T::words) - 1) / int(SIZE_T::words); }

    static int steps(const engine_job &one) { return (one.kernel_w + one.taps - 1) / one.taps; }

    static int weight_rows(const engine_job &one) {
        return (one.taps * int(SIZE_T::words) + int(SIZE_T::row_words) - 1) / int(SIZE_T::row_words);
    }

    int rows_of_fill() const { return weight_rows(fill_job) + (fill_pass == 0 ? int(SIZE_T::constant_rows) : 0); }

    void fill(hls::stream<engine_row<SIZE_T>> &rows) {
        if (!fill_open || filled == rows_of_fill()) {
            return;
        }
        const engine_row<SIZE_T> one = rows.read();
        EDGEKIT_ENGINE_COUNT(rows[0], 1);
        const int place = fill_pass == 0 ? filled - int(SIZE_T::constant_rows) : filled;
        if (place < 0) {
            for (unsigned c = 0; c < SIZE_T::constants_a_row; c++) {
                #pragma HLS UNROLL
                const unsigned lane = unsigned(filled) * SIZE_T::constants_a_row + c;
                if (lane < lanes) {
                    engine_constant(one, c, next_bias[lane], next_code[lane]);
                }
            }
        } else {
            for (unsigned w = 0; w < SIZE_T::row_words; w++) {
                #pragma HLS UNROLL
                const unsigned number = unsigned(place) * SIZE_T::row_words + w;
                for (unsigned s = 0; s < simd && number < taps * SIZE_T::words; s++) {
                    #pragma HLS UNROLL
                    next[number / SIZE_T::words][number % SIZE_T::words * simd + s] = static_cast<signed char>(engine_weight(one, w * simd + s));
                }
            }
        }
        filled++;
    }

    void take_weights() {
        EDGEKIT_ENGINE_COUNT(no_weights, !fill_open || filling != running || filled != rows_of_fill());
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            for (unsigned k = 0; k < taps; k++) {
                #pragma HLS UNROLL
                now[k][p] = next[k][p];
            }
            if (fill_pass == 0) {
                bias[p] = next_bias[p];
                code[p] = next_code[p];
            }
        }
        filled = 0;
        if (++fill_pass == fill_job.kernel_h * steps(fill_job)) {
            fill_pass = 0;
            if (++fill_group == groups(fill_job)) {
                filling++;
                open_fill();
            }
        }
    }

    bool first_pass() const { return tap_h == 0 && tap_w == 0; }

    bool last_pass() const {
        if (streams(job)) {
            return true;
        }
        if (takes_two(job)) {
            return tap_h == 1 || (job.flags & engine_pair);
        }
        return tap_h + 1 == job.kernel_h && tap_w + step() >= job.kernel_w;
    }

    int step() const { return job.kind == engine_depthwise ? job.taps : 1; }

    void pass_beat(const int length) {
        if (++at < length) {
            return;
        }
        at = row = col = 0;
        phase = job.taps - 1;
        if (!last_pass()) {
            tap_w += step();
            if (tap_w >= job.kernel_w || takes_two(job)) {
                tap_w = 0;
                tap_h++;
            }
            return;
        }
        tap_h = tap_w = 0;
        if (++group == groups(job)) {
            active = false;
            running++;
            fetch();
        }
    }

    // `words` neighbouring words of a pixel, from the group's first on; zeros outside the map.
    bool read_x(engine_memory<SIZE_T> &memory, const int in_row, const int in_col, int x[lanes]) {
        const bool inside = in_row >= 0 && in_row < job.x_rows && in_col >= 0 && in_col < job.x_cols;
        const int slot = engine_slot(in_row, job.x_lift, job.x_ring);
        const int first = job.x_base + (slot * job.x_cols + in_col) * job.x_pixel + job.x_word + group * int(SIZE_T::words);
        read_words(memory, first, inside, job.x_signed, x);
        return inside;
    }

    void read_words(engine_memory<SIZE_T> &memory, const int first, const bool inside, const int is_signed, int x[lanes]) {
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            const bool there = inside && group * int(SIZE_T::words) + int(w) < job.count;
            engine_word<SIZE_T> found;
            if (there) {
                found = memory.read(first + int(w), 0);
            }
            for (unsigned s = 0; s < simd; s++) {
                #pragma HLS UNROLL
                x[w * simd + s] = there ? engine_value(found.byte[s], is_signed) : 0;
            }
        }
    }

    void emit(engine_memory<SIZE_T> &memory, const int out_row, const int out_col, const int value[lanes]) {
        const int slot = engine_slot(job.first_h + (job.first_row + out_row) * job.step_h, job.out_lift, job.out_ring);
        const int address = job.out_base + slot * job.out_row_words + (job.first_w + out_col * job.step_w) * job.out_pixel + job.out_word +
                            group * int(SIZE_T::words);
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            if (group * int(SIZE_T::words) + int(w) < job.count) {
                engine_word<SIZE_T> out;
                for (unsigned s = 0; s < simd; s++) {
                    #pragma HLS UNROLL
                    out.byte[s] = static_cast<unsigned char>(value[w * simd + s]);
                }
                EDGEKIT_ENGINE_PASSED(memory, address + int(w), out);
                memory.write(address + int(w), table.of(job.flags, out), 0);
            }
        }
    }

    void depthwise(engine_memory<SIZE_T> &memory) {
        if (at == 0) {
            take_weights();
        }
        const int reads = job.rows * job.walk;
        if (at < reads) {
            const int in_row = (job.first_row + row) * job.stride_h - job.pad_h + tap_h * job.dilation_h;
            const int in_col = (job.taps == 1 ? col * job.stride_w : col) - job.pad_w + tap_w * job.dilation_w;
            int x[lanes];
            read_x(memory, in_row, in_col, x);
            for (unsigned p = 0; p < lanes; p++) {
                #pragma HLS UNROLL
                for (unsigned k = 0; k < taps; k++) { // the taps' products share x, so that two lie in one multiplier
                    #pragma HLS UNROLL
                    const unsigned tap = taps - 1 - k;
                    partial[tap][p] = (tap > 0 ? partial[tap - 1][p] : 0) + x[p] * now[tap][p];
                }
            }
            if (phase == 0) {
                output(memory);
                phase = job.taps == 1 ? 0 : job.stride_w - 1;
            } else {
                phase--;
            }
            if (++col == job.walk) {
                col = 0;
                phase = job.taps - 1;
                row++;
            }
        }
        const bool end = last_pass();
        int length = reads < engine_pass_min ? engine_pass_min : reads;
        if (!end || group + 1 != groups(job)) {
            const int rows = weight_rows(job) + (end ? int(SIZE_T::constant_rows) : 0);
            length = rows < length ? length : rows;
        }
        pass_beat(length);
    }

    // All columns of a position's pass have been read.
    void output(engine_memory<SIZE_T> &memory) {
        const int out_col = job.taps == 1 ? col : (col - job.taps + 1) / job.stride_w;
        const int number = row * job.cols + out_col;
        const bool first = first_pass(), last = last_pass();
        int value[lanes];
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            const int sum = (first ? bias[p] : sums[number][p]) + partial[unsigned(job.taps) - 1][p];
            sums[number][p] = sum;
            value[p] = engine_requantize(sum, code[p], job.low, job.high);
        }
        if (last) {
            emit(memory, row, out_col, value);
        }
    }

    void other(engine_memory<SIZE_T> &memory, hls::stream<engine_token<SIZE_T>> &image, engine_word<SIZE_T> *results) {
        if (job.kind == engine_load || job.kind == engine_store) {
            transfer(memory, image, results);
            return;
        }
        if (job.kind == engine_move) {
            move(memory);
            return;
        }
        const bool cell = (job.flags & engine_y_cell) && tap_h == 0;
        const int positions = cell ? 1 : job.rows * job.cols;
        if (cell && at == 0) {
            read_words(memory, job.y_base + group * int(SIZE_T::words), true, job.y_signed, gate);
        } else if (at < positions) {
            position(memory);
        }
        pass_beat(positions < engine_pass_min ? engine_pass_min : positions);
    }

    void position(engine_memory<SIZE_T> &memory) {
        const int number = row * job.cols + col;
        const bool pair = job.flags & engine_pair, cell = job.flags & engine_y_cell;
        const bool second = takes_two(job) && (tap_h == 1 || pair), other = second && !cell;
        int x[lanes], y[lanes];
        bool inside = true;
        if (other) {
            const int pixel = engine_slot(job.first_row + row, job.y_lift, job.y_ring) * job.y_cols + col;
            read_words(memory, job.y_base + pixel * job.y_pixel + group * int(SIZE_T::words), true, job.y_signed, y);
        }
        if (!other || pair) {
            const int tap = job.kind == engine_max ? 1 : 0;
            inside = read_x(memory, (job.first_row + row) * job.stride_h - job.pad_h + tap * tap_h, col * job.stride_w - job.pad_w + tap * tap_w, x);
        }
        int value[lanes];
        const int rounding = job.shift ? 1 << (job.shift - 1) : 0;
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            const int before = sums[number][p];
            const int one = other && !pair ? before : x[p], two = cell ? gate[p] : y[p];
            int sum = one;
            if (job.kind == engine_max) {
                const int most = first_pass() ? job.low : before;
                sum = inside && one > most ? one : most;
            } else if (second) {
                sum = job.kind == engine_add ? one + two : one * two;
            }
            sums[number][p] = sum;
            value[p] = job.kind == engine_copy       ? sum
                       : job.kind == engine_multiply ? engine_clamp((sum + rounding) >> job.shift, job.low, job.high)
                                                     : engine_clamp(sum, job.low, job.high);
        }
        if (last_pass()) {
            emit(memory, row, col, value);
        }
        if (++col == job.cols) {
            col = 0;
            row++;
        }
    }

    // A row's words one behind the other, `words` of them a beat.
    void transfer(engine_memory<SIZE_T> &memory, hls::stream<engine_token<SIZE_T>> &image, engine_word<SIZE_T> *results) {
        const int width = job.cols * job.count, tokens = (width + int(SIZE_T::words) - 1) / int(SIZE_T::words);
        if (row < job.rows) {
            engine_token<SIZE_T> token;
            if (job.kind == engine_load) {
                token = image.read();
                EDGEKIT_ENGINE_COUNT(tokens, 1);
            }
            const bool load = job.kind == engine_load;
            const int slot = load ? engine_slot(job.first_row + row, job.out_lift, job.out_ring) : engine_slot(job.first_row + row, job.x_lift, job.x_ring);
            for (unsigned w = 0; w < SIZE_T::words; w++) {
                #pragma HLS UNROLL
                const int word = col * int(SIZE_T::words) + int(w);
                if (word < width && load) {
                    memory.write(job.out_base + slot * job.out_row_words + word, token.word[w], 0);
                }
                if (word < width && !load) {
                    results[job.out_base + (job.first_row + row) * job.out_row_words + word] = memory.read(job.x_base + slot * width + word, 0);
                }
            }
            if (++col == tokens) {
                EDGEKIT_ENGINE_COUNT(results, load ? 0 : width * int(simd));
                col = 0;
                row++;
            }
        }
        const int beats = job.rows * tokens;
        if (++at == (beats < engine_pass_min ? engine_pass_min : beats)) {
            finish();
        }
    }

    // moved: steps, bytes of a step; of x and of the output the first byte of a row and the bytes from a step to the next.
    void move(engine_memory<SIZE_T> &memory) {
        const int each = job.moved[0] * job.moved[1];
        if (row < job.rows) {
            const int x_row = engine_slot(job.first_row + row, job.x_lift, job.x_ring) * job.x_cols * job.x_pixel;
            const int out_row = engine_slot(job.first_row + row, job.out_lift, job.out_ring) * job.out_row_words;
            const int from = job.moved[2] + phase * job.moved[3] + col, to = job.moved[4] + phase * job.moved[5] + col;
            const engine_word<SIZE_T> found = memory.read(job.x_base + x_row + from / int(simd), 0);
            memory.write_byte(job.out_base + out_row + to / int(simd), to % int(simd), found.byte[from % int(simd)], 0);
            if (++col == job.moved[1]) {
                col = 0;
                if (++phase == job.moved[0]) {
                    phase = 0;
                    row++;
                }
            }
        }
        const int beats = job.rows * each;
        if (++at == (beats < engine_pass_min ? engine_pass_min : beats)) {
            finish();
        }
    }

    void finish() {
        active = false;
        running++;
        fetch();
    }
};

} // namespace nnet

#endif
