// How the simulation programs call the network. Generated, with simulate.cpp and testbench.cpp as its users.

#ifndef NETWORK_IO_H_
#define NETWORK_IO_H_

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "firmware/edgekit_network.h"
#include "firmware/nnet_utils/nnet_helpers.h"

// hls4ml's way of looking into the network: each traced layer leaves its output in a map, by name.
namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(float); // holds 8-bit integers exactly
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
    for (size_t i = 0; i < values; i += token_T::size) {
        if (stream.empty()) {
            std::fprintf(stderr, "an output stream ended after %zu of %zu values\n", i, values);
            std::exit(3);
        }
        const token_T token = stream.read();
        for (size_t c = 0; c < token_T::size; c++) {
            bytes.push_back(static_cast<unsigned char>(static_cast<int>(token[c]) & 255));
        }
    }
    if (!stream.empty()) {
        std::fprintf(stderr, "an output stream has more than its %zu values\n", values);
        std::exit(3);
    }
}

namespace network {

const size_t input_values = $input_values;

struct Layer {
    const char *name;
    size_t values;
};

const std::vector<Layer> traced = {$traced};

inline std::vector<unsigned char> call(const std::vector<unsigned char> &image) {
    std::vector<unsigned char> values;
    hls::stream<$input_type> input("input");
    put(image.data(), input_values, $input_signed, input);
$declare_outputs
    edgekit_network(input, $outputs);
$take_outputs
    return values;
}

} // namespace network

inline void start_trace() {
    nnet::trace_enabled = true;
    nnet::trace_outputs = new std::map<std::string, void *>;
    for (const network::Layer &layer : network::traced) {
        (*nnet::trace_outputs)[layer.name] = std::calloc(layer.values, sizeof(float));
    }
}

inline void append_trace(std::vector<unsigned char> &values) {
    for (const network::Layer &layer : network::traced) {
        const float *seen = static_cast<const float *>((*nnet::trace_outputs)[layer.name]);
        for (size_t i = 0; i < layer.values; i++) {
            values.push_back(static_cast<unsigned char>(static_cast<int>(seen[i]) & 255));
        }
    }
}

#endif
