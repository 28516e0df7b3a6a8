// What only the simulation of a folded pipeline needs: weights from files, and the view into streams that hls4ml's generated
// code asks for by the names load_weights_from_txt and save_layer_output.

#ifndef EDGEKIT_SIMULATION_H_
#define EDGEKIT_SIMULATION_H_

#ifndef __SYNTHESIS__

#include "hls_stream.h"
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#ifndef WEIGHTS_DIR
#define WEIGHTS_DIR "weights"
#endif

namespace nnet {

inline std::vector<char> read_all(const std::string &path) {
    std::vector<char> bytes;
    std::FILE *file = std::fopen(path.c_str(), "rb");
    if (!file) {
        std::fprintf(stderr, "cannot open %s\n", path.c_str());
        std::exit(2);
    }
    char part[1 << 16];
    for (std::size_t count = std::fread(part, 1, sizeof(part), file); count > 0; count = std::fread(part, 1, sizeof(part), file)) {
        bytes.insert(bytes.end(), part, part + count);
    }
    std::fclose(file);
    return bytes;
}

// `count` integers with commas between them.
template <class T, std::size_t count> void load_weights_from_txt(T *values, const char *name) {
    std::vector<char> text = read_all(std::string(WEIGHTS_DIR) + "/" + name);
    text.push_back(0);
    const char *at = text.data();
    for (std::size_t i = 0; i < count; i++) {
        char *end = nullptr;
        values[i] = static_cast<int>(std::strtol(at, &end, 10));
        if (end == at || (i + 1 < count) != (*end == ',')) {
            std::fprintf(stderr, "%s does not hold %zu integers\n", name, count);
            std::exit(2);
        }
        at = end + 1;
    }
}

// `count` words of `bytes` bytes each, little endian.
template <unsigned bytes, class T> void load_words(T *words, std::size_t count, const char *path) {
    const std::vector<char> content = read_all(path);
    if (content.size() != count * bytes) {
        std::fprintf(stderr, "%s holds %zu bytes, not %zu\n", path, content.size(), count * bytes);
        std::exit(2);
    }
    for (std::size_t i = 0; i < count; i++) {
#ifdef EDGEKIT_NATIVE
        static_assert(sizeof(T) == bytes, "a memory word has no padding");
        std::copy_n(content.data() + i * bytes, bytes, reinterpret_cast<char *>(words + i));
#else
        T word = 0;
        for (unsigned b = bytes; b > 0; b--) {
            word = (word << 8) | T(static_cast<unsigned char>(content[i * bytes + b - 1]));
        }
        words[i] = word;
#endif
    }
}

// Layer -> the bytes that its stream carried in the last frame.
extern bool trace_enabled;
extern std::map<std::string, std::vector<unsigned char>> traces;

template <class token_T> void append_token(const token_T &token, std::vector<unsigned char> &bytes) {
    for (unsigned c = 0; c < token_T::size; c++) {
        bytes.push_back(static_cast<unsigned char>(static_cast<int>(token[c]) & 255));
    }
}

template <class token_T> void save_layer_output(hls::stream<token_T> &stream, const char *layer, std::size_t) {
    if (!trace_enabled) {
        return;
    }
    std::vector<unsigned char> &bytes = traces[layer];
    bytes.clear();
#ifdef EDGEKIT_NATIVE
    for (std::size_t i = 0; i < stream.size(); i++) {
        append_token(stream.waiting()[i], bytes);
    }
#else
    for (std::size_t left = stream.size(); left > 0; left--) {
        token_T token;
        token = stream.read();
        append_token(token, bytes);
        stream.write(token);
    }
#endif
}

} // namespace nnet

#endif

#endif
