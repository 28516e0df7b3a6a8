// hls::stream for clang: a stream is the number of a port, and its reads and writes are calls that the translator knows by name.

#ifndef EDGEKIT_CLANG_HLS_STREAM_H_
#define EDGEKIT_CLANG_HLS_STREAM_H_

#include "ap_int.h"

extern "C" {
int edgekit_lane(int port, int lane) noexcept;           // of the token that waits
void edgekit_pop(int port) noexcept;                     // it is taken
void edgekit_put(int port, int lane, int value) noexcept; // into the token that is to be written
void edgekit_push(int port) noexcept;                    // it is written
}

namespace hls {

template <class token_T> struct stream {
    int port;

    EDGEKIT_INLINE explicit stream(int port) : port(port) {}

    EDGEKIT_INLINE token_T read() {
        token_T token;
#pragma clang loop unroll(full)
        for (unsigned c = 0; c < token_T::size; c++) {
            token[c] = edgekit_lane(port, c);
        }
        edgekit_pop(port);
        return token;
    }

    EDGEKIT_INLINE void write(const token_T &token) {
#pragma clang loop unroll(full)
        for (unsigned c = 0; c < token_T::size; c++) {
            edgekit_put(port, c, (int)token[c]);
        }
        edgekit_push(port);
    }
};

} // namespace hls

#endif
