// One engine for all layers: a matrix array and a vector array beside each other, and the map memory that they share.
//
// A program is a list of jobs for each array. A job starts at the beat that it names, and nothing waits for anything: the compiler
// (edgekit.hls.engine) has seen to it that what a job reads is there, and that no bank is read or written twice in a beat.
// SIZE_T has the engine's constants. A word is `simd` bytes; bank b holds words b * bank_words and on, split over `words` memories,
// so that `words` neighbouring words are read or written in one beat.

#ifndef EDGEKIT_ENGINE_H_
#define EDGEKIT_ENGINE_H_

#include "ap_int.h"
#include "edgekit_engine_job.h"
#include "edgekit_engine_memory.h"
#include "edgekit_engine_matrix.h"
#include "edgekit_engine_vector.h"
#include "hls_stream.h"

namespace nnet {

// The weight stream's rows, in the order in which the jobs of one array take them.
//
// Loops:  Job, Row    the rows of all jobs      initiation interval 1, in bursts: the addresses of a job ascend by one
template <class SIZE_T>
void read_engine_rows(const short *jobs, const unsigned job_count, const engine_row<SIZE_T> *rows, hls::stream<engine_row<SIZE_T>> &out) {
Job:
    for (unsigned number = 0; number < job_count; number++) {
        const engine_job job = read_engine_job(jobs + number * engine_job_halves);
    Row:
        for (int row = 0; row < job.stream_rows; row++) {
            #pragma HLS PIPELINE II=1
            out.write(rows[job.stream_row + row]);
        }
    }
}

// The image as the words that LOAD jobs write, `words` of them a token: of each pixel the bytes that lie under it, 0 outside the image,
// of one line or of the `kernel_h` lines under a convolution's kernel.
//
// Loops:  Place  the bytes of a pixel      Line   the bytes of a line      Token   the row's tokens      with an initiation interval of 1
template <class SIZE_T>
void read_engine_image(const short *jobs, const unsigned job_count, const unsigned char *image, hls::stream<engine_token<SIZE_T>> &out) {
    static unsigned char line[engine_line_max];
    #pragma HLS ARRAY_PARTITION variable=line cyclic factor=64
    static short tap_of[SIZE_T::gathered], byte_of[SIZE_T::gathered]; // of a pixel's bytes: the line, and where in it
    #pragma HLS ARRAY_PARTITION variable=tap_of complete
    #pragma HLS ARRAY_PARTITION variable=byte_of complete
Job:
    for (unsigned number = 0; number < job_count; number++) {
        const engine_job job = read_engine_job(jobs + number * engine_job_halves);
        if (job.kind != engine_load) {
            continue;
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

// The beats of a frame.
//
// Loop:   Beat   `beats`      initiation interval 1
//
// A sum comes back to its memory before it is read again: a pass has at least 10 beats. What an array writes is read by the other one
// 24 beats later at the earliest, and by itself in a later job.
template <class SIZE_T>
void run_engine(const unsigned beats, const short *matrix_jobs, const unsigned matrix_count, const short *vector_jobs,
                const unsigned vector_count, hls::stream<engine_row<SIZE_T>> &matrix_rows, hls::stream<engine_row<SIZE_T>> &vector_rows,
                hls::stream<engine_token<SIZE_T>> &image, engine_word<SIZE_T> *results) {
    static engine_memory<SIZE_T> memory;
    #pragma HLS ARRAY_PARTITION variable=memory.bank complete dim=1
    #pragma HLS ARRAY_PARTITION variable=memory.bank complete dim=2
    static matrix_array<SIZE_T> matrix;
    static vector_array<SIZE_T> vector;
    matrix.begin(matrix_jobs, matrix_count);
    vector.begin(vector_jobs, vector_count);
Beat:
    for (unsigned beat = 0; beat < beats; beat++) {
        #pragma HLS PIPELINE II=1
        #pragma HLS DEPENDENCE variable=memory.bank inter false
        #pragma HLS DEPENDENCE variable=matrix.sums inter false
        #pragma HLS DEPENDENCE variable=vector.sums inter false
        memory.next_beat();
        matrix.beat(int(beat), memory, matrix_rows);
        vector.beat(int(beat), memory, vector_rows, image, results);
        EDGEKIT_ENGINE_BEAT(beat, memory);
    }
}

} // namespace nnet

#endif
