// A map of accumulators, in quarters, to 8-bit activations: requantize_value of edgekit_arithmetic.h for each of them.

#ifndef EDGEKIT_REQUANTIZE_H_
#define EDGEKIT_REQUANTIZE_H_

#include "edgekit_arithmetic.h"
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
