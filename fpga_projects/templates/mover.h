// Moves bytes between memory words and stream tokens.
//
// One loop, one token an iteration, initiation interval 1 while a memory port gives a word a cycle: a shift register holds the
// bytes that were read and not yet written. The last word of an image is padded, so that every image starts at a word.

#ifndef EDGEKIT_MOVER_H_
#define EDGEKIT_MOVER_H_

#include "ap_int.h"
#include "hls_stream.h"

namespace edgekit {

constexpr unsigned words_of(unsigned values, unsigned word_bytes) { return (values + word_bytes - 1) / word_bytes; }

// The image with index `image` as VALUES / token_T::size tokens.
template <unsigned VALUES, unsigned WORD_BYTES, class token_T>
void read_image(const ap_uint<8 * WORD_BYTES> *images, unsigned image, hls::stream<token_T> &stream) {
    const unsigned first = image * words_of(VALUES, WORD_BYTES);
    ap_uint<8 * (WORD_BYTES + token_T::size)> held = 0;
    unsigned held_bytes = 0, word = 0;
    // Each iteration reads a word or writes a token; tokens wider than a word take several words.
Token:
    for (unsigned written = 0; written < VALUES;) {
        #pragma HLS PIPELINE II=1
        #pragma HLS LOOP_TRIPCOUNT min=1 max=VALUES
        if (held_bytes < token_T::size) {
            held |= static_cast<ap_uint<8 * (WORD_BYTES + token_T::size)>>(images[first + word]) << (8 * held_bytes);
            held_bytes += WORD_BYTES;
            word++;
        }
        if (held_bytes >= token_T::size) {
            token_T token;
        Lane:
            for (unsigned lane = 0; lane < token_T::size; lane++) {
                #pragma HLS UNROLL
                const ap_uint<8> byte = held.range(8 * lane + 7, 8 * lane);
                token[lane].range(7, 0) = byte;
            }
            held >>= 8 * token_T::size;
            held_bytes -= token_T::size;
            written += token_T::size;
            stream.write(token);
        }
    }
}

// VALUES values from a stream into words, the first one at index `first`.
template <unsigned VALUES, unsigned WORD_BYTES, class token_T>
void write_result(hls::stream<token_T> &stream, ap_uint<8 * WORD_BYTES> *results, unsigned first) {
    ap_uint<8 * (WORD_BYTES + token_T::size)> held = 0;
    unsigned held_bytes = 0, word = 0, read = 0;
Word:
    while (word < words_of(VALUES, WORD_BYTES)) {
        #pragma HLS PIPELINE II=1
        #pragma HLS LOOP_TRIPCOUNT min=1 max=VALUES
        if (held_bytes < WORD_BYTES && read < VALUES) {
            const token_T token = stream.read();
        Lane:
            for (unsigned lane = 0; lane < token_T::size; lane++) {
                #pragma HLS UNROLL
                const ap_uint<8> byte = token[lane].range(7, 0);
                held |= static_cast<ap_uint<8 * (WORD_BYTES + token_T::size)>>(byte) << (8 * (held_bytes + lane));
            }
            held_bytes += token_T::size;
            read += token_T::size;
        }
        if (held_bytes >= WORD_BYTES || read == VALUES) {
            results[first + word] = held.range(8 * WORD_BYTES - 1, 0);
            held >>= 8 * WORD_BYTES;
            held_bytes = held_bytes > WORD_BYTES ? held_bytes - WORD_BYTES : 0;
            word++;
        }
    }
}

} // namespace edgekit

#endif
