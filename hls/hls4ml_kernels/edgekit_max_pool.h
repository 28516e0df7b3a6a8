// The largest value of each window. Padding is the type's lowest value: it takes no part.
//
// A window's maximum is taken in two steps: along a row as its cells arrive, then over the last pool_height rows, of which
// only the row maxima are kept.

#ifndef EDGEKIT_MAX_POOL_H_
#define EDGEKIT_MAX_POOL_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct max_pool_config {
    static const unsigned in_height = 1;
    static const unsigned in_width = 1;
    static const unsigned n_chan = 1;
    static const unsigned out_height = 1;
    static const unsigned out_width = 1;
    static const unsigned pool_height = 1;
    static const unsigned pool_width = 1;
    static const unsigned stride_height = 1;
    static const unsigned stride_width = 1;
    static const unsigned pad_top = 0;
    static const unsigned pad_left = 0;
    static const unsigned padded_height = 1;
    static const unsigned padded_width = 1;
    static const int lowest = -128;
};

// Whether the window that ends at this row (or column) is one of the output's, and which.
template <unsigned POOL, unsigned STRIDE, unsigned OUT> bool window_ends(unsigned position, unsigned &window) {
    #pragma HLS INLINE
    window = (position + 1 - POOL) / STRIDE;
    return position + 1 >= POOL && (position + 1 - POOL) % STRIDE == 0 && window < OUT;
}

template <class data_T, class res_T, typename CONFIG_T> void max_pool_2d(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    res_T rows[CONFIG_T::pool_height][CONFIG_T::out_width];
    #pragma HLS ARRAY_PARTITION variable=rows complete dim=1
    res_T cells[CONFIG_T::pool_width];
    #pragma HLS ARRAY_PARTITION variable=cells complete

Row:
    for (unsigned y = 0; y < CONFIG_T::padded_height; y++) {
    Column:
        for (unsigned x = 0; x < CONFIG_T::padded_width; x++) {
            #pragma HLS PIPELINE II=1
            // Unsigned differences wrap, so one comparison covers both ends.
            const bool inside = y - CONFIG_T::pad_top < CONFIG_T::in_height && x - CONFIG_T::pad_left < CONFIG_T::in_width;
            for (unsigned i = 0; i + 1 < CONFIG_T::pool_width; i++) {
                #pragma HLS UNROLL
                cells[i] = cells[i + 1];
            }
            data_T arrived;
            if (inside) {
                arrived = data.read();
            }
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                #pragma HLS UNROLL
                if (inside) {
                    cells[CONFIG_T::pool_width - 1][c] = arrived[c];
                } else {
                    cells[CONFIG_T::pool_width - 1][c] = CONFIG_T::lowest;
                }
            }

            unsigned column;
            if (window_ends<CONFIG_T::pool_width, CONFIG_T::stride_width, CONFIG_T::out_width>(x, column)) {
                res_T largest; // hls4ml's tokens declare assignment, but no copy
                largest = cells[0];
                for (unsigned i = 1; i < CONFIG_T::pool_width; i++) {
                    #pragma HLS UNROLL
                    for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                        #pragma HLS UNROLL
                        if (cells[i][c] > largest[c]) {
                            largest[c] = cells[i][c];
                        }
                    }
                }
                rows[y % CONFIG_T::pool_height][column] = largest;
                unsigned row;
                if (window_ends<CONFIG_T::pool_height, CONFIG_T::stride_height, CONFIG_T::out_height>(y, row)) {
                    res_T out;
                    PRAGMA_DATA_PACK(out)
                    out = largest;
                    for (unsigned i = 0; i < CONFIG_T::pool_height; i++) {
                        #pragma HLS UNROLL
                        for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                            #pragma HLS UNROLL
                            if (rows[i][column][c] > out[c]) {
                                out[c] = rows[i][column][c];
                            }
                        }
                    }
                    res.write(out);
                }
            }
        }
    }
}

} // namespace nnet

#endif
