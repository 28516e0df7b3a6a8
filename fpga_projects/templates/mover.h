// Moves bytes between memory words and stream tokens.
//
// One loop of initiation interval 1; a shift register holds the bytes that were read and not yet written. A word is read where
// they do not suffice for a token, a token is written where they do: neither happens more often than once an iteration, since
// fewer bytes than a token (a word) are held before. The last word of an image is padded: every image starts at a word.

#ifndef EDGEKIT_MOVER_H_
#define EDGEKIT_MOVER_H_

#include "ap_int.h"
#include "hls_stream.h"

namespace edgekit {

constexpr unsigned words_of(unsigned values, unsigned word_bytes) { return (values + word_bytes - 1) / word_bytes; }

constexpr unsigned larger(unsigned a, unsigned b) { return a > b ? a : b; }

// The image with index `image` as VALUES / token_T::size tokens. Iterations: the larger of the numbers of words and of tokens.
template <unsigned VALUES, unsigned WORD_BYTES, class token_T>
void read_image(const ap_uint<8 * WORD_BYTES> *images, unsigned image, hls::stream<token_T> &stream) {
    typedef ap_uint<8 * (WORD_BYTES + token_T::size)> held_t;
    const unsigned words = words_of(VALUES, WORD_BYTES), tokens = VALUES / token_T::size;
    held_t held = 0;
    unsigned held_bytes = 0, read = 0, written = 0;
Step:
    for (unsigned step = 0; step < larger(words, tokens); step++) {
        #pragma HLS PIPELINE II=1
        if (held_bytes < token_T::size && read < words) {
            held |= held_t(images[image * words + read]) << (8 * held_bytes);
            held_bytes += WORD_BYTES;
            read++;
        }
        if (held_bytes >= token_T::size && written < tokens) {
            token_T token;
        Lane:
            for (unsigned lane = 0; lane < token_T::size; lane++) {
                #pragma HLS UNROLL
                token[lane] = int(ap_uint<8>(held >> (8 * lane)));
            }
            stream.write(token);
            held >>= 8 * token_T::size;
            held_bytes -= token_T::size;
            written++;
        }
    }
}

// VALUES values from a stream into words, the first one at index `first`. Iterations: as above, and one for a last, padded word.
template <unsigned VALUES, unsigned WORD_BYTES, class token_T>
void write_result(hls::stream<token_T> &stream, ap_uint<8 * WORD_BYTES> *results, unsigned first) {
    typedef ap_uint<8 * (WORD_BYTES + token_T::size)> held_t;
    const unsigned words = words_of(VALUES, WORD_BYTES), tokens = VALUES / token_T::size;
    held_t held = 0;
    unsigned held_bytes = 0, read = 0, written = 0;
Step:
    for (unsigned step = 0; step < larger(words, tokens) + 1; step++) {
        #pragma HLS PIPELINE II=1
        if (held_bytes < WORD_BYTES && read < tokens) {
            token_T token;
            token = stream.read();
            held_t bytes = 0;
        Lane:
            for (unsigned lane = 0; lane < token_T::size; lane++) {
                #pragma HLS UNROLL
                bytes |= held_t(ap_uint<8>(int(token[lane]))) << (8 * lane);
            }
            held |= bytes << (8 * held_bytes);
            held_bytes += token_T::size;
            read++;
        }
        if (written < words && (held_bytes >= WORD_BYTES || read == tokens)) {
            results[first + written] = ap_uint<8 * WORD_BYTES>(held);
            held >>= 8 * WORD_BYTES;
            held_bytes = larger(held_bytes, WORD_BYTES) - WORD_BYTES;
            written++;
        }
    }
}

} // namespace edgekit

#endif
