// One engine for all layers: a matrix array and a vector array beside each other, and the map memory that they share.
//
// A program is a list of jobs for each array. A job starts at the beat that it names, and nothing waits for anything: the compiler
// (edgekit.hls.engine) has seen to it that what a job reads is there, and that no bank is read or written twice in a beat.
// SIZE_T has the engine's constants. A word is `simd` bytes; bank b holds words b * bank_words and on, split over `words` memories,
// so that `words` neighbouring words are read or written in one beat.
//
//     jobs --> read_..._jobs -----> parts of jobs ---+
//     rows --> read_engine_rows --> rows ------------+--> run_engine --> words --> write_engine_results --> results
//     image -> read_engine_image -> words -----------+
//
// All are processes side by side, with streams between them; each pointer to memory belongs to one of them.

#ifndef EDGEKIT_ENGINE_H_
#define EDGEKIT_ENGINE_H_

#include "ap_int.h"
#include "edgekit_engine_control.h"
#include "edgekit_engine_fetch.h"
#include "edgekit_engine_job.h"
#include "edgekit_engine_memory.h"
#include "edgekit_engine_matrix.h"
#include "edgekit_engine_vector.h"
#include "hls_stream.h"

namespace nnet {

// The image as the words that LOAD jobs write, `words` of them a token: of each pixel the bytes that lie under it, 0 outside the image,
// of one line or of the `kernel_h` lines under a convolution's kernel.
//
// Loops:  Place  the bytes of a pixel      Line   the bytes of a line      Token   the row's tokens      with an initiation interval of 1
template <class SIZE_T>
void read_engine_image(hls::stream<engine_lines> &loads, const unsigned job_count, const unsigned char *image, hls::stream<engine_token<SIZE_T>> &out) {
    static unsigned char line[engine_line_max];
    #pragma HLS ARRAY_PARTITION variable=line cyclic factor=64
    static short tap_of[SIZE_T::gathered], byte_of[SIZE_T::gathered]; // of a pixel's bytes: the line, and where in it
    #pragma HLS ARRAY_PARTITION variable=tap_of complete
    #pragma HLS ARRAY_PARTITION variable=byte_of complete
Job:
    for (unsigned number = 0; number < job_count + 1; number++) {
        const engine_lines job = loads.read();
        if (!job.more) {
            break;
        }
        short tap = 0, byte_of_tap = 0;
    Place:
        for (unsigned place = 0; place < SIZE_T::gathered; place++) {
            #pragma HLS PIPELINE II=1
            tap_of[place] = tap;
            byte_of[place] = byte_of_tap;
            if (++byte_of_tap == job.column_bytes) {
                byte_of_tap = 0;
                tap++;
            }
        }
    Row:
        for (int row = job.first_row; row < job.first_row + job.rows; row++) {
            const int top = row * job.stride_h - job.pad_h;
        Tap:
            for (int number = 0; number < job.kernel_h; number++) {
                if (top + number < 0 || top + number >= job.x_rows) {
                    continue;
                }
                EDGEKIT_ENGINE_COUNT(image, job.line);
            Line:
                for (int byte = 0; byte < job.line; byte++) {
                    #pragma HLS PIPELINE II=1
                    line[number * job.line + byte] = image[(top + number) * job.line + byte];
                }
            }
            int col = 0, word = 0;
        Token:
            for (int token = 0; token < job.cols * job.count; token += SIZE_T::words) {
                #pragma HLS PIPELINE II=1
                engine_token<SIZE_T> found;
                for (unsigned w = 0; w < SIZE_T::words; w++) {
                    #pragma HLS UNROLL
                    const int start = job.column_first + col * job.column_step;
                    for (unsigned s = 0; s < SIZE_T::simd; s++) {
                        #pragma HLS UNROLL
                        const int place = word * int(SIZE_T::simd) + int(s);
                        const bool many = job.kernel_h > 1 && place < int(SIZE_T::gathered);
                        const int of = many ? tap_of[place] : 0, inside = many ? byte_of[place] : place, byte = start + inside;
                        const bool under = of < job.kernel_h && inside < job.column_bytes && top + of >= 0 && top + of < job.x_rows;
                        const bool there = col < job.cols && under && byte >= 0 && byte < job.line;
                        found.word[w].byte[s] = there ? line[of * job.line + byte] : 0;
                    }
                    word = word + 1 == job.count ? 0 : word + 1;
                    col += word == 0;
                }
                out.write(found);
            }
        }
    }
}

// Words that STORE jobs give, to where they lie in the result.
//
// Loops:  Job   those jobs, at most job_count      Token   a job's tokens, of `words` words each, which are written one by one
template <class SIZE_T>
void write_engine_results(hls::stream<engine_stored> &stores, const unsigned job_count, hls::stream<engine_token<SIZE_T>> &tokens,
                          engine_word<SIZE_T> *results) {
Job:
    for (unsigned number = 0; number < job_count + 1; number++) {
        const engine_stored job = stores.read();
        if (!job.more) {
            break;
        }
        int row = 0, word = 0;
        const int count = engine_ceil(job.width, int(SIZE_T::words)) * job.rows;
    Token:
        for (int token = 0; token < count; token++) {
            const engine_token<SIZE_T> found = tokens.read();
        Word:
            for (unsigned w = 0; w < SIZE_T::words; w++) {
                #pragma HLS PIPELINE II=1
                if (word + int(w) < job.width) {
                    results[job.base + (job.first_row + row) * job.row_words + word + int(w)] = found.word[w];
                }
            }
            word += int(SIZE_T::words);
            if (word >= job.width) {
                word = 0;
                row++;
            }
        }
    }
}

// The beats of a frame.
//
// Loop:   Beat   `beats`      initiation interval 1
//
// A beat: each array's control says what is read, written and summed; each memory of a bank is read once; the arrays compute; each is
// written once. Only counters, and registers that are written from streams, go from one beat to the next.
// A sum comes back to its memory before it is read again: a pass has at least 10 beats. What an array writes is read by the other one
// 24 beats later at the earliest, and by itself in a later job.
template <class SIZE_T>
void run_engine(const unsigned beats, const unsigned matrix_count, const unsigned vector_count, hls::stream<engine_part> &matrix_parts,
                hls::stream<engine_fill> &matrix_fills, hls::stream<engine_row<SIZE_T>> &matrix_rows, hls::stream<engine_part> &vector_parts,
                hls::stream<engine_fill> &vector_fills, hls::stream<engine_row<SIZE_T>> &vector_rows, hls::stream<engine_token<SIZE_T>> &image,
                hls::stream<engine_token<SIZE_T>> &results) {
    static engine_memory<SIZE_T> memory;
    #pragma HLS ARRAY_PARTITION variable=memory.bank complete dim=1
    #pragma HLS ARRAY_PARTITION variable=memory.bank complete dim=2
    #pragma HLS AGGREGATE variable=memory.bank
    static matrix_array<SIZE_T> matrix;
    #pragma HLS ARRAY_RESHAPE variable=matrix.sums complete dim=2
    #pragma HLS ARRAY_PARTITION variable=matrix.weights.now complete dim=0
    #pragma HLS ARRAY_PARTITION variable=matrix.weights.next complete dim=0
    #pragma HLS ARRAY_PARTITION variable=matrix.weights.bias complete
    #pragma HLS ARRAY_PARTITION variable=matrix.weights.code complete
    #pragma HLS ARRAY_PARTITION variable=matrix.weights.next_bias complete
    #pragma HLS ARRAY_PARTITION variable=matrix.weights.next_code complete
    #pragma HLS ARRAY_PARTITION variable=matrix.table.entry complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=matrix.table.entry complete dim=3
    #pragma HLS BIND_STORAGE variable=matrix.table.entry type=ram_s2p impl=lutram
    static vector_array<SIZE_T> vector;
    #pragma HLS ARRAY_RESHAPE variable=vector.sums complete dim=2
    #pragma HLS ARRAY_PARTITION variable=vector.weights.now complete dim=0
    #pragma HLS ARRAY_PARTITION variable=vector.weights.next complete dim=0
    #pragma HLS ARRAY_PARTITION variable=vector.weights.bias complete
    #pragma HLS ARRAY_PARTITION variable=vector.weights.code complete
    #pragma HLS ARRAY_PARTITION variable=vector.weights.next_bias complete
    #pragma HLS ARRAY_PARTITION variable=vector.weights.next_code complete
    #pragma HLS ARRAY_PARTITION variable=vector.partial complete dim=0
    #pragma HLS ARRAY_PARTITION variable=vector.gate complete
    #pragma HLS ARRAY_PARTITION variable=vector.table.entry complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=vector.table.entry complete dim=3
    #pragma HLS BIND_STORAGE variable=vector.table.entry type=ram_s2p impl=lutram
    static matrix_control<SIZE_T> matrix_runs;
    #pragma HLS ARRAY_PARTITION variable=matrix_runs.queue.half complete
    static vector_control<SIZE_T> vector_runs;
    #pragma HLS ARRAY_PARTITION variable=vector_runs.queue.half complete
    matrix_runs.begin(matrix_count, matrix_parts, matrix_fills);
    vector_runs.begin(vector_count, vector_parts, vector_fills);
Beat:
    for (unsigned beat = 0; beat < beats; beat++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS DEPENDENCE variable=memory.bank inter false
        #pragma HLS DEPENDENCE variable=matrix.sums inter false
        #pragma HLS DEPENDENCE variable=vector.sums inter false
        engine_reads<SIZE_T> reads;
        #pragma HLS ARRAY_PARTITION variable=reads.wanted complete dim=0
        #pragma HLS ARRAY_PARTITION variable=reads.row complete dim=0
        #pragma HLS ARRAY_PARTITION variable=reads.found complete dim=0
        engine_writes<SIZE_T> writes;
        #pragma HLS ARRAY_PARTITION variable=writes.wanted complete dim=0
        #pragma HLS ARRAY_PARTITION variable=writes.row complete dim=0
        #pragma HLS ARRAY_PARTITION variable=writes.byte complete dim=0
        #pragma HLS ARRAY_PARTITION variable=writes.word complete dim=0
        memory.ports.next_beat();
        reads.begin();
        writes.begin();
        const matrix_step matrix_does = matrix_runs.next(int(beat), matrix_parts, matrix_fills);
        const vector_step vector_does = vector_runs.next(int(beat), vector_parts, vector_fills);
        if (matrix_does.reads) {
            reads.want(memory, matrix_does.address, 1);
        }
        for (unsigned w = 0; w < SIZE_T::words; w++) {
            #pragma HLS UNROLL
            if (int(w) < vector_does.x_words) {
                reads.want(memory, vector_does.x_address + int(w), 0);
            }
            if (int(w) < vector_does.y_words) {
                reads.want(memory, vector_does.y_address + int(w), 0);
            }
        }
        reads.read(memory);
        matrix.run(matrix_does, matrix_runs.job, reads, memory, writes, matrix_rows);
        vector.run(vector_does, vector_runs.job, reads, memory, writes, vector_rows, image, results);
        writes.write(memory);
        EDGEKIT_ENGINE_BEAT(beat, memory);
    }
}

} // namespace nnet

#endif
