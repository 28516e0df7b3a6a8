// The vector array: what each channel does alone, `lanes` channels a beat, and what comes from and goes to DDR.
//
//     DEPTHWISE   for each group, for each row of the kernel and `taps` columns of it (a pass), for each row, for each column that is read:
//                     sums[position][lane] += sum over taps of x[lane] * weight[tap][lane], x of the last `taps` columns
//     ADD, MULTIPLY    two passes: x, then y; one where they lie in different banks; y first, where it is one pixel
//     MAX   a pass for each tap          COPY   one pass
//     LOAD, STORE      a token of `words` words a beat          MOVE   a byte a beat

#ifndef EDGEKIT_ENGINE_VECTOR_H_
#define EDGEKIT_ENGINE_VECTOR_H_

#include "edgekit_engine_control.h"
#include "edgekit_engine_memory.h"
#include "hls_stream.h"

namespace nnet {

// What the array does in a beat, with words of x and y that start at x_address and y_address; x_words, y_words, out_words: how many of them
// there are, none if at most 0.
struct vector_step {
    bool swaps, swaps_constants, gates, sums, inside, first, second, last, partials;
    engine_take row;
    int x_address, x_words, y_address, y_words;
    int number, tap; // of the sum, and of the partial sum that it takes
    int out_address, out_words;
    int from_byte, to_byte; // of a MOVE
};

template <class SIZE_T> struct vector_control {
    engine_job job;
    engine_loops loops;
    engine_queue queue;
    engine_filling<SIZE_T> filling;
    unsigned running; // the number of the job
    bool active;
    int phase;        // of DEPTHWISE columns until the next output, of MOVE its step
    int out_col;      // of DEPTHWISE: the next output of the row, so that nothing is divided by a stride
    int byte_of_step; // of a MOVE

    void begin(const unsigned count, hls::stream<engine_part> &parts, hls::stream<engine_fill> &fills) {
        queue.begin(count);
        filling.begin(count, fills);
        active = false;
        running = 0;
    First:
        for (unsigned part = 0; part < engine_parts; part++) {
            #pragma HLS PIPELINE II=1
            queue.load(parts);
        }
        EDGEKIT_ENGINE_COUNT(jobs[0], count > 0);
    }

    vector_step next(const int now, hls::stream<engine_part> &parts, hls::stream<engine_fill> &fills) {
        #pragma HLS INLINE
        vector_step step;
        step.swaps = step.gates = step.sums = step.partials = step.second = false;
        step.row.kind = engine_no_row;
        step.x_words = step.y_words = step.out_words = 0;
        if (!active && queue.starts(now)) {
            queue.take(job, loops.of);
            EDGEKIT_ENGINE_COUNT(late, job.start != now);
            active = true;
            loops.begin();
            byte_of_step = 0;
            begin_row();
        }
        const bool looks_up = active && (job.flags & engine_table);
        if (active) {
            EDGEKIT_ENGINE_COUNT(busy[0], 1);
            job_beat(step);
        }
        filling.load(fills);
        if (step.row.kind == engine_no_row) {
            step.row = filling.take(looks_up);
        }
        const bool begins = queue.load(parts); // outside of what counts, which hardware does not have
        EDGEKIT_ENGINE_COUNT(jobs[0], begins);
        static_cast<void>(begins);
        return step;
    }

  private:
    void begin_row() {
        #pragma HLS INLINE
        phase = job.kind == engine_depthwise ? job.taps - 1 : 0;
        out_col = 0;
    }

    int group_words() const { return job.count - loops.group * int(SIZE_T::words); }

    void job_beat(vector_step &step) {
        #pragma HLS INLINE
        if (loops.at == 0 && job.kind == engine_depthwise) {
            EDGEKIT_ENGINE_COUNT(no_weights, !filling.open || filling.job != running || filling.filled != filling.rows());
            step.swaps = true;
            step.swaps_constants = filling.pass == 0;
            filling.taken();
        } else if (loops.at == 0 && loops.last_pass() && loops.last_group()) { // the next job's weights may come
            EDGEKIT_ENGINE_COUNT(no_weights, filling.filled < 0);
            filling.next_job();
        }
        const bool gate = (job.flags & engine_y_cell) && loops.step_h == 0;
        if (loops.at < (gate ? 1 : loops.of.positions)) {
            if (job.kind == engine_depthwise) {
                depthwise(step);
            } else if (job.kind == engine_load || job.kind == engine_store) {
                transfer(step);
            } else if (job.kind == engine_move) {
                move(step);
            } else if (gate) {
                step.gates = true;
                step.y_address = job.y_base + loops.group * int(SIZE_T::words);
                step.y_words = group_words();
            } else {
                position(step);
            }
        }
        if (loops.next()) {
            active = false;
            running++;
        }
        if (loops.at == 0) {
            begin_row();
        }
    }

    // `words` neighbouring words of a pixel, from the group's first on; none outside the map.
    void read_x(vector_step &step, const int in_row, const int in_col) {
        #pragma HLS INLINE
        step.inside = in_row >= 0 && in_row < job.x_rows && in_col >= 0 && in_col < job.x_cols;
        const int pixel = engine_slot(in_row, job.x_lift, job.x_ring) * job.x_cols + in_col;
        step.x_address = job.x_base + pixel * job.x_pixel + job.x_word + loops.group * int(SIZE_T::words);
        step.x_words = step.inside ? group_words() : 0;
    }

    void write(vector_step &step, const int out_row, const int out_col) {
        #pragma HLS INLINE
        const int slot = engine_slot(job.first_h + (job.first_row + out_row) * job.step_h, job.out_lift, job.out_ring);
        const int pixel = slot * job.out_row_words + (job.first_w + out_col * job.step_w) * job.out_pixel;
        step.out_address = job.out_base + pixel + job.out_word + loops.group * int(SIZE_T::words);
        step.out_words = step.last ? group_words() : 0;
    }

    void depthwise(vector_step &step) {
        #pragma HLS INLINE
        const int tap_w = loops.step_w * job.taps;
        const int in_row = (job.first_row + loops.row) * job.stride_h - job.pad_h + loops.step_h * job.dilation_h;
        const int in_col = (job.taps == 1 ? loops.col * job.stride_w : loops.col) - job.pad_w + tap_w * job.dilation_w;
        read_x(step, in_row, in_col);
        step.partials = true;
        step.sums = phase == 0; // all columns of a position's pass have been read
        step.number = loops.row * job.cols + out_col;
        step.first = loops.first_pass();
        step.last = step.sums && loops.last_pass();
        step.tap = job.taps - 1;
        write(step, loops.row, out_col);
        out_col += step.sums;
        phase = phase > 0 ? phase - 1 : job.taps == 1 ? 0 : job.stride_w - 1;
        loops.next_position();
        if (loops.col == 0) {
            begin_row();
        }
    }

    void position(vector_step &step) {
        #pragma HLS INLINE
        const bool pair = job.flags & engine_pair, two = job.kind == engine_add || job.kind == engine_multiply;
        step.sums = true;
        step.number = loops.row * job.cols + loops.col;
        step.first = loops.first_pass();
        step.last = loops.last_pass();
        step.second = two && (loops.step_h == 1 || pair);
        step.inside = true;
        if (step.second && !(job.flags & engine_y_cell)) {
            const int pixel = engine_slot(job.first_row + loops.row, job.y_lift, job.y_ring) * job.y_cols + loops.col;
            step.y_address = job.y_base + pixel * job.y_pixel + loops.group * int(SIZE_T::words);
            step.y_words = group_words();
        }
        if (step.y_words <= 0 || pair) {
            const int tap_h = job.kind == engine_max ? loops.step_h : 0, tap_w = job.kind == engine_max ? loops.step_w : 0;
            read_x(step, (job.first_row + loops.row) * job.stride_h - job.pad_h + tap_h, loops.col * job.stride_w - job.pad_w + tap_w);
        }
        write(step, loops.row, loops.col);
        loops.next_position();
    }

    // A row's words one behind the other, `words` of them a beat.
    void transfer(vector_step &step) {
        #pragma HLS INLINE
        const bool load = job.kind == engine_load;
        const int word = loops.col * int(SIZE_T::words), row = job.first_row + loops.row;
        if (load) {
            step.out_address = job.out_base + engine_slot(row, job.out_lift, job.out_ring) * job.out_row_words + word;
            step.out_words = loops.of.width - word;
        } else {
            step.x_address = job.x_base + engine_slot(row, job.x_lift, job.x_ring) * loops.of.width + word;
            step.x_words = loops.of.width - word;
        }
        loops.next_position();
        EDGEKIT_ENGINE_COUNT(results, loops.col == 0 && !load ? loops.of.width * int(SIZE_T::simd) : 0);
    }

    // moved: steps, bytes of a step; of x and of the output the first byte of a row and the bytes from a step to the next.
    void move(vector_step &step) {
        #pragma HLS INLINE
        const int x_row = engine_slot(job.first_row + loops.row, job.x_lift, job.x_ring) * job.x_cols * job.x_pixel;
        const int out_row = engine_slot(job.first_row + loops.row, job.out_lift, job.out_ring) * job.out_row_words;
        const int from = job.moved[2] + phase * job.moved[3] + byte_of_step, to = job.moved[4] + phase * job.moved[5] + byte_of_step;
        step.x_address = job.x_base + x_row + int(unsigned(from) / SIZE_T::simd);
        step.x_words = 1;
        step.from_byte = int(unsigned(from) % SIZE_T::simd);
        step.out_address = job.out_base + out_row + int(unsigned(to) / SIZE_T::simd);
        step.out_words = 1;
        step.to_byte = int(unsigned(to) % SIZE_T::simd);
        if (++byte_of_step == job.moved[1]) {
            byte_of_step = 0;
            phase++;
        }
        loops.next_position();
        if (loops.col == 0) {
            phase = 0;
        }
    }
};

template <class SIZE_T> struct vector_array {
    static const unsigned lanes = SIZE_T::lanes, simd = SIZE_T::simd, taps = SIZE_T::taps;
    int sums[SIZE_T::positions][lanes];
    engine_weights<SIZE_T, SIZE_T::taps * SIZE_T::words> weights; // of each tap `words` words
    static const unsigned partial_bits = 17; // eight taps of 255 * 32 at most
    int partial[taps][lanes]; // sums over 1, 2, ... taps that end at the column that was read last
    int gate[lanes];
    engine_lookup<SIZE_T> table;

    void run(const vector_step &step, const engine_job &job, const engine_reads<SIZE_T> &reads, engine_memory<SIZE_T> &memory,
             engine_writes<SIZE_T> &writes, hls::stream<engine_row<SIZE_T>> &rows, hls::stream<engine_token<SIZE_T>> &image,
             hls::stream<engine_token<SIZE_T>> &results) {
        #pragma HLS INLINE
        if (step.swaps) {
            weights.swap(step.swaps_constants);
        }
        if (step.row.kind != engine_no_row) {
            const engine_row<SIZE_T> row = rows.read();
            EDGEKIT_ENGINE_COUNT(rows[0], 1);
            if (step.row.kind == engine_table_row) {
                table.load(step.row.place, row);
            } else if (step.row.kind == engine_weight_row) {
                weights.fill(step.row.place, row);
            } else {
                weights.constants(step.row.place, row, false);
            }
        }
        if (job.kind == engine_load || job.kind == engine_store || job.kind == engine_move) {
            transfer(step, job, reads, memory, writes, image, results);
        } else if (step.sums || step.partials || step.gates) {
            compute(step, job, reads, memory, writes);
        }
    }

  private:
    // Words that are read, as they are.
    static engine_token<SIZE_T> words_at(const engine_reads<SIZE_T> &reads, const int address, const int count) {
        #pragma HLS INLINE
        engine_token<SIZE_T> token;
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            token.word[w] = engine_zeros<SIZE_T>();
            if (int(w) < count) {
                token.word[w] = reads.at(address + int(w));
            }
        }
        return token;
    }

    static void values_at(const engine_reads<SIZE_T> &reads, const int address, const int count, const int is_signed, int x[lanes]) {
        #pragma HLS INLINE
        const engine_token<SIZE_T> token = words_at(reads, address, count);
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            for (unsigned s = 0; s < simd; s++) {
                #pragma HLS UNROLL
                x[w * simd + s] = engine_value(token.word[w].byte[s], is_signed);
            }
        }
    }

    void transfer(const vector_step &step, const engine_job &job, const engine_reads<SIZE_T> &reads, engine_memory<SIZE_T> &memory,
                  engine_writes<SIZE_T> &writes, hls::stream<engine_token<SIZE_T>> &image, hls::stream<engine_token<SIZE_T>> &results) {
        #pragma HLS INLINE
        engine_token<SIZE_T> token;
        const bool load = job.kind == engine_load, move = job.kind == engine_move;
        if (load && step.out_words > 0) {
            token = image.read();
            EDGEKIT_ENGINE_COUNT(tokens, 1);
        } else if (step.x_words > 0) {
            token = words_at(reads, step.x_address, step.x_words);
        }
        if (move && step.out_words > 0) {
            token.word[0].byte[step.to_byte] = token.word[0].byte[step.from_byte];
        }
        if (job.kind == engine_store && step.x_words > 0) {
            results.write(token);
        }
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            if (int(w) < step.out_words) {
                writes.want(memory, step.out_address + int(w), token.word[w], move ? step.to_byte : -1, 0);
            }
        }
    }

    // One read of `sums`.
    void compute(const vector_step &step, const engine_job &job, const engine_reads<SIZE_T> &reads, engine_memory<SIZE_T> &memory,
                 engine_writes<SIZE_T> &writes) {
        #pragma HLS INLINE
        const bool cell = job.flags & engine_y_cell, again = step.second && !cell && !(job.flags & engine_pair);
        const bool multiplies = step.sums && job.kind == engine_multiply && step.second;
        int x[lanes], y[lanes], before[lanes], one[lanes], two[lanes], product[lanes];
        values_at(reads, step.x_address, step.x_words, job.x_signed, x);
        values_at(reads, step.y_address, step.y_words, job.y_signed, y);
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            if (step.gates) {
                gate[p] = y[p];
            }
            before[p] = step.sums ? sums[step.number][p] : 0;
            one[p] = again && step.sums ? engine_signed<9>(unsigned(before[p])) : x[p]; // of all but DEPTHWISE a sum is a byte, as x and y are
            two[p] = cell ? gate[p] : y[p];
        }
        columns(step.partials, multiplies, one, two, product);
        if (step.sums) {
            sum(step, job, x, one, two, before, product, memory, writes);
        }
    }

    // The columns of a kernel that x, here `one`, lies under; or its product with `two`, by the multiplier of the first two columns. Both
    // columns share x: a product of bytes or a weight lies in the lower 18 bits of a multiplier of 25 x 18 bits, the other weight above, and
    // half of the lower field's range is added, so that nothing is borrowed. The other columns have no multiplier.
    void columns(const bool partials, const bool multiplies, const int one[lanes], const int two[lanes], int product[lanes]) {
        #pragma HLS INLINE
#if defined(EDGEKIT_NATIVE) && !defined(EDGEKIT_ENGINE_PACKED)
        for (unsigned p = 0; p < lanes && multiplies; p++) {
            product[p] = one[p] * two[p];
        }
        for (unsigned p = 0; p < lanes && partials; p++) {
            for (unsigned k = 0; k < taps; k++) {
                const unsigned tap = taps - 1 - k, word = tap * SIZE_T::words + p / simd;
                partial[tap][p] = (tap > 0 ? partial[tap - 1][p] : 0) + one[p] * weights.now[word][p % simd];
            }
        }
#else
        static const unsigned field = 18;
        const unsigned half = 1u << (field - 1), next = taps > 1 ? 1 : 0;
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            const int opposite = int(ap_int<10>(-one[p])), thrice = 3 * opposite;
            for (unsigned k = 2; k < taps; k++) {
                #pragma HLS UNROLL
                const unsigned tap = taps + 1 - k;
                if (partials) {
                    partial[tap][p] = added(partial[tap - 1][p], one[p], opposite, thrice, weights.now[tap * SIZE_T::words + p / simd][p % simd]);
                }
            }
            const int lower = multiplies ? two[p] : weights.now[p / simd][p % simd];
            const int pair = weights.now[next * SIZE_T::words + p / simd][p % simd] * (1 << field) + lower;
            const long long products = static_cast<long long>(pair) * one[p];
            #pragma HLS BIND_OP variable=products op=mul impl=dsp
            const int held = partials ? partial[0][p] : 0;
            const long long both = products + (static_cast<long long>(held) * (1 << field) + int(half));
            product[p] = engine_signed<field>(unsigned(both) ^ half);
            if (partials) {
                partial[next][p] = int(ap_int<partial_bits>(int(both >> field)));
                partial[0][p] = int(ap_int<partial_bits>(product[p]));
            }
        }
#endif
    }

    // held + x * weight, two bits of the weight after the other, of which the highest is its sign: x, 2x or 3x, then x, -2x or -x, as less
    // than nothing, since the choice then lies in the LUTs of the subtraction. What is shifted out is not changed any more.
    static int added(const int held, const int x, const int opposite, const int thrice, const int weight) {
        #pragma HLS INLINE
        const int low = weight & 2 ? (weight & 1 ? thrice : 2 * opposite) : (weight & 1 ? opposite : 0);
        const int mid = weight & 8 ? (weight & 4 ? thrice : 2 * opposite) : (weight & 4 ? opposite : 0);
        const int high = weight & 32 ? (weight & 16 ? x : 2 * x) : (weight & 16 ? opposite : 0);
        const int first = held - low, second = (first >> 2) - mid, third = (second >> 2) - high;
        return int(ap_int<partial_bits>(third * 16 + (second & 3) * 4 + (first & 3)));
    }

    // One write of `sums`. All kinds add two numbers and requantize once: by the channel's code, by a product's shift, or not at all.
    void sum(const vector_step &step, const engine_job &job, const int x[lanes], const int one[lanes], const int two[lanes],
             const int before[lanes], const int product[lanes], engine_memory<SIZE_T> &memory, engine_writes<SIZE_T> &writes) {
        #pragma HLS INLINE
        const bool depthwise = job.kind == engine_depthwise, max = job.kind == engine_max;
        const bool add = job.kind == engine_add && step.second, multiply = job.kind == engine_multiply;
        const int rounding = multiply && step.second && job.shift ? 1 << (job.shift - 1) : 0;
        int value[lanes];
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            const int most = step.first ? job.low : engine_signed<9>(unsigned(before[p]));
            const int larger = step.inside && x[p] > most ? x[p] : most;
            const int left = depthwise ? (step.first ? weights.bias[p] : before[p]) : add ? two[p] : rounding;
            const int right = depthwise ? partial[step.tap][p] : multiply && step.second ? product[p] : max ? larger : one[p];
            const int sum = left + right;
            value[p] = engine_requantize(sum, depthwise ? weights.code[p] : multiply ? job.shift : 0, job.low, job.high);
            sums[step.number][p] = sum;
        }
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            if (int(w) < step.out_words) {
                engine_word<SIZE_T> out;
                for (unsigned s = 0; s < simd; s++) {
                    #pragma HLS UNROLL
                    out.byte[s] = static_cast<unsigned char>(value[w * simd + s]);
                }
                EDGEKIT_ENGINE_PASSED(memory, step.out_address + int(w), out);
                writes.want(memory, step.out_address + int(w), table.of(job.flags, w, out), -1, 0);
            }
        }
    }
};

} // namespace nnet

#endif
