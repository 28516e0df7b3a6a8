// From accumulators to 8-bit activations.
//
// The contract makes weights multiples of 4 and every accumulator 2 modulo 4. The convolution before this kernel therefore
// works in quarters: weights w/4 (6 bits) and sums s with acc = 4*s + 2. With n the shift of a channel,
//
//     n >= 3:  (acc + 2^(n-1)) >> n  =  (s + 2^(n-3)) >> (n-2)        2^(n-3) is already in the convolution's bias
//     n <= 1:  acc * 2^-n            =  (2*s + 1) << (1-n)            n = 2 does not occur
//
// so a truncating shift and a clamp are all that is left, and they equal every way of rounding.

#ifndef EDGEKIT_REQUANTIZE_H_
#define EDGEKIT_REQUANTIZE_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct requantize_config {
    static const unsigned n_positions = 1; // tokens a map
    static const unsigned n_chan = 1;      // channels a token
    static const int low = -128;           // the clamp
    static const int high = 127;
    static const unsigned n_wide = 32; // bits that hold every shifted value
};

template <typename CONFIG_T, class accum_T> ap_int<9> requantize_value(const accum_T &sum, const int shift) {
    #pragma HLS INLINE
    ap_int<CONFIG_T::n_wide> value = sum;
    if (shift >= 3) {
        value = value >> (shift - 2);
    } else {
        value = ((value << 1) | 1) << (1 - shift);
    }
    if (value < CONFIG_T::low) {
        return CONFIG_T::low;
    }
    if (value > CONFIG_T::high) {
        return CONFIG_T::high;
    }
    return value;
}

template <class data_T, class res_T, typename CONFIG_T>
void requantize(hls::stream<data_T> &data, hls::stream<res_T> &res, typename CONFIG_T::shift_t shifts[CONFIG_T::n_chan]) {
    #pragma HLS ARRAY_PARTITION variable=shifts complete
Position:
    for (unsigned i = 0; i < CONFIG_T::n_positions; i++) {
        #pragma HLS PIPELINE II=1
        data_T sums = data.read();
        res_T out;
        PRAGMA_DATA_PACK(out)
    Channel:
        for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
            #pragma HLS UNROLL
            out[c] = requantize_value<CONFIG_T>(sums[c], static_cast<int>(shifts[c]));
        }
        res.write(out);
    }
}

} // namespace nnet

#endif
