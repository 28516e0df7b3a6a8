// Any function of one 8-bit value as a table: the first entry belongs to the input type's lowest value.

#ifndef EDGEKIT_LOOKUP_H_
#define EDGEKIT_LOOKUP_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct lookup_config {
    static const unsigned n_positions = 1;
    static const unsigned n_chan = 1;
    static const int lowest = -128;
};

template <class data_T, class res_T, typename CONFIG_T>
void lookup(hls::stream<data_T> &data, hls::stream<res_T> &res, typename CONFIG_T::table_t table[256]) {
Position:
    for (unsigned i = 0; i < CONFIG_T::n_positions; i++) {
        #pragma HLS PIPELINE II=1
        data_T in = data.read();
        res_T out;
        PRAGMA_DATA_PACK(out)
    Channel:
        for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
            #pragma HLS UNROLL
            out[c] = table[static_cast<int>(in[c]) - CONFIG_T::lowest];
        }
        res.write(out);
    }
}

} // namespace nnet

#endif
