// The C simulation of the engine: runs a program on images and writes what each step left in the map memory.
//
//     simulate_engine FOLDER BEATS IMAGE_BYTES RESULT_WORDS IMAGES OUTPUTS PORT BOTH MATRIX_FIFO VECTOR_FIFO
//
// FOLDER has the program: matrix.jobs, vector.jobs, rows.bin, and watch.bin, seven int32 for each step whose rows are wanted: the beat
// after its last one, base, words of a row, rows held, first row, rows, and 1 if they are wanted before they are looked up. OUTPUTS: of each image these rows, then the results. What was counted
// goes to the standard output, by image: beats with a job of the vector and the matrix array, rows of weights of each, bytes of the image and
// of results, of jobs; beats in which the engine waited for DDR; and three numbers that are 0 if the program kept its promises.
//
// DDR: PORT and BOTH are thousandths of a byte that one port, and the memory, gives a beat, 0 for no waiting; the others are bytes. Memory
// serves one burst of 128 bytes after the other, in turn from the ports that have room for one. When an array takes what has not come, the
// whole engine waits.

#include <cstdio>
#include <algorithm>
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

// A port to memory brings words of 16 bytes. A job is read once by the arrays, and its beginning by what brings their rows.
struct memory_word {
    unsigned char byte[16];
};
static const unsigned job_bytes = 2 * nnet::engine_job_halves + nnet::engine_span_bytes;

// Of one array: bytes that have come and were not taken yet, in thousandths, and of those that are on their way.
struct port {
    long long held, coming, room;
};

struct ddr {
    static const long long burst = 128 * 1000;
    long long port_rate, rate, served;
    port ports[2];
    int turn;
    unsigned long waits, taken[2];

    // A beat's time: the memory has served `rate` more of bursts that ports have room for, and each port takes what comes to it.
    void tick() {
        served += rate;
        for (int tried = 0; tried < 2 && served >= burst;) {
            port &one = ports[turn];
            turn = 1 - turn;
            if (one.held + one.coming + burst > one.room) {
                tried++;
                continue;
            }
            tried = 0;
            served -= burst;
            one.coming += burst;
        }
        served = std::min(served, burst); // time in which no port had room is lost
        for (port &one : ports) {
            const long long now = std::min(one.coming, port_rate);
            one.coming -= now;
            one.held += now;
        }
    }

    void start(const long long a_port, const long long both, const long long matrix_room, const long long vector_room) {
        port_rate = a_port;
        rate = both;
        served = turn = 0;
        waits = taken[0] = taken[1] = 0;
        ports[0] = port{0, 0, vector_room * 1000};
        ports[1] = port{0, 0, matrix_room * 1000};
    }

    // A beat in which the arrays have moved so many bytes since the frame's start.
    void beat(const unsigned long (&moved)[2]) {
        tick();
        for (int array = 0; array < 2 && rate; array++) {
            const long long need = static_cast<long long>(moved[array] - taken[array]) * 1000;
            taken[array] = moved[array];
            long long left = need; // a burst of a job or of results may be more than a FIFO holds
            while (left > 0) {
                const long long now = std::min(left, ports[array].held);
                ports[array].held -= now;
                left -= now;
                if (left > 0) {
                    tick();
                    waits++;
                }
            }
        }
    }
};

static ddr memory_model;
static double token_bytes; // of the image, that each of its tokens stands for
static std::vector<watched> watch;
static std::size_t next_watch;
static std::ofstream outputs;

namespace nnet {

engine_counts engine_counted;

template <class memory_T> void engine_watch(unsigned beat, const memory_T &memory) {
    const engine_counts &now = engine_counted;
    unsigned long moved[2];
    for (int array = 0; array < 2; array++) {
        moved[array] = now.rows[array] * engine_size::row_bytes + now.jobs[array] * job_bytes;
    }
    moved[0] += now.results + static_cast<unsigned long>(double(now.tokens) * token_bytes);
    memory_model.beat(moved);
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

// Puts a file's bytes behind what is in memory, and gives the word at which they start.
static unsigned put(std::vector<memory_word> &memory, const std::vector<char> &bytes) {
    const std::size_t first = memory.size();
    memory.resize(first + (bytes.size() + sizeof(memory_word) - 1) / sizeof(memory_word) + 1);
    if (!bytes.empty()) {
        std::memcpy(memory[first].byte, bytes.data(), bytes.size());
    }
    return unsigned(first);
}

int main(int count, char **arguments) {
    if (count != 11) {
        std::fprintf(stderr, "simulate_engine FOLDER BEATS IMAGE_BYTES RESULT_WORDS IMAGES OUTPUTS PORT BOTH MATRIX_FIFO VECTOR_FIFO\n");
        return 2;
    }
    const std::string folder = arguments[1];
    const unsigned beats = unsigned(std::strtoul(arguments[2], nullptr, 10));
    const std::size_t image_bytes = std::strtoul(arguments[3], nullptr, 10), result_words = std::strtoul(arguments[4], nullptr, 10);
    const std::vector<char> matrix = content(folder + "/matrix.jobs"), vector = content(folder + "/vector.jobs");
    std::vector<memory_word> program;
    const unsigned matrix_first = put(program, matrix), vector_first = put(program, vector), rows_first = put(program, content(folder + "/rows.bin"));
    const std::vector<char> images = content(arguments[5]);
    watch = values<watched>(folder + "/watch.bin");
    outputs.open(arguments[6], std::ios::binary);
    std::vector<word_t> results(result_words);
    const unsigned matrix_count = unsigned(matrix.size()) / nnet::engine_job_halves / 2;
    const unsigned vector_count = unsigned(vector.size()) / nnet::engine_job_halves / 2;
    for (std::size_t first = 0; first + image_bytes <= images.size(); first += image_bytes) {
        nnet::engine_counted = nnet::engine_counts();
        next_watch = 0;
        memory_model.start(std::atoll(arguments[7]), std::atoll(arguments[8]), std::atoll(arguments[9]), std::atoll(arguments[10]));
        hls::stream<row_t> matrix_rows("matrix_rows"), vector_rows("vector_rows");
        hls::stream<token_t> image("image"), given("given");
        hls::stream<nnet::engine_part> matrix_parts("matrix_parts"), vector_parts("vector_parts");
        hls::stream<nnet::engine_fill> matrix_fills("matrix_fills"), vector_fills("vector_fills");
        hls::stream<nnet::engine_lines> loads("loads");
        hls::stream<nnet::engine_stored> stores("stores");
        const unsigned char *pixels = reinterpret_cast<const unsigned char *>(images.data()) + first;
        nnet::read_matrix_jobs<engine_size>(program.data() + matrix_first, matrix_count, matrix_parts, matrix_fills);
        nnet::read_vector_jobs<engine_size>(program.data() + vector_first, vector_count, vector_parts, vector_fills, loads, stores);
        nnet::read_engine_rows<engine_size>(program.data(), matrix_first, matrix_count, rows_first, matrix_rows);
        nnet::read_engine_rows<engine_size>(program.data(), vector_first, vector_count, rows_first, vector_rows);
        nnet::read_engine_image<engine_size>(loads, vector_count, pixels, image);
        token_bytes = image.size() ? double(nnet::engine_counted.image) / double(image.size()) : 0;
        nnet::run_engine<engine_size>(beats, matrix_count, vector_count, matrix_parts, matrix_fills, matrix_rows, vector_parts, vector_fills,
                                      vector_rows, image, given);
        nnet::write_engine_results<engine_size>(stores, vector_count, given, results.data());
        outputs.write(reinterpret_cast<const char *>(results.data()), std::streamsize(results.size() * sizeof(word_t)));
        const nnet::engine_counts &found = nnet::engine_counted;
        std::printf("%lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu\n", found.busy[0], found.busy[1], found.rows[0], found.rows[1], found.image,
                    found.results, (found.jobs[0] + found.jobs[1]) * job_bytes, memory_model.waits, found.bank_twice, found.late, found.no_weights + matrix_rows.size() + vector_rows.size() + image.size() + given.size());
    }
    return outputs.good() ? 0 : 2;
}
