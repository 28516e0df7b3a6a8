// The sum of two maps that share a binary point, clamped: exact, then saturated.

#ifndef EDGEKIT_ADD_H_
#define EDGEKIT_ADD_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct saturating_add_config {
    static const unsigned n_positions = 1;
    static const unsigned n_chan = 1;
    static const int low = -128;
    static const int high = 127;
};

template <class left_T, class right_T, class res_T, typename CONFIG_T>
void saturating_add(hls::stream<left_T> &left, hls::stream<right_T> &right, hls::stream<res_T> &res) {
Position:
    for (unsigned i = 0; i < CONFIG_T::n_positions; i++) {
        #pragma HLS PIPELINE II=1
        left_T a = left.read();
        right_T b = right.read();
        res_T out;
        PRAGMA_DATA_PACK(out)
    Channel:
        for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
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

} // namespace nnet

#endif
