// Included before everything else of the exact simulation. Takes the place of edgekit_simulation.h and edgekit_count.h: weights are the
// arrays that synthesis takes, and the text files have to say the same; messages name the stage.

#ifndef EDGEKIT_EXACT_H_
#define EDGEKIT_EXACT_H_

#define EDGEKIT_SIMULATION_H_
#define EDGEKIT_COUNT_H_
#define EDGEKIT_ITERATION(CONFIG_T) exact::stage = CONFIG_T::stage

#include "ap_int.h"
#include "hls_stream.h"
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace exact {

struct array {
    const char *name; // of the text file
    const int *values;
    std::size_t count;
};
extern const array arrays[]; // those of synthesis, up to one without a name

std::vector<char> read_all(const std::string &path);
[[noreturn]] void damaged(const std::string &file, const char *problem);
void check_text(const array &synthesized);

inline const array &synthesized(const char *name, std::size_t count) {
    for (const array *one = arrays; one->name; one++) {
        if (!std::strcmp(one->name, name)) {
            if (one->count != count) {
                damaged(name, "synthesis has another number of integers");
            }
            return *one;
        }
    }
    damaged(name, "synthesis has no such array");
}

template <int W, bool S> void load_word(integer<W, S> &loaded, const char *bytes, unsigned count) {
    long long value = 0;
    for (unsigned b = count; b > 0; b--) {
        value = (value << 8) | static_cast<unsigned char>(bytes[b - 1]);
    }
    loaded = value;
}

template <int W> void load_word(word<W> &loaded, const char *bytes, unsigned) {
    std::memcpy(loaded.bytes, bytes, sizeof(loaded.bytes));
}

} // namespace exact

namespace nnet {

template <class T, std::size_t count> void load_weights_from_txt(T *values, const char *name) {
    const exact::array &found = exact::synthesized(name, count);
    exact::check_text(found);
    for (std::size_t i = 0; i < count; i++) {
        values[i] = found.values[i];
    }
}

template <unsigned bytes, class T> void load_words(T *words, std::size_t count, const char *path) {
    const std::vector<char> content = exact::read_all(path);
    if (content.size() != count * bytes) {
        exact::damaged(path, "it has another number of bytes");
    }
    for (std::size_t i = 0; i < count; i++) {
        exact::load_word(words[i], content.data() + i * bytes, bytes);
    }
}

extern bool trace_enabled;
extern std::map<std::string, std::vector<unsigned char>> traces;

template <class token_T> void append_token(const token_T &token, std::vector<unsigned char> &bytes) {
    for (unsigned c = 0; c < token_T::size; c++) {
        bytes.push_back(static_cast<unsigned char>(static_cast<int>(token[c]) & 255));
    }
}

template <class token_T> void save_layer_output(hls::stream<token_T> &stream, const char *layer, std::size_t) {
    if (trace_enabled) {
        std::vector<unsigned char> &bytes = traces[layer];
        bytes.clear();
        for (std::size_t i = 0; i < stream.size(); i++) {
            append_token(stream.waiting()[i], bytes);
        }
    }
}

} // namespace nnet

#endif
