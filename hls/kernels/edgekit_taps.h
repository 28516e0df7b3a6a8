// What is taken over the taps of a window, channel by channel: the sum of a depthwise convolution, or the largest value.
//
// Tokens of PE channels come from a window, in the order position, channel group, tap; a token goes out for each group.
//
// Loops of depthwise and largest:  Position  positions
//                                    Group     groups
//                                      Tap       taps      initiation interval 1; the three flatten into one
//
// Where the one window is the whole map, tokens come as the map has them, in the order tap, channel group, and sums wait in between.
//
// Loops of map_sums:  Tap    taps
//                       Group  groups      initiation interval 1; the two flatten into one
//                     Emit   groups        initiation interval 1

#ifndef EDGEKIT_TAPS_H_
#define EDGEKIT_TAPS_H_

#include "edgekit_matvec.h"

namespace nnet {

struct depthwise_config : sums_config {
    static const unsigned positions = 1;
    static const unsigned groups = 1;
    static const unsigned taps = 1;
    static const unsigned weight_taps = 1; // 1 where a channel's weights are all alike, else taps; of map_sums only
};

// Weights in ROM words of PE, in the order group, tap.
template <typename CONFIG_T, class data_T, class res_T>
void depthwise(hls::stream<data_T> &data, hls::stream<res_T> &res,
               const typename CONFIG_T::weight_t weights[CONFIG_T::groups * CONFIG_T::taps * CONFIG_T::pe],
               const typename CONFIG_T::bias_t bias[CONFIG_T::groups * CONFIG_T::pe],
               const typename CONFIG_T::shift_t shifts[CONFIG_T::groups * CONFIG_T::pe]) {
    const unsigned pe = CONFIG_T::pe;
    #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=shifts cyclic factor=pe
    typename CONFIG_T::accum_t sums[pe];
    #pragma HLS ARRAY_PARTITION variable=sums complete

    unsigned word = 0; // of the weights: group * taps + tap
Position:
    for (unsigned position = 0; position < CONFIG_T::positions; position++) {
    Group:
        for (unsigned group = 0; group < CONFIG_T::groups; group++) {
        Tap:
            for (unsigned tap = 0; tap < CONFIG_T::taps; tap++) {
                #pragma HLS PIPELINE II=1
                EDGEKIT_ITERATION(CONFIG_T);
                data_T x;
                x = data.read();
                if (tap == 0) {
                    for (unsigned p = 0; p < pe; p++) {
                        #pragma HLS UNROLL
                        sums[p] = bias[group * pe + p];
                    }
                }
                for (unsigned p = 0; p < pe; p++) {
                    #pragma HLS UNROLL
                    sums[p] += CONFIG_T::arithmetic::product(x[p], weights[word * pe + p]);
                }
                word = word + 1 == CONFIG_T::groups * CONFIG_T::taps ? 0 : word + 1;
                if (tap + 1 == CONFIG_T::taps) {
                    res_T out;
                    requantize_token<CONFIG_T>(sums, shifts, group, out);
                    res.write(out);
                }
            }
        }
    }
}

// A depthwise convolution over the whole map, such as a mean: no line buffer, since each cell is met once, but a sum for each channel.
// A sum is read again `groups` iterations after it was written; where these are few, the sums are short enough for LUTs or registers.
// Weights in ROM words of PE, in the order tap, group; a mean's are alike for all taps, and stored once.
template <typename CONFIG_T, class data_T, class res_T>
void map_sums(hls::stream<data_T> &data, hls::stream<res_T> &res,
              const typename CONFIG_T::weight_t weights[CONFIG_T::weight_taps * CONFIG_T::groups * CONFIG_T::pe],
              const typename CONFIG_T::bias_t bias[CONFIG_T::groups * CONFIG_T::pe],
              const typename CONFIG_T::shift_t shifts[CONFIG_T::groups * CONFIG_T::pe]) {
    const unsigned pe = CONFIG_T::pe;
    #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=shifts cyclic factor=pe
    typename CONFIG_T::accum_t sums[CONFIG_T::groups * CONFIG_T::pe];
    #pragma HLS ARRAY_RESHAPE variable=sums cyclic factor=pe

    unsigned word = 0; // of the weights: tap * groups + group, or group where a channel's are alike
Tap:
    for (unsigned tap = 0; tap < CONFIG_T::taps; tap++) {
    Group:
        for (unsigned group = 0; group < CONFIG_T::groups; group++) {
            #pragma HLS PIPELINE II=1
            EDGEKIT_ITERATION(CONFIG_T);
            data_T x;
            x = data.read();
            for (unsigned p = 0; p < pe; p++) {
                #pragma HLS UNROLL
                typename CONFIG_T::accum_t sum = bias[group * pe + p];
                if (tap > 0) {
                    sum = sums[group * pe + p];
                }
                sums[group * pe + p] = sum + CONFIG_T::arithmetic::product(x[p], weights[word * pe + p]);
            }
            word = word + 1 == CONFIG_T::weight_taps * CONFIG_T::groups ? 0 : word + 1;
        }
    }
Emit:
    for (unsigned group = 0; group < CONFIG_T::groups; group++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        typename CONFIG_T::accum_t ready[pe];
        for (unsigned p = 0; p < pe; p++) {
            #pragma HLS UNROLL
            ready[p] = sums[group * pe + p];
        }
        res_T out;
        requantize_token<CONFIG_T>(ready, shifts, group, out);
        res.write(out);
    }
}

struct largest_config {
    static const unsigned stage = 0;
    static const unsigned positions = 1;
    static const unsigned groups = 1;
    static const unsigned taps = 1;
};

// The window pads with the type's lowest value, which takes no part.
template <typename CONFIG_T, class data_T, class res_T> void largest(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    res_T most;
Position:
    for (unsigned position = 0; position < CONFIG_T::positions; position++) {
    Group:
        for (unsigned group = 0; group < CONFIG_T::groups; group++) {
        Tap:
            for (unsigned tap = 0; tap < CONFIG_T::taps; tap++) {
                #pragma HLS PIPELINE II=1
                EDGEKIT_ITERATION(CONFIG_T);
                data_T x;
                x = data.read();
                for (unsigned p = 0; p < data_T::size; p++) {
                    #pragma HLS UNROLL
                    if (tap == 0 || x[p] > most[p]) {
                        most[p] = x[p];
                    }
                }
                if (tap + 1 == CONFIG_T::taps) {
                    res.write(most);
                }
            }
        }
    }
}

} // namespace nnet

#endif
