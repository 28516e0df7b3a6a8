// A matrix of (outputs, inputs) times the vector at each position, requantized: pointwise convolution, dense, and with a
// window in front of it any convolution.
//
// A token of SIMD values comes in, a token of PE values goes out; PE * SIMD products an iteration. The matrix lies in words
// of PE * SIMD weights, in the order output group, input group; inside a word, weight s * PE + p joins input s and output p.

#ifndef EDGEKIT_MATVEC_H_
#define EDGEKIT_MATVEC_H_

#include "edgekit_arithmetic.h"
#include "edgekit_count.h"
#include "hls_stream.h"

namespace nnet {

// What every sum has that a requantize ends.
struct sums_config {
    static const unsigned stage = 0;
    static const unsigned pe = 1;      // sums side by side
    static const unsigned n_wide = 32; // bits of an accumulator while it is shifted
    static const int low = -128;
    static const int high = 127;
    static const int shift_low = 3; // the smallest and the largest shift
    static const int shift_high = 3;
    typedef multiply arithmetic;
};

struct matvec_config : sums_config {
    static const unsigned positions = 1;
    static const unsigned input_groups = 1;  // inputs / SIMD
    static const unsigned output_groups = 1; // outputs / PE
    static const unsigned simd = 1;
    static const unsigned lanes = 1; // PE * SIMD
};

// The end of a sum: PE accumulators to a token. `shifts`: of each channel, beyond shift_low.
template <typename CONFIG_T, class res_T, class accum_T, class shift_T>
void requantize_token(const accum_T sums[CONFIG_T::pe], const shift_T shifts[], const unsigned group, res_T &out) {
    #pragma HLS INLINE
    for (unsigned p = 0; p < CONFIG_T::pe; p++) {
        #pragma HLS UNROLL
        out[p] = requantize_channel<CONFIG_T>(sums[p], shifts[group * CONFIG_T::pe + p]);
    }
}

// Weights in ROM.
//
// Loops:  Position  positions
//           Output    output_groups
//             Input     input_groups      initiation interval 1; the three flatten into one
//
// The vector is read in the first output group and kept for the others. The place of a word of weights is counted, here and in the
// kernels below, since a product of counters may become a multiplier.
template <typename CONFIG_T, class data_T, class res_T>
void matvec(hls::stream<data_T> &data, hls::stream<res_T> &res,
            const typename CONFIG_T::weight_t weights[CONFIG_T::output_groups * CONFIG_T::input_groups * CONFIG_T::lanes],
            const typename CONFIG_T::bias_t bias[CONFIG_T::output_groups * CONFIG_T::pe],
            const typename CONFIG_T::shift_t shifts[CONFIG_T::output_groups * CONFIG_T::pe]) {
    const unsigned lanes = CONFIG_T::lanes, pe = CONFIG_T::pe;
    #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=lanes
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=shifts cyclic factor=pe
    data_T vector[CONFIG_T::input_groups];
    #pragma HLS AGGREGATE variable=vector
    typename CONFIG_T::accum_t sums[pe];
    #pragma HLS ARRAY_PARTITION variable=sums complete

    unsigned word = 0; // of the weights: o * input_groups + i
Position:
    for (unsigned position = 0; position < CONFIG_T::positions; position++) {
    Output:
        for (unsigned o = 0; o < CONFIG_T::output_groups; o++) {
        Input:
            for (unsigned i = 0; i < CONFIG_T::input_groups; i++) {
                #pragma HLS PIPELINE II=1
                EDGEKIT_ITERATION(CONFIG_T);
                data_T x;
                if (o == 0) {
                    x = data.read();
                    vector[i] = x;
                } else {
                    x = vector[i];
                }
                if (i == 0) {
                    for (unsigned p = 0; p < pe; p++) {
                        #pragma HLS UNROLL
                        sums[p] = bias[o * pe + p];
                    }
                }
#ifdef __SYNTHESIS__
                const unsigned first = word * lanes;
#else // the same place as a product: compilers vectorize these sums, and the C simulation is three times as fast
                const unsigned first = (o * CONFIG_T::input_groups + i) * lanes;
#endif
                CONFIG_T::arithmetic::template dot<pe, CONFIG_T::simd>(x, weights, first, sums);
                word = word + 1 == CONFIG_T::output_groups * CONFIG_T::input_groups ? 0 : word + 1;
                if (i + 1 == CONFIG_T::input_groups) {
                    res_T out;
                    requantize_token<CONFIG_T>(sums, shifts, o, out);
                    res.write(out);
                }
            }
        }
    }
}

// Weights from a stream, each once a frame; the whole input and output are held.
//
// Loops:  Output    output_groups
//           Position  positions
//             Input     input_groups      initiation interval 1; the three flatten into one
//         Emit      positions * output_groups      initiation interval 1
//
// A group of weights is read at the first position and kept for the others. The stream of weights holds the next group, so
// that the memory is read while the sums of this one are taken.
template <typename CONFIG_T, class data_T, class word_T, class res_T>
void held_matvec(hls::stream<data_T> &data, hls::stream<word_T> &weights, hls::stream<res_T> &res,
                 const typename CONFIG_T::bias_t bias[CONFIG_T::output_groups * CONFIG_T::pe],
                 const typename CONFIG_T::shift_t shifts[CONFIG_T::output_groups * CONFIG_T::pe]) {
    const unsigned pe = CONFIG_T::pe;
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=shifts cyclic factor=pe
    data_T map[CONFIG_T::positions * CONFIG_T::input_groups];
    #pragma HLS AGGREGATE variable=map
    res_T outputs[CONFIG_T::positions * CONFIG_T::output_groups];
    #pragma HLS AGGREGATE variable=outputs
    word_T group[CONFIG_T::input_groups];
    #pragma HLS AGGREGATE variable=group
    typename CONFIG_T::accum_t sums[pe];
    #pragma HLS ARRAY_PARTITION variable=sums complete

    unsigned cell = 0;   // of the input map: position * input_groups + i
    unsigned result = 0; // of the output map: position * output_groups + o
Output:
    for (unsigned o = 0; o < CONFIG_T::output_groups; o++) {
    Position:
        for (unsigned position = 0; position < CONFIG_T::positions; position++) {
        Input:
            for (unsigned i = 0; i < CONFIG_T::input_groups; i++) {
                #pragma HLS PIPELINE II=1
                EDGEKIT_ITERATION(CONFIG_T);
                data_T x;
                if (o == 0) {
                    x = data.read();
                    map[cell] = x;
                } else {
                    x = map[cell];
                }
                cell = cell + 1 == CONFIG_T::positions * CONFIG_T::input_groups ? 0 : cell + 1;
                word_T word;
                if (position == 0) {
                    word = weights.read();
                    group[i] = word;
                } else {
                    word = group[i];
                }
                if (i == 0) {
                    for (unsigned p = 0; p < pe; p++) {
                        #pragma HLS UNROLL
                        sums[p] = bias[o * pe + p];
                    }
                }
                CONFIG_T::arithmetic::template dot<pe, CONFIG_T::simd>(x, word.data, 0, sums);
                if (i + 1 == CONFIG_T::input_groups) {
                    res_T out;
                    requantize_token<CONFIG_T>(sums, shifts, o, out);
                    outputs[result] = out;
                    result = position + 1 == CONFIG_T::positions ? o + 1 : result + CONFIG_T::output_groups;
                }
            }
        }
    }
Emit:
    for (unsigned token = 0; token < CONFIG_T::positions * CONFIG_T::output_groups; token++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        res.write(outputs[token]);
    }
}

struct weight_reader_config {
    static const unsigned stage = 0;
    static const unsigned words = 1;
    static const unsigned weight_bits = 6;
    static const bool is_signed = true;
};

// Weights out of memory, one word an iteration, in bursts: the addresses ascend by one.
//
// Loop:   Word   words       initiation interval 1
template <typename CONFIG_T, class word_T, class memory_T>
void read_weights(hls::stream<word_T> &weights, const memory_T memory[CONFIG_T::words]) {
Word:
    for (unsigned i = 0; i < CONFIG_T::words; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        const memory_T bits = memory[i];
        word_T word;
        for (unsigned lane = 0; lane < word_T::size; lane++) {
            #pragma HLS UNROLL
            word[lane] = weight_at<CONFIG_T::weight_bits, CONFIG_T::is_signed>(bits, lane);
        }
        weights.write(word);
    }
}

} // namespace nnet

#endif
