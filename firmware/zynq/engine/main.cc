// Runs networks on an engine, on a Zynq board under Linux: loads the overlay once, then of each network the program, compares its results
// bit by bit with the numpy reference's, and times it.
//
//     edgekit-zynq [--loaded] [--frames N] [--seconds S] [--root DIR] [FOLDER...]
//
// Each FOLDER has network.program and tb_data; the first one, by default ".", has edgekit.bit and edgekit.dtbo, too (made by `make
// deploy`).
// --loaded leaves the overlay as it is. Exit code 0: no value differs; 1: some do; 2: it could not be run.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "board.h"
#include "command.h"
#include "core/errors.h"
#include "core/files.h"
#include "facts.h"
#include "program.h"

namespace edgekit {
namespace {

constexpr double seconds_max = 60;

/// Program, images and results of one network in one buffer, in this order, each from a page on.
class Engine {
  public:
    explicit Engine(const std::string& root) : control_(root), buffer_(root) {}

    /// Puts a program into memory, in the place of the one before; the bitstream stays. There is room for `frames` images, and for as many
    /// as are in `input_bytes`.
    void load(const std::string& path, std::size_t frames, std::size_t input_bytes) {
        const std::vector<std::uint8_t> file = read_file(path, file_bytes_max);
        try {
            program_ = read_program(file.data(), file.size(), engine_identity);
        } catch (const ProgramError& error) {
            throw Failure(path + ": " + error.what());
        }
        frames = std::max(frames, input_bytes / program_.image_bytes);
        images_ = pages(file.size());
        results_ = images_ + pages(frames * program_.image_bytes + page);
        if (results_ + frames * program_.result_bytes() > buffer_.size()) {
            throw Failure("the buffer of " + std::to_string(buffer_.size()) + " bytes has no room for " + program_.network + " and " +
                          std::to_string(frames) + " images; ask for fewer with --frames, or make it larger in overlay.dts");
        }
        std::copy(file.begin(), file.end(), buffer_.data());
        control_.write_address(register_matrix_jobs, buffer_.address() + program_.matrix_at);
        control_.write_address(register_vector_jobs, buffer_.address() + program_.vector_at);
        control_.write_address(register_matrix_program, buffer_.address());
        control_.write_address(register_vector_program, buffer_.address());
        control_.write_address(register_images, buffer_.address() + images_);
        control_.write_address(register_results, buffer_.address() + results_);
        control_.write(register_engine, program_.engine);
        control_.write(register_beats, program_.beats);
        control_.write(register_matrix_count, program_.matrix_jobs);
        control_.write(register_vector_count, program_.vector_jobs);
        control_.write(register_matrix_at, program_.matrix_at);
        control_.write(register_vector_at, program_.vector_at);
        control_.write(register_rows_at, program_.rows_at);
        control_.write(register_image_bytes, program_.image_bytes);
        control_.write(register_result_words, program_.result_words);
    }

    const Program& program() const { return program_; }
    std::uint8_t* image(std::size_t frame) { return buffer_.data() + images_ + frame * program_.image_bytes; }
    const std::uint8_t* result(std::size_t frame) { return buffer_.data() + results_ + frame * program_.result_bytes(); }

    void run(std::uint32_t frames) {
        buffer_.hand_to_device();
        control_.write(register_frames, frames);
        control_.start();
        control_.wait(seconds_max);
        if (control_.read(register_result) != 0) {
            throw Failure("the bitstream is of another engine than this program; load the one of this project");
        }
        buffer_.hand_to_processor();
    }

  private:
    static constexpr std::size_t page = 4096;
    static std::size_t pages(std::size_t bytes) { return (bytes + page - 1) / page * page; }

    Control control_;
    Buffer buffer_;
    Program program_;
    std::size_t images_ = 0, results_ = 0;
};

/// How many golden values differ, and how many there are.
std::pair<std::size_t, std::size_t> compare(Engine& engine, const std::vector<std::uint8_t>& inputs,
                                            const std::vector<std::uint8_t>& expected) {
    const std::size_t frames = inputs.size() / engine.program().image_bytes;
    std::copy_n(inputs.begin(), static_cast<std::ptrdiff_t>(frames * engine.program().image_bytes), engine.image(0));
    engine.run(static_cast<std::uint32_t>(frames));
    std::vector<std::uint8_t> computed;
    for (std::size_t frame = 0; frame < frames; ++frame) {
        for (const Output& output : engine.program().outputs) {
            append_values(output, engine.result(frame), computed);
        }
    }
    if (computed.empty() || computed.size() != expected.size()) {
        throw Failure("tb_data does not belong to this program");
    }
    std::size_t differing = 0;
    for (std::size_t i = 0; i < computed.size(); ++i) {
        differing += computed[i] != expected[i];
    }
    return {differing, computed.size()};
}

/// Whether no golden value of the network in a folder differs; then it was timed, too.
bool check_and_time(Engine& engine, const std::string& folder, const Options& options) {
    const std::vector<std::uint8_t> inputs = read_file(folder + "/tb_data/inputs.bin", file_bytes_max);
    const std::vector<std::uint8_t> expected = read_file(folder + "/tb_data/expected.bin", file_bytes_max);
    engine.load(folder + "/network.program", options.frames, inputs.size());
    const auto [differing, values] = compare(engine, inputs, expected);
    const std::string& network = engine.program().network;
    std::printf("%s %s: %zu of %zu values differ\n", network.c_str(), differing ? "FAILED" : "passed", differing, values);
    if (differing) {
        return false;
    }
    const double one = median_seconds(engine, 1, options.seconds / 2);
    const double many = median_seconds(engine, options.frames, options.seconds / 2);
    std::printf("%s at %g MHz: one image %.3f ms (p50), %.1f images a second in calls of %u\n", network.c_str(), clock_mhz, 1e3 * one,
                options.frames / many, options.frames);
    return true;
}

int run(int argc, char** argv) {
    const Options options = parse(argc, argv, frames_max);
    if (!options.loaded) {
        load_overlay(options.root, options.folders[0]);
    }
    Engine engine(options.root);
    bool passed = true;
    for (const std::string& folder : options.folders) {
        passed = check_and_time(engine, folder, options) && passed;
    }
    return passed ? 0 : 1;
}

}  // namespace
}  // namespace edgekit

int main(int argc, char** argv) {
    try {
        return edgekit::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "edgekit-zynq: %s\n", error.what());
        return 2;
    }
}
