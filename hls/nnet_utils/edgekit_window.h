// The cells under a sliding window, from a line buffer of as many rows as one row of windows and the next need.
//
// Loops, all of initiation interval 1:
//     Fill     fill_rows * columns * groups iterations: the rows that the first windows need
//     Row      out_rows times
//       Cell   row_cycles iterations, the larger of
//                  out_columns * groups * taps       reads: for each position, channel group and tap one token
//                  stride_rows * columns * groups    writes: the rows that the next row of windows needs in addition
//
// The tokens of the rows to come are read at even distances over the row, so that whoever writes them need not stop meanwhile.
// A row that is written never takes the place of one that is read: buffer_rows = min(rows, span_rows + stride_rows).
// Cells outside the map are pad_value.

#ifndef EDGEKIT_WINDOW_H_
#define EDGEKIT_WINDOW_H_

#include "edgekit_count.h"
#include "hls_stream.h"

namespace nnet {

struct window_config {
    static const unsigned stage = 0;
    static const int rows = 1;
    static const int columns = 1;
    static const int groups = 1; // tokens a cell
    static const int kernel_rows = 1;
    static const int kernel_columns = 1;
    static const int stride_rows = 1;
    static const int stride_columns = 1;
    static const int dilation_rows = 1;
    static const int dilation_columns = 1;
    static const int pad_top = 0;
    static const int pad_left = 0;
    static const int out_rows = 1;
    static const int out_columns = 1;
    static const int span_rows = 1; // from a window's first row to its last
    static const int buffer_rows = 1;
    static const int fill_rows = 1;
    static const int row_cycles = 1;
    static const int pad_value = 0;
};

// Rows that must have arrived before row `y` of windows can be read.
template <typename CONFIG_T> int rows_needed(const int y) {
    #pragma HLS INLINE
    const int last = y * CONFIG_T::stride_rows - CONFIG_T::pad_top + CONFIG_T::span_rows;
    return last < 0 ? 0 : last < CONFIG_T::rows ? last : CONFIG_T::rows;
}

template <typename CONFIG_T, class data_T> void window(hls::stream<data_T> &data, hls::stream<data_T> &res) {
    const int words = CONFIG_T::buffer_rows * CONFIG_T::columns * CONFIG_T::groups;
    data_T lines[words];
    #pragma HLS AGGREGATE variable=lines
    #pragma HLS BIND_STORAGE variable=lines type=ram_s2p

    int written = 0; // where the next token goes
Fill:
    for (int i = 0; i < CONFIG_T::fill_rows * CONFIG_T::columns * CONFIG_T::groups; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        lines[written] = data.read();
        written = written + 1 == words ? 0 : written + 1;
    }

    int top = -CONFIG_T::pad_top; // the window's first row in the map, and that row's place in the buffer
    int top_slot = (CONFIG_T::buffer_rows - CONFIG_T::pad_top % CONFIG_T::buffer_rows) % CONFIG_T::buffer_rows;
Row:
    for (int y = 0; y < CONFIG_T::out_rows; y++) {
        const int arriving = (rows_needed<CONFIG_T>(y + 1) - rows_needed<CONFIG_T>(y)) * CONFIG_T::columns * CONFIG_T::groups;
        int due = 0; // of a token, in parts of row_cycles
        int x = 0, left = -CONFIG_T::pad_left, group = 0, i = 0, j = 0; // position, its first column, and the tap (i, j)
    Cell:
        for (int cycle = 0; cycle < CONFIG_T::row_cycles; cycle++) {
            #pragma HLS PIPELINE II=1
            #pragma HLS DEPENDENCE variable=lines inter false
            EDGEKIT_ITERATION(CONFIG_T);
            if (x < CONFIG_T::out_columns) {
                const int row = top + i * CONFIG_T::dilation_rows, column = left + j * CONFIG_T::dilation_columns;
                const bool inside = row >= 0 && row < CONFIG_T::rows && column >= 0 && column < CONFIG_T::columns;
                // A buffer that holds the whole map never wraps; in a larger map a window is no higher than the buffer.
                int slot = top_slot + i * CONFIG_T::dilation_rows;
                if (CONFIG_T::buffer_rows == CONFIG_T::rows) {
                    slot = row;
                } else if (slot >= CONFIG_T::buffer_rows) {
                    slot -= CONFIG_T::buffer_rows;
                }
                data_T cell;
                if (inside) {
                    cell = lines[(slot * CONFIG_T::columns + column) * CONFIG_T::groups + group];
                } else {
                    for (unsigned c = 0; c < data_T::size; c++) {
                        #pragma HLS UNROLL
                        cell[c] = CONFIG_T::pad_value;
                    }
                }
                res.write(cell);

                if (j + 1 < CONFIG_T::kernel_columns) {
                    j++;
                } else {
                    j = 0;
                    if (i + 1 < CONFIG_T::kernel_rows) {
                        i++;
                    } else {
                        i = 0;
                        if (group + 1 < CONFIG_T::groups) {
                            group++;
                        } else {
                            group = 0;
                            x++;
                            left += CONFIG_T::stride_columns;
                        }
                    }
                }
            }
            due += arriving;
            if (due >= CONFIG_T::row_cycles) {
                due -= CONFIG_T::row_cycles;
                lines[written] = data.read();
                written = written + 1 == words ? 0 : written + 1;
            }
        }
        top += CONFIG_T::stride_rows;
        top_slot += CONFIG_T::stride_rows;
        if (top_slot >= CONFIG_T::buffer_rows) {
            top_slot -= CONFIG_T::buffer_rows;
        }
    }
}

} // namespace nnet

#endif
