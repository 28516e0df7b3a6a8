// How the simulation programs call the network. Generated, with simulate.cpp, testbench.cpp and count.cpp as its users.

#ifndef NETWORK_IO_H_
#define NETWORK_IO_H_

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "firmware/edgekit_network.h"
#include "firmware/nnet_utils/edgekit_simulation.h"

namespace nnet {
bool trace_enabled = false;
std::map<std::string, std::vector<unsigned char>> traces;
} // namespace nnet

template <class token_T> void put(const unsigned char *bytes, size_t values, bool is_signed, hls::stream<token_T> &stream) {
    for (size_t i = 0; i < values; i += token_T::size) {
        token_T token;
        for (size_t c = 0; c < token_T::size; c++) {
            const int byte = bytes[i + c];
            token[c] = is_signed && byte > 127 ? byte - 256 : byte;
        }
        stream.write(token);
    }
}

template <class token_T> void take(hls::stream<token_T> &stream, size_t values, std::vector<unsigned char> &bytes) {
    if (stream.size() * token_T::size != values) {
        std::fprintf(stderr, "an output stream has %zu of %zu values\n", size_t(stream.size() * token_T::size), values);
        std::exit(3);
    }
    while (!stream.empty()) {
        token_T token;
        token = stream.read();
        nnet::append_token(token, bytes);
    }
}

namespace network {

const size_t input_values = $input_values;

// Stages, in the order of nnet::iterations.
const std::vector<const char *> stages = {$stages};

// Layers whose streams the simulation shows.
const std::vector<const char *> traced = {$traced};

inline std::vector<unsigned char> call(const std::vector<unsigned char> &image) {
$load_memories
    std::vector<unsigned char> values;
    hls::stream<$input_type> input("input");
    put(image.data(), input_values, $input_signed, input);
$declare_outputs
    edgekit_network(input, $outputs$memories);
$take_outputs
    return values;
}

} // namespace network

inline void start_trace() {
    nnet::trace_enabled = true;
}

inline void append_trace(std::vector<unsigned char> &values) {
    for (const char *layer : network::traced) {
        const std::vector<unsigned char> &seen = nnet::traces[layer];
        values.insert(values.end(), seen.begin(), seen.end());
    }
}

#endif
