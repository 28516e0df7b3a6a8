// What the processes in front of the engine's beat loop give it for one image, by the C simulation: a file of tokens for each stream.
//
//     engine_tokens FOLDER      reads matrix.jobs, vector.jobs, rows.bin and images.bin there; writes 0.tokens .. 6.tokens

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "edgekit_engine.h"
#include "edgekit_engine_size.h"

namespace nnet {
engine_counts engine_counted;
template <class memory_T> void engine_watch(unsigned, const memory_T &) {}
} // namespace nnet

typedef nnet::engine_row<engine_size> row_t;
typedef nnet::engine_token<engine_size> token_t;

struct memory_word {
    unsigned char byte[16];
};
static std::string folder;

static std::vector<char> content(const char *name) {
    std::ifstream file(folder + "/" + name, std::ios::binary);
    return std::vector<char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

static unsigned put(std::vector<memory_word> &memory, const std::vector<char> &bytes) {
    const std::size_t first = memory.size();
    memory.resize(first + bytes.size() / sizeof(memory_word) + 2);
    std::memcpy(memory[first].byte, bytes.data(), bytes.size());
    return unsigned(first);
}

static void add(std::ofstream &file, const nnet::engine_fill &fill) {
    const int numbers[] = {fill.streams, fill.groups, fill.rows, fill.last_rows, fill.table, fill.passes};
    file.write(reinterpret_cast<const char *>(numbers), sizeof numbers);
}

template <class T> static void add(std::ofstream &file, const T &token) {
    file.write(reinterpret_cast<const char *>(&token), sizeof token);
}

template <class T> static void write(const int number, const hls::stream<T> &stream) {
    std::ofstream file(folder + "/" + std::to_string(number) + ".tokens", std::ios::binary);
    for (std::size_t place = 0; place < stream.size(); place++) {
        add(file, stream.waiting()[place]);
    }
}

int main(int, char **arguments) {
    folder = arguments[1];
    const std::vector<char> matrix = content("matrix.jobs"), vector = content("vector.jobs"), image = content("images.bin");
    std::vector<memory_word> program;
    const unsigned matrix_first = put(program, matrix), vector_first = put(program, vector), rows_first = put(program, content("rows.bin"));
    const unsigned job_bytes = 2 * nnet::engine_job_halves;
    const unsigned matrix_count = unsigned(matrix.size()) / job_bytes, vector_count = unsigned(vector.size()) / job_bytes;
    hls::stream<nnet::engine_part> matrix_parts, vector_parts;
    hls::stream<nnet::engine_fill> matrix_fills, vector_fills;
    hls::stream<row_t> matrix_rows, vector_rows;
    hls::stream<token_t> pixels;
    hls::stream<nnet::engine_lines> loads;
    hls::stream<nnet::engine_stored> stores;
    nnet::read_matrix_jobs<engine_size>(program.data() + matrix_first, matrix_count, matrix_parts, matrix_fills);
    nnet::read_vector_jobs<engine_size>(program.data() + vector_first, vector_count, vector_parts, vector_fills, loads, stores);
    nnet::read_engine_rows<engine_size>(program.data(), matrix_first, matrix_count, rows_first, matrix_rows);
    nnet::read_engine_rows<engine_size>(program.data(), vector_first, vector_count, rows_first, vector_rows);
    nnet::read_engine_image<engine_size>(loads, vector_count, reinterpret_cast<const unsigned char *>(image.data()), pixels);
    write(0, matrix_parts);
    write(1, matrix_fills);
    write(2, matrix_rows);
    write(3, vector_parts);
    write(4, vector_fills);
    write(5, vector_rows);
    write(6, pixels);
    return 0;
}
