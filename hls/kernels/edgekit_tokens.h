// Kernels that work on one token after the other: sum, table, fork, join, slice, resize. Each is one loop of initiation interval 1,
// with the trip count that stands above it.

#ifndef EDGEKIT_TOKENS_H_
#define EDGEKIT_TOKENS_H_

#include "ap_int.h"
#include "edgekit_count.h"
#include "hls_stream.h"

namespace nnet {

struct tokens_config {
    static const unsigned stage = 0;
    static const unsigned tokens = 1;
    static const int low = -128; // the clamp of a sum
    static const int high = 127;
    static const int lowest = -128; // the value that a table's first entry belongs to
    static const unsigned left = 1; // tokens at a position from the first stream, and from the second
    static const unsigned right = 1;
    static const unsigned cell = 1; // tokens at a position of a map that is sliced, the first that is kept, and how many are
    static const unsigned begin = 0;
    static const unsigned count = 1;
};

// Two maps that share a binary point: an exact sum, then the clamp. Iterations: tokens.
template <typename CONFIG_T, class left_T, class right_T, class res_T>
void sum_tokens(hls::stream<left_T> &left, hls::stream<right_T> &right, hls::stream<res_T> &res) {
Token:
    for (unsigned i = 0; i < CONFIG_T::tokens; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        left_T a;
        a = left.read();
        right_T b;
        b = right.read();
        res_T out;
        for (unsigned c = 0; c < res_T::size; c++) {
            #pragma HLS UNROLL
            ap_int<10> sum = a[c] + b[c]; // -256 .. 510
            if (sum < CONFIG_T::low) {
                sum = CONFIG_T::low;
            } else if (sum > CONFIG_T::high) {
                sum = CONFIG_T::high;
            }
            out[c] = sum;
        }
        res.write(out);
    }
}

// Any function of one 8-bit value. Iterations: tokens. PE values read the table at once: two from each copy of it.
template <typename CONFIG_T, class data_T, class res_T>
void table_tokens(hls::stream<data_T> &data, hls::stream<res_T> &res, const typename CONFIG_T::table_t table[256]) {
Token:
    for (unsigned i = 0; i < CONFIG_T::tokens; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        data_T in;
        in = data.read();
        res_T out;
        for (unsigned c = 0; c < res_T::size; c++) {
            #pragma HLS UNROLL
            out[c] = table[int(in[c]) - CONFIG_T::lowest];
        }
        res.write(out);
    }
}

// One stream to two readers. Iterations: tokens.
template <typename CONFIG_T, class data_T>
void fork_tokens(hls::stream<data_T> &data, hls::stream<data_T> &first, hls::stream<data_T> &second) {
Token:
    for (unsigned i = 0; i < CONFIG_T::tokens; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        data_T token;
        token = data.read();
        first.write(token);
        second.write(token);
    }
}

// Channels of two maps side by side. Iterations: tokens = positions * (left + right).
template <typename CONFIG_T, class data_T, class res_T>
void join_tokens(hls::stream<data_T> &left, hls::stream<data_T> &right, hls::stream<res_T> &res) {
    unsigned place = 0; // of the token at its position
Token:
    for (unsigned i = 0; i < CONFIG_T::tokens; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        data_T in;
        if (place < CONFIG_T::left) {
            in = left.read();
        } else {
            in = right.read();
        }
        place = place + 1 == CONFIG_T::left + CONFIG_T::right ? 0 : place + 1;
        res.write(in);
    }
}

// Some neighbouring channels of a map, the others are dropped. Iterations: tokens = positions * cell.
template <typename CONFIG_T, class data_T> void slice_tokens(hls::stream<data_T> &data, hls::stream<data_T> &res) {
    unsigned place = 0; // of the token at its position
Token:
    for (unsigned i = 0; i < CONFIG_T::tokens; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        data_T token;
        token = data.read();
        if (place - CONFIG_T::begin < CONFIG_T::count) { // an unsigned difference wraps, so one comparison covers both ends
            res.write(token);
        }
        place = place + 1 == CONFIG_T::cell ? 0 : place + 1;
    }
}

struct resize_config {
    static const unsigned stage = 0;
    static const unsigned steps = 1; // values / unit
    static const unsigned unit = 1;  // the greatest common divisor of both token sizes
};

// The same values in tokens of another size. Iterations: steps; each moves `unit` values, out of the low end of the token that comes
// in and into the high end of the one that goes out. Both move down by as much, so that no value is looked for.
template <typename CONFIG_T, class data_T, class res_T> void resize_tokens(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    const unsigned unit = CONFIG_T::unit, last = res_T::size - unit;
    data_T in;
    res_T out;
    unsigned taken = 0, given = 0; // units of the token that comes in, and of the one that goes out
Step:
    for (unsigned i = 0; i < CONFIG_T::steps; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        if (taken == 0) {
            in = data.read();
        }
        for (unsigned c = 0; c < res_T::size - CONFIG_T::unit; c++) {
            #pragma HLS UNROLL
            out[c] = out[c + unit];
        }
        for (unsigned c = 0; c < CONFIG_T::unit; c++) {
            #pragma HLS UNROLL
            out[last + c] = in[c];
        }
        for (unsigned c = 0; c < data_T::size - CONFIG_T::unit; c++) {
            #pragma HLS UNROLL
            in[c] = in[c + unit];
        }
        taken = taken + 1 == data_T::size / unit ? 0 : taken + 1;
        given = given + 1 == res_T::size / unit ? 0 : given + 1;
        if (given == 0) {
            res.write(out);
        }
    }
}

} // namespace nnet

#endif
