// The product of two maps, value by value, or of a map and a gate of one value a channel; requantized.
//
// Loops of both kernels:  Position  positions
//                           Group     groups      initiation interval 1; the two flatten into one
//
// PE products an iteration, each a multiplier.

#ifndef EDGEKIT_PRODUCTS_H_
#define EDGEKIT_PRODUCTS_H_

#include "edgekit_arithmetic.h"
#include "edgekit_count.h"
#include "hls_stream.h"

namespace nnet {

struct product_config {
    static const unsigned stage = 0;
    static const unsigned positions = 1;
    static const unsigned groups = 1; // tokens a position
    static const int rounding = 0;    // 2^(shift - 1), 0 where nothing is shifted
    static const unsigned shift = 0;
    static const int low = -128;
    static const int high = 127;
};

template <typename CONFIG_T, class left_T, class right_T, class res_T>
void multiply_token(const left_T &left, const right_T &right, res_T &out) {
    #pragma HLS INLINE
    for (unsigned c = 0; c < res_T::size; c++) {
        #pragma HLS UNROLL
        const typename CONFIG_T::accum_t sum = multiply_activations(left[c], right[c]) + CONFIG_T::rounding;
        out[c] = requantize_product<CONFIG_T>(sum);
    }
}

// Two maps of one shape.
template <typename CONFIG_T, class left_T, class right_T, class res_T>
void product_tokens(hls::stream<left_T> &left, hls::stream<right_T> &right, hls::stream<res_T> &res) {
Position:
    for (unsigned position = 0; position < CONFIG_T::positions; position++) {
    Group:
        for (unsigned group = 0; group < CONFIG_T::groups; group++) {
            #pragma HLS PIPELINE II=1
            EDGEKIT_ITERATION(CONFIG_T);
            left_T a;
            a = left.read();
            right_T b;
            b = right.read();
            res_T out;
            multiply_token<CONFIG_T>(a, b, out);
            res.write(out);
        }
    }
}

// A map and a gate, whose tokens are read at the first position and kept for the others. Where the gate is computed from the map,
// the map waits in the stream until the gate's first token is there: that FIFO holds all of it.
template <typename CONFIG_T, class data_T, class gate_T, class res_T>
void gate_tokens(hls::stream<data_T> &data, hls::stream<gate_T> &gate, hls::stream<res_T> &res) {
    gate_T gates[CONFIG_T::groups];
    #pragma HLS AGGREGATE variable=gates

Position:
    for (unsigned position = 0; position < CONFIG_T::positions; position++) {
    Group:
        for (unsigned group = 0; group < CONFIG_T::groups; group++) {
            #pragma HLS PIPELINE II=1
            EDGEKIT_ITERATION(CONFIG_T);
            gate_T factor;
            if (position == 0) {
                factor = gate.read();
                gates[group] = factor;
            } else {
                factor = gates[group];
            }
            data_T x;
            x = data.read();
            res_T out;
            multiply_token<CONFIG_T>(x, factor, out);
            res.write(out);
        }
    }
}

} // namespace nnet

#endif
