// The same values in tokens of another size, row-major: a reshape that changes the number of channels.

#ifndef EDGEKIT_REPACK_H_
#define EDGEKIT_REPACK_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

template <class data_T, class res_T, unsigned N> void repack(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    data_T in;
    res_T out;
    PRAGMA_DATA_PACK(out)
Value:
    for (unsigned i = 0; i < N; i++) {
        #pragma HLS PIPELINE II=1
        if (i % data_T::size == 0) {
            in = data.read();
        }
        out[i % res_T::size] = in[i % data_T::size];
        if (i % res_T::size == res_T::size - 1) {
            res.write(out);
        }
    }
}

} // namespace nnet

#endif
