// A depthwise transposed convolution whose stride is its kernel: each cell becomes kernel_rows * kernel_columns cells that none
// other reaches, so an output is one product. A row of cells is kept and given again for each row of the kernel.
//
// Loops:  Row           rows
//           KernelRow     kernel_rows
//             Column        columns
//               KernelColumn  kernel_columns
//                 Group         groups      initiation interval 1; the five flatten into one
//
// Tokens of PE channels come in and go out.

#ifndef EDGEKIT_UPSAMPLE_H_
#define EDGEKIT_UPSAMPLE_H_

#include "edgekit_matvec.h"

namespace nnet {

struct upsample_config : sums_config {
    static const unsigned rows = 1;
    static const unsigned columns = 1;
    static const unsigned groups = 1; // tokens a cell
    static const unsigned kernel_rows = 1;
    static const unsigned kernel_columns = 1;
};

// Weights in ROM words of PE, in the order kernel row, kernel column, group.
template <typename CONFIG_T, class data_T, class res_T>
void upsample(hls::stream<data_T> &data, hls::stream<res_T> &res,
              const typename CONFIG_T::weight_t weights[CONFIG_T::kernel_rows * CONFIG_T::kernel_columns * CONFIG_T::groups * CONFIG_T::pe],
              const typename CONFIG_T::bias_t bias[CONFIG_T::groups * CONFIG_T::pe],
              const typename CONFIG_T::shift_t shifts[CONFIG_T::groups * CONFIG_T::pe]) {
    const unsigned pe = CONFIG_T::pe;
    #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=pe
    #pragma HLS ARRAY_RESHAPE variable=shifts cyclic factor=pe
    data_T line[CONFIG_T::columns * CONFIG_T::groups];
    #pragma HLS AGGREGATE variable=line

Row:
    for (unsigned row = 0; row < CONFIG_T::rows; row++) {
    KernelRow:
        for (unsigned i = 0; i < CONFIG_T::kernel_rows; i++) {
        Column:
            for (unsigned column = 0; column < CONFIG_T::columns; column++) {
            KernelColumn:
                for (unsigned j = 0; j < CONFIG_T::kernel_columns; j++) {
                Group:
                    for (unsigned group = 0; group < CONFIG_T::groups; group++) {
                        #pragma HLS PIPELINE II=1
                        EDGEKIT_ITERATION(CONFIG_T);
                        const unsigned place = column * CONFIG_T::groups + group;
                        data_T x;
                        if (i == 0 && j == 0) {
                            x = data.read();
                            line[place] = x;
                        } else {
                            x = line[place];
                        }
                        const unsigned first = ((i * CONFIG_T::kernel_columns + j) * CONFIG_T::groups + group) * pe;
                        typename CONFIG_T::accum_t sums[pe];
                        for (unsigned p = 0; p < pe; p++) {
                            #pragma HLS UNROLL
                            sums[p] = bias[group * pe + p];
                            sums[p] += CONFIG_T::arithmetic::product(x[p], weights[first + p]);
                        }
                        res_T out;
                        requantize_token<CONFIG_T>(sums, shifts, group, out);
                        res.write(out);
                    }
                }
            }
        }
    }
}

} // namespace nnet

#endif
