// Runs tb_data/inputs.bin on the engine by network.program, and compares its outputs with tb_data/expected.bin, which the numpy reference
// computed; then asks it to run a program of another engine. Returns 1 if any value differs. Used by `make csim`, and by Vitis HLS.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <vector>

#include "accelerator.h"
#include "application/program.h"

typedef nnet::engine_word<engine_size> word_t;

static std::vector<unsigned char> read_file(const char *path) {
    std::ifstream file(path, std::ios::binary);
    return std::vector<unsigned char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Bytes as the words that a port to memory reads, the last one filled up.
static std::vector<edgekit::memory_word> as_words(const std::vector<unsigned char> &bytes) {
    std::vector<edgekit::memory_word> words(bytes.size() / edgekit::word_bytes + 2);
    for (size_t i = 0; i < bytes.size(); i++) {
        words[i / edgekit::word_bytes].byte[i % edgekit::word_bytes] = bytes[i];
    }
    return words;
}

static int compare() {
    const std::vector<unsigned char> file = read_file("network.program"), inputs = read_file("tb_data/inputs.bin");
    const std::vector<unsigned char> expected = read_file("tb_data/expected.bin");
    const edgekit::Program program = edgekit::read_program(file.data(), file.size(), edgekit::engine_identity);
    const std::vector<edgekit::memory_word> memory = as_words(file);
    const edgekit::memory_word *matrix = memory.data() + program.matrix_at / edgekit::word_bytes;
    const edgekit::memory_word *vector = memory.data() + program.vector_at / edgekit::word_bytes;
    const unsigned frames = unsigned(inputs.size() / program.image_bytes);
    std::vector<word_t> results(size_t(frames) * program.result_words);
    const auto run = [&](unsigned engine) {
        return edgekit_accelerator(matrix, memory.data(), vector, memory.data(), inputs.data(), results.data(), engine, program.beats,
                                   program.matrix_jobs, program.vector_jobs, program.matrix_at, program.vector_at, program.rows_at,
                                   program.image_bytes, program.result_words, frames);
    };
    if (run(program.engine + 1) != edgekit::engine_is_another || run(program.engine) != edgekit::engine_ran) {
        std::printf("FAILED: the engine does not tell its own programs from others\n");
        return 1;
    }
    std::vector<unsigned char> computed;
    for (unsigned index = 0; index < frames; index++) {
        const unsigned char *result = reinterpret_cast<const unsigned char *>(results.data() + size_t(index) * program.result_words);
        for (const edgekit::Output &output : program.outputs) {
            edgekit::append_values(output, result, computed);
        }
    }
    size_t differing = computed.size() == expected.size() ? 0 : expected.size();
    for (size_t i = 0; i < computed.size() && i < expected.size(); i++) {
        differing += computed[i] != expected[i];
    }
    const bool passed = !computed.empty() && differing == 0;
    std::printf("%s: %zu of %zu values differ\n", passed ? "passed" : "FAILED", differing, expected.size());
#ifdef EDGEKIT_NATIVE
    const nnet::engine_counts &found = nnet::engine_counted;
    if (found.bank_twice || found.late || found.no_weights) {
        std::printf("FAILED: the program breaks what the engine relies on: %lu %lu %lu\n", found.bank_twice, found.late, found.no_weights);
        return 1;
    }
#endif
    return passed ? 0 : 1;
}

int main() {
    try {
        return compare();
    } catch (const std::exception &error) {
        std::printf("FAILED: %s\n", error.what());
        return 1;
    }
}
