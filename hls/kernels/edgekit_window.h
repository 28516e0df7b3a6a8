// The cells under a sliding window, from a line buffer of little more than span_rows - 1 rows.
//
// Loops, all of initiation interval 1:
//     Fill     fill iterations: what the first row of windows needs before it begins
//     Row      out_rows times
//       Cell   row_cycles iterations, the larger of
//                  out_columns * groups * taps       reads: for each position, channel group and tap one token
//                  stride_rows * columns * groups    writes: as many rows as the windows then go down
//
// Tokens come at even distances over a row, so that whoever writes them need not stop meanwhile, and just in time: when a row of
// windows begins, `reach` of them have come from the first one of the row of the map where these windows have their top. The buffer
// has `words` places, which are used in turn; window.py beside it finds both numbers. Cells outside the map are pad_value.
//
// A place is never written and read within a row with less than window.py's SETTLED iterations between; from one row to the next
// these may be two. So rows do not flatten: each ends before the next one begins.

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
    static const int words = 1;
    static const int fill = 1;
    static const int reach = 1;
    static const int row_cycles = 1;
    static const int pad_value = 0;
};

// The place after `steps` places more, steps <= words.
template <typename CONFIG_T> int place_after(const int place, const int steps) {
    #pragma HLS INLINE
    const int next = place + steps;
    return next >= CONFIG_T::words ? next - CONFIG_T::words : next;
}

template <typename CONFIG_T, class data_T> void window(hls::stream<data_T> &data, hls::stream<data_T> &res) {
    const int row_tokens = CONFIG_T::columns * CONFIG_T::groups, tokens = CONFIG_T::rows * row_tokens;
    const int arriving = CONFIG_T::stride_rows * row_tokens, above = CONFIG_T::pad_top * row_tokens;
    data_T lines[CONFIG_T::words];
    #pragma HLS AGGREGATE variable=lines
    #pragma HLS BIND_STORAGE variable=lines type=ram_s2p

    int written = 0; // the place of the next token
Fill:
    for (int i = 0; i < CONFIG_T::fill; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        lines[written] = data.read();
        written = place_after<CONFIG_T>(written, 1);
    }

    int next = CONFIG_T::reach - above; // the token that is due next, which the map may not have
    int top = -CONFIG_T::pad_top;        // the windows' first row in the map, and the place of that row's first token
    int top_place = (CONFIG_T::words - above % CONFIG_T::words) % CONFIG_T::words;
Row:
    for (int y = 0; y < CONFIG_T::out_rows; y++) {
        int due = 0;                                             // of a token, in parts of row_cycles
        int left = -CONFIG_T::pad_left, left_place = top_place; // the window's first column, and the place of its first one in the map
        int x = 0, group = 0, i = 0, j = 0;
    Cell:
        for (int cycle = 0; cycle < CONFIG_T::row_cycles; cycle++) {
            #pragma HLS PIPELINE II=1
            #pragma HLS DEPENDENCE variable=lines inter false
            #pragma HLS LOOP_FLATTEN off
            EDGEKIT_ITERATION(CONFIG_T);
            if (x < CONFIG_T::out_columns) {
                const int row = top + i * CONFIG_T::dilation_rows, column = left + j * CONFIG_T::dilation_columns;
                data_T cell;
                if (row >= 0 && row < CONFIG_T::rows && column >= 0 && column < CONFIG_T::columns) {
                    if (CONFIG_T::words == tokens) { // nothing is written over, and a window may be larger than the map
                        cell = lines[row * row_tokens + column * CONFIG_T::groups + group];
                    } else {
                        const int beside = left < 0 ? column : j * CONFIG_T::dilation_columns;
                        const int behind = i * CONFIG_T::dilation_rows * row_tokens + beside * CONFIG_T::groups + group;
                        cell = lines[place_after<CONFIG_T>(left_place, behind)];
                    }
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
                            const int right = left + CONFIG_T::stride_columns;
                            if (right > 0) {
                                const int columns = left < 0 ? right : CONFIG_T::stride_columns;
                                left_place = place_after<CONFIG_T>(left_place, columns * CONFIG_T::groups);
                            }
                            left = right;
                        }
                    }
                }
            }
            due += arriving;
            if (due >= CONFIG_T::row_cycles) {
                due -= CONFIG_T::row_cycles;
                if (next >= 0 && next < tokens) {
                    lines[written] = data.read();
                    written = place_after<CONFIG_T>(written, 1);
                }
                next++;
            }
        }
        top += CONFIG_T::stride_rows;
        top_place = place_after<CONFIG_T>(top_place, arriving % CONFIG_T::words);
    }
}

} // namespace nnet

#endif
