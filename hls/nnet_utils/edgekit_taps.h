// What is taken over the taps of a window, channel by channel: the sum of a depthwise convolution, or the largest value.
//
// Tokens of PE channels come from a window, in the order position, channel group, tap; a token goes out for each group.
//
// Loops of both kernels:  Position  positions
//                           Group     groups
//                             Tap       taps      initiation interval 1; the three flatten into one

#ifndef EDGEKIT_TAPS_H_
#define EDGEKIT_TAPS_H_

#include "edgekit_matvec.h"

namespace nnet {

struct depthwise_config {
    static const unsigned stage = 0;
    static const unsigned positions = 1;
    static const unsigned groups = 1;
    static const unsigned taps = 1;
    static const unsigned pe = 1;
    static const unsigned n_wide = 32;
    static const int low = -128;
    static const int high = 127;
    static const int shift_low = 3;
    static const int shift_high = 3;
    typedef multiply arithmetic;
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
                const unsigned first = (group * CONFIG_T::taps + tap) * pe;
                for (unsigned p = 0; p < pe; p++) {
                    #pragma HLS UNROLL
                    sums[p] += CONFIG_T::arithmetic::product(x[p], weights[first + p]);
                }
                if (tap + 1 == CONFIG_T::taps) {
                    res_T out;
                    requantize_token<CONFIG_T>(sums, shifts, group, out);
                    res.write(out);
                }
            }
        }
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
