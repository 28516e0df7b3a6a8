// The matrix array: a word of the map memory times lanes x simd weights a beat.
//
//     for each group, for each tap and word (a pass), for each position:  sums[position][lane] += sum over s of x[s] * weight[lane][s]
//
// Weights of the next pass come in, a row of the stream a beat, while a pass runs. A product of two maps (source ROWS, COLUMNS) takes them from
// the map memory instead, in `lanes` beats in front of each pass.

#ifndef EDGEKIT_ENGINE_MATRIX_H_
#define EDGEKIT_ENGINE_MATRIX_H_

#include "edgekit_engine_control.h"
#include "edgekit_engine_memory.h"
#include "hls_stream.h"

namespace nnet {

// Two products that share x in one 25 x 18 multiplier, `field` = 17 bits apart, of which four are added before they are taken apart. The
// lower weight lies there as 127 - weight, which is 0..255, so that nothing is borrowed from the upper one and all of the pair is within
// 25 bits; from 65,536 - 127 * (sum of x) on, the same for all lanes, the lower field then holds
//     65,536 - sum of x * weight        0..131,071:  x * weight is -16,256..16,384, or within 32 * 255 where x is 0..255
// So neither field is the sign of the other. The sums of the fields are unsigned, with half their range too much: their highest bit, turned
// around, makes them signed.
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
    static const unsigned field = 17, together = 4, chunks = (SIMD + together - 1) / together;
    static const unsigned exponent = chunks <= 1 ? 0 : chunks <= 2 ? 1 : chunks <= 4 ? 2 : chunks <= 8 ? 3 : 4, absent = (1u << exponent) - chunks;
    int start[chunks];
    for (unsigned chunk = 0; chunk < chunks; chunk++) {
        #pragma HLS UNROLL
        int all = 0;
        for (unsigned s = chunk * together; s < SIMD && s < (chunk + 1) * together; s++) {
            #pragma HLS UNROLL
            all += x[s];
        }
        start[chunk] = (1 << (field - 1)) - 127 * all;
    }
    for (unsigned p = 0; p < LANES; p += 2) {
        #pragma HLS UNROLL
        const unsigned other = p + 1 < LANES ? p + 1 : p;
        unsigned lower = absent << (field - 1), upper = absent << field;
        for (unsigned chunk = 0; chunk < chunks; chunk++) {
            #pragma HLS UNROLL
            long long sum = start[chunk];
            for (unsigned s = chunk * together; s < SIMD && s < (chunk + 1) * together; s++) {
                #pragma HLS UNROLL
                const int pair = int(weight[other][s]) * (1 << field) + (127 - weight[p][s]);
                const long long products = static_cast<long long>(pair) * x[s];
                #pragma HLS BIND_OP variable=products op=mul impl=dsp
                sum += products;
            }
            lower += unsigned(sum) & ((1u << field) - 1);
            upper += (unsigned(sum >> field) & ((2u << field) - 1)) ^ (1u << field);
        }
        const unsigned lower_half = 1u << (field - 1 + exponent), upper_half = 1u << (field + exponent);
        sums[p] -= engine_signed<field + exponent>(lower ^ lower_half);
        if (other != p) {
            sums[other] += engine_signed<field + 1 + exponent>(upper ^ upper_half);
        }
    }
#endif
}

// What the array does in a beat. `reads`: whether `address` is read, as x, or as weights of a product of maps (`to_next`).
struct matrix_step {
    bool reads, swaps, swaps_constants, sums, first, last, own, to_next, of_rows;
    engine_take row;
    int address, number;            // of the sum
    int out_address, out_words;     // words of the output that there are, from the first on
    int next_place, next_inside, y_lanes; // of weights of a map: the output or the words, the input, and how many of them count
};

template <class SIZE_T> struct matrix_control {
    engine_job job;
    engine_loops loops;
    engine_queue queue;
    engine_filling<SIZE_T> filling;
    unsigned running; // the number of the job
    bool active;
    int constant;

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
        EDGEKIT_ENGINE_COUNT(jobs[1], count > 0);
    }

    matrix_step next(const int now, hls::stream<engine_part> &parts, hls::stream<engine_fill> &fills) {
        #pragma HLS INLINE
        matrix_step step;
        step.reads = step.swaps = step.sums = step.last = step.own = step.to_next = false;
        step.row.kind = engine_no_row;
        if (!active && queue.starts(now)) {
            queue.take(job, loops.of);
            EDGEKIT_ENGINE_COUNT(late, job.start != now);
            active = true;
            loops.begin();
            constant = 0;
        }
        const bool looks_up = active && (job.flags & engine_table);
        if (active) {
            EDGEKIT_ENGINE_COUNT(busy[1], 1);
            if (job.kind == engine_stream) {
                if (loops.at == 0) {
                    take_weights(step);
                }
                position(step, loops.at);
                end_beat();
            } else {
                map_beat(step);
            }
        }
        filling.load(fills);
        if (step.row.kind == engine_no_row) {
            step.row = filling.take(looks_up);
        }
        const bool begins = queue.load(parts); // outside of what counts, which hardware does not have
        EDGEKIT_ENGINE_COUNT(jobs[1], begins);
        static_cast<void>(begins);
        return step;
    }

  private:
    void end_beat() {
        #pragma HLS INLINE
        if (loops.next()) {
            active = false;
            running++;
        }
    }

    void take_weights(matrix_step &step) {
        #pragma HLS INLINE
        EDGEKIT_ENGINE_COUNT(no_weights, !filling.open || filling.job != running || filling.filled != filling.rows());
        step.swaps = true;
        step.swaps_constants = filling.pass == 0;
        filling.taken();
    }

    void position(matrix_step &step, const int number) {
        #pragma HLS INLINE
        if (number >= loops.of.positions) {
            return;
        }
        const int in_row = (job.first_row + loops.row) * job.stride_h - job.pad_h + loops.step_h * job.dilation_h;
        const int in_col = loops.col * job.stride_w - job.pad_w + loops.step_w * job.dilation_w;
        step.sums = true;
        step.reads = in_row >= 0 && in_row < job.x_rows && in_col >= 0 && in_col < job.x_cols;
        step.address = job.x_base + (engine_slot(in_row, job.x_lift, job.x_ring) * job.x_cols + in_col) * job.x_pixel + job.x_word + loops.word;
        step.number = number;
        step.first = loops.first_pass() && !(job.flags & engine_own_bias);
        step.last = loops.last_pass();
        const int slot = engine_slot(job.first_row + loops.row, job.out_lift, job.out_ring), word = loops.group * int(SIZE_T::words);
        step.out_address = job.out_base + slot * job.out_row_words + loops.col * job.out_pixel + job.out_word + word;
        step.out_words = job.count - word;
        loops.next_position();
    }

    // A product of two maps: constants of a group, then of each pass the weights out of y, then the positions.
    void map_beat(matrix_step &step) {
        #pragma HLS INLINE
        const bool own = job.flags & engine_own_bias;
        const int sets = own ? loops.of.positions : 1;
        if (loops.first_pass() && loops.at == 0 && constant < sets * int(SIZE_T::constant_rows)) {
            step.row.kind = engine_direct_row;
            step.row.place = int(unsigned(constant) % SIZE_T::constant_rows);
            step.own = own && step.row.place + 1 == int(SIZE_T::constant_rows);
            step.number = int(unsigned(constant) / SIZE_T::constant_rows);
            constant++;
            return;
        }
        if (loops.at < int(SIZE_T::lanes)) {
            weights_of_map(step);
        } else {
            if (loops.at == int(SIZE_T::lanes)) {
                step.swaps = true;
                step.swaps_constants = false;
                if (loops.last_pass() && loops.last_group()) { // the next job's weights may come
                    filling.next_job();
                }
            }
            position(step, loops.at - int(SIZE_T::lanes));
        }
        const bool group_ends = loops.last_pass();
        end_beat();
        if (group_ends && loops.at == 0) {
            constant = 0;
        }
    }

    void weights_of_map(matrix_step &step) {
        #pragma HLS INLINE
        const int at = loops.at, s_of = int(unsigned(at) / SIZE_T::words), w_of = int(unsigned(at) % SIZE_T::words);
        step.of_rows = job.kind == engine_of_rows;
        const int cell = step.of_rows ? job.y_first + loops.group * int(SIZE_T::lanes) + at : loops.word * int(SIZE_T::simd) + s_of;
        const int column = step.of_rows ? loops.word : loops.group * int(SIZE_T::words) + w_of;
        step.to_next = true;
        step.reads = cell < job.y_rows * job.y_cols && (step.of_rows || column < job.count);
        step.address = job.y_base + cell * job.y_pixel + job.y_word + column;
        step.next_place = step.of_rows ? at : w_of * int(SIZE_T::simd);
        step.next_inside = s_of;
        step.y_lanes = step.of_rows && loops.word + 1 == job.x_words ? job.y_lanes : int(SIZE_T::simd);
    }
};

template <class SIZE_T> struct matrix_array {
    static const unsigned lanes = SIZE_T::lanes, simd = SIZE_T::simd;
    int sums[SIZE_T::positions][lanes];
    engine_weights<SIZE_T, SIZE_T::lanes> weights;
    engine_lookup<SIZE_T> table;

    void run(const matrix_step &step, const engine_job &job, const engine_reads<SIZE_T> &reads, engine_memory<SIZE_T> &memory,
             engine_writes<SIZE_T> &writes, hls::stream<engine_row<SIZE_T>> &rows) {
        #pragma HLS INLINE
        if (step.swaps) {
            weights.swap(step.swaps_constants);
        }
        if (step.row.kind != engine_no_row) {
            const engine_row<SIZE_T> row = rows.read();
            EDGEKIT_ENGINE_COUNT(rows[1], 1);
            if (step.row.kind == engine_table_row) {
                table.load(step.row.place, row);
            } else if (step.row.kind == engine_weight_row) {
                weights.fill(step.row.place, row);
            } else {
                weights.constants(step.row.place, row, step.row.kind == engine_direct_row);
            }
        }
        engine_word<SIZE_T> found = engine_zeros<SIZE_T>();
        if (step.reads) {
            found = reads.at(step.address);
        }
        if (step.to_next) {
            to_next(step, found);
        }
        if (step.sums || step.own) {
            sum(step, job, found, memory, writes);
        }
    }

  private:
    void to_next(const matrix_step &step, const engine_word<SIZE_T> &found) {
        #pragma HLS INLINE
        for (unsigned s = 0; s < simd; s++) {
            #pragma HLS UNROLL
            const signed char value = int(s) < step.y_lanes ? static_cast<signed char>(found.byte[s]) : 0;
            if (step.of_rows) {
                weights.next[step.next_place][s] = value;
            } else {
                weights.next[step.next_place + int(s)][step.next_inside] = value;
            }
        }
    }

    // One read and one write of `sums`; a bias of its own goes there as it is.
    void sum(const matrix_step &step, const engine_job &job, const engine_word<SIZE_T> &found, engine_memory<SIZE_T> &memory,
             engine_writes<SIZE_T> &writes) {
        #pragma HLS INLINE
        int x[simd], sum[lanes];
        for (unsigned s = 0; s < simd; s++) {
            #pragma HLS UNROLL
            x[s] = engine_value(found.byte[s], job.x_signed);
        }
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            sum[p] = step.own || step.first ? weights.bias[p] : sums[step.number][p];
        }
        if (!step.own) {
            engine_dot<lanes, simd>(x, weights.now, sum);
        }
        for (unsigned p = 0; p < lanes; p++) {
            #pragma HLS UNROLL
            sums[step.number][p] = sum[p];
        }
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            if (step.last && int(w) < step.out_words) {
                engine_word<SIZE_T> out;
                for (unsigned s = 0; s < simd; s++) {
                    #pragma HLS UNROLL
                    const unsigned p = w * simd + s;
                    out.byte[s] = static_cast<unsigned char>(engine_requantize(sum[p], weights.code[p], job.low, job.high));
                }
                EDGEKIT_ENGINE_PASSED(memory, step.out_address + int(w), out);
                writes.want(memory, step.out_address + int(w), table.of(job.flags, w, out), -1, 1);
            }
        }
    }
};

} // namespace nnet

#endif
