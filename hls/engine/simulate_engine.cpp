// The C simulation of the engine: runs a program on images and writes what each step left in the map memory.
//
//     simulate_engine FOLDER BEATS IMAGE_BYTES RESULT_WORDS IMAGES OUTPUTS
//
// FOLDER has the program: matrix.jobs, vector.jobs, rows.bin, and watch.bin, seven int32 for each step whose rows are wanted: the beat
// after its last one, base, words of a row, rows held, first row, rows, and 1 if they are wanted before they are looked up. OUTPUTS: of each image these rows, then the results. What was counted
// goes to the standard output, by image: beats with a job of the vector and the matrix array, rows of weights of each, bytes of the image and
// of results; and three numbers that are 0 if the program kept its promises.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "edgekit_engine.h"
#include "edgekit_engine_size.h"

typedef nnet::engine_word<engine_size> word_t;
typedef nnet::engine_row<engine_size> row_t;
typedef nnet::engine_token<engine_size> token_t;

struct watched {
    int end, base, row_words, ring, first, rows, passed;
};

static std::vector<watched> watch;
static std::size_t next_watch;
static std::ofstream outputs;

namespace nnet {

engine_counts engine_counted;

template <class memory_T> void engine_watch(unsigned beat, const memory_T &memory) {
    for (; next_watch < watch.size() && unsigned(watch[next_watch].end) == beat + 1; next_watch++) {
        const watched &one = watch[next_watch];
        for (int row = one.first; row < one.first + one.rows; row++) {
            for (int word = 0; word < one.row_words; word++) {
                const unsigned address = unsigned(one.base + row % one.ring * one.row_words + word);
                const unsigned inside = address % engine_size::bank_words;
                const word_t &lies = memory.bank[address / engine_size::bank_words][inside % engine_size::words][inside / engine_size::words];
                const word_t &found = one.passed ? memory.passed[address] : lies;
                outputs.write(reinterpret_cast<const char *>(found.byte), sizeof found.byte);
            }
        }
    }
}

} // namespace nnet

static std::vector<char> content(const std::string &name) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
        std::fprintf(stderr, "cannot read %s\n", name.c_str());
        std::exit(2);
    }
    return std::vector<char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

template <class value_T> static std::vector<value_T> values(const std::string &name) {
    const std::vector<char> bytes = content(name);
    std::vector<value_T> found(bytes.size() / sizeof(value_T));
    if (!found.empty()) {
        std::memcpy(found.data(), bytes.data(), found.size() * sizeof(value_T));
    }
    return found;
}

int main(int count, char **arguments) {
    if (count != 7) {
        std::fprintf(stderr, "simulate_engine FOLDER BEATS IMAGE_BYTES RESULT_WORDS IMAGES OUTPUTS\n");
        return 2;
    }
    const std::string folder = arguments[1];
    const unsigned beats = unsigned(std::strtoul(arguments[2], nullptr, 10));
    const std::size_t image_bytes = std::strtoul(arguments[3], nullptr, 10), result_words = std::strtoul(arguments[4], nullptr, 10);
    const std::vector<short> matrix = values<short>(folder + "/matrix.jobs"), vector = values<short>(folder + "/vector.jobs");
    const std::vector<row_t> rows = values<row_t>(folder + "/rows.bin");
    const std::vector<char> images = content(arguments[5]);
    watch = values<watched>(folder + "/watch.bin");
    outputs.open(arguments[6], std::ios::binary);
    std::vector<word_t> results(result_words);
    const unsigned matrix_count = unsigned(matrix.size()) / nnet::engine_job_halves, vector_count = unsigned(vector.size()) / nnet::engine_job_halves;
    for (std::size_t first = 0; first + image_bytes <= images.size(); first += image_bytes) {
        nnet::engine_counted = nnet::engine_counts();
        next_watch = 0;
        hls::stream<row_t> matrix_rows("matrix_rows"), vector_rows("vector_rows");
        hls::stream<token_t> image("image");
        nnet::read_engine_rows<engine_size>(matrix.data(), matrix_count, rows.data(), matrix_rows);
        nnet::read_engine_rows<engine_size>(vector.data(), vector_count, rows.data(), vector_rows);
        nnet::read_engine_image<engine_size>(vector.data(), vector_count, reinterpret_cast<const unsigned char *>(images.data()) + first, image);
        nnet::run_engine<engine_size>(beats, matrix.data(), matrix_count, vector.data(), vector_count, matrix_rows, vector_rows, image, results.data());
        outputs.write(reinterpret_cast<const char *>(results.data()), std::streamsize(results.size() * sizeof(word_t)));
        const nnet::engine_counts &found = nnet::engine_counted;
        std::printf("%lu %lu %lu %lu %lu %lu %lu %lu %lu\n", found.busy[0], found.busy[1], found.rows[0], found.rows[1], found.image, found.results,
                    found.bank_twice, found.late, found.no_weights + matrix_rows.size() + vector_rows.size() + image.size());
    }
    return outputs.good() ? 0 : 2;
}
