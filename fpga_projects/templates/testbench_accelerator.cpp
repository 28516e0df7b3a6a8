// Runs tb_data/inputs.bin through the accelerator as memory words, all images in one call, and compares its results with
// tb_data/expected.bin. Returns 1 if any value differs. Used by `make csim`, and by Vitis HLS for cosimulation.

#include <cstdio>
#include <vector>

#include "accelerator.h"
#include "network_io.h"

using edgekit::word_bytes;

static const unsigned image_values = $input_values;
static const std::vector<unsigned> output_values = {$output_values};

static std::vector<unsigned char> read_file(const char *path) {
    std::vector<unsigned char> bytes;
    std::FILE *file = std::fopen(path, "rb");
    for (int byte = file ? std::fgetc(file) : EOF; byte != EOF; byte = std::fgetc(file)) {
        bytes.push_back(static_cast<unsigned char>(byte));
    }
    if (file) {
        std::fclose(file);
    }
    return bytes;
}

// The bytes of a file as words of a memory, from the lowest byte up.
template <class word_T> static std::vector<word_T> read_words(const char *path, size_t word_bytes_) {
    const std::vector<unsigned char> bytes = read_file(path);
    std::vector<word_T> words(bytes.size() / word_bytes_, 0);
    for (size_t i = 0; i < words.size() * word_bytes_; i++) {
        words[i / word_bytes_] |= word_T(bytes[i]) << (8 * (i % word_bytes_));
    }
    return words;
}

int main() {
    const std::vector<unsigned char> inputs = read_file("tb_data/inputs.bin");
    const std::vector<unsigned char> expected = read_file("tb_data/expected.bin");
    const unsigned frames = inputs.size() / image_values;
    std::vector<edgekit::word_t> images(frames * edgekit::image_words, 0), results(frames * edgekit::result_words, 0);
    for (size_t i = 0; i < inputs.size(); i++) {
        const size_t at = i / image_values * edgekit::image_words * word_bytes + i % image_values;
        images[at / word_bytes] |= edgekit::word_t(inputs[i]) << (8 * (at % word_bytes));
    }
$load_memories
    edgekit_accelerator($testbench_arguments);
    size_t differing = 0, compared = 0;
    for (unsigned index = 0; index < frames; index++) {
        size_t at = size_t(index) * edgekit::result_words * word_bytes;
        for (const unsigned values : output_values) {
            for (unsigned i = 0; i < values && compared < expected.size(); i++, compared++) {
                const unsigned byte = (results[(at + i) / word_bytes] >> (8 * ((at + i) % word_bytes))).to_uint() & 255;
                differing += byte != expected[compared];
            }
            at += edgekit::words_of(values, word_bytes) * word_bytes;
        }
    }
    const bool passed = compared > 0 && compared == expected.size() && differing == 0;
    std::printf("%s: %zu of %zu values differ\n", passed ? "passed" : "FAILED", differing, expected.size());
    return passed ? 0 : 1;
}
