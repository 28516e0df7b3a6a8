// Matrix products of two maps, a head after the other, requantized. The cells of x and y are the rows of the matrices; a head is a
// group of neighbouring channels.
//
//     out[i, h * m + j] = sum over k of x[i, h * n + k] * y[j, h * n + k] + bias     outputs_are_cells: an output for each cell of y
//     out[i, h * n + k] = sum over j of x[i, h * m + j] * y[j, h * n + k] + bias     terms_are_cells: a term for each cell of y
//
// y is held whole; x passes cell by cell and waits in its stream until y is there. A token of SIMD terms of x comes in, a token of
// PE outputs goes out; PE * SIMD products an iteration, each a multiplier.
//
// Loops:  Load     y_cells * cell_tokens      initiation interval 1
//         Cell     x_cells
//           Head     heads
//             Output   output_groups
//               Term     term_groups      initiation interval 1; the four flatten into one
//
// The terms of a head of a cell are read in the first output group and kept for the others.

#ifndef EDGEKIT_MATMUL_H_
#define EDGEKIT_MATMUL_H_

#include "edgekit_arithmetic.h"
#include "edgekit_count.h"
#include "hls_stream.h"

namespace nnet {

// How y lies in its banks so that PE * SIMD of its values can be read at once. Neighbouring cells lie in neighbouring banks, the
// tokens of a cell in neighbouring words. A token of y has SIMD terms, and there are PE banks:
struct outputs_are_cells {
    template <typename CONFIG_T> static unsigned word(const unsigned head, const unsigned output, const unsigned term) {
        #pragma HLS INLINE
        return output * CONFIG_T::cell_tokens + head * CONFIG_T::term_groups + term;
    }

    template <class y_T, class held_T>
    static typename y_T::value_type value(const held_T &held, const unsigned word, const unsigned p, const unsigned s) {
        #pragma HLS INLINE
        return held[p][word][s];
    }
};

// A token of y has PE outputs, and there are SIMD banks:
struct terms_are_cells {
    template <typename CONFIG_T> static unsigned word(const unsigned head, const unsigned output, const unsigned term) {
        #pragma HLS INLINE
        return term * CONFIG_T::cell_tokens + head * CONFIG_T::output_groups + output;
    }

    template <class y_T, class held_T>
    static typename y_T::value_type value(const held_T &held, const unsigned word, const unsigned p, const unsigned s) {
        #pragma HLS INLINE
        return held[s][word][p];
    }
};

struct matmul_config {
    static const unsigned stage = 0;
    static const unsigned x_cells = 1;
    static const unsigned y_cells = 1;
    static const unsigned heads = 1;
    static const unsigned output_groups = 1; // a head's outputs / PE
    static const unsigned term_groups = 1;   // a head's terms / SIMD
    static const unsigned cell_tokens = 1;   // of y
    static const unsigned banks = 1;
    static const unsigned bank_cells = 1;  // y_cells / banks
    static const unsigned bias_groups = 1; // 1: the same for all outputs; else one for each token of the output
    static const unsigned pe = 1;
    static const unsigned simd = 1;
    static const unsigned shift = 0;
    static const int low = -128;
    static const int high = 127;
    typedef outputs_are_cells layout;
};

// The rounding constant is in the bias.
template <typename CONFIG_T, class x_T, class y_T, class res_T>
void matmul(hls::stream<x_T> &x, hls::stream<y_T> &y, hls::stream<res_T> &res,
            const typename CONFIG_T::bias_t bias[CONFIG_T::bias_groups * CONFIG_T::pe]) {
    typedef typename CONFIG_T::layout layout;
    const unsigned pe = CONFIG_T::pe;
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=pe
    y_T held[CONFIG_T::banks][CONFIG_T::bank_cells * CONFIG_T::cell_tokens];
    #pragma HLS AGGREGATE variable=held
    #pragma HLS ARRAY_PARTITION variable=held complete dim=1
    x_T vector[CONFIG_T::term_groups];
    #pragma HLS AGGREGATE variable=vector
    typename CONFIG_T::accum_t sums[pe];
    #pragma HLS ARRAY_PARTITION variable=sums complete

    unsigned bank = 0, first = 0, place = 0; // where the next token of y goes: to word first + place
Load:
    for (unsigned i = 0; i < CONFIG_T::y_cells * CONFIG_T::cell_tokens; i++) {
        #pragma HLS PIPELINE II=1
        EDGEKIT_ITERATION(CONFIG_T);
        held[bank][first + place] = y.read();
        if (place + 1 < CONFIG_T::cell_tokens) {
            place++;
        } else {
            place = 0;
            if (bank + 1 < CONFIG_T::banks) {
                bank++;
            } else {
                bank = 0;
                first += CONFIG_T::cell_tokens;
            }
        }
    }

Cell:
    for (unsigned cell = 0; cell < CONFIG_T::x_cells; cell++) {
    Head:
        for (unsigned head = 0; head < CONFIG_T::heads; head++) {
        Output:
            for (unsigned o = 0; o < CONFIG_T::output_groups; o++) {
            Term:
                for (unsigned t = 0; t < CONFIG_T::term_groups; t++) {
                    #pragma HLS PIPELINE II=1
                    EDGEKIT_ITERATION(CONFIG_T);
                    x_T terms;
                    if (o == 0) {
                        terms = x.read();
                        vector[t] = terms;
                    } else {
                        terms = vector[t];
                    }
                    if (t == 0) {
                        const unsigned token = (cell * CONFIG_T::heads + head) * CONFIG_T::output_groups + o;
                        const unsigned group = CONFIG_T::bias_groups == 1 ? 0 : token;
                        for (unsigned p = 0; p < pe; p++) {
                            #pragma HLS UNROLL
                            sums[p] = bias[group * pe + p];
                        }
                    }
                    const unsigned word = layout::template word<CONFIG_T>(head, o, t);
                    for (unsigned s = 0; s < CONFIG_T::simd; s++) {
                        #pragma HLS UNROLL
                        for (unsigned p = 0; p < pe; p++) {
                            #pragma HLS UNROLL
                            sums[p] += multiply_activations(terms[s], layout::template value<y_T>(held, word, p, s));
                        }
                    }
                    if (t + 1 == CONFIG_T::term_groups) {
                        res_T out;
                        for (unsigned p = 0; p < pe; p++) {
                            #pragma HLS UNROLL
                            out[p] = requantize_product<CONFIG_T>(sums[p]);
                        }
                        res.write(out);
                    }
                }
            }
        }
    }
}

} // namespace nnet

#endif
