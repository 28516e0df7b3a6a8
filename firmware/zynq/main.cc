// Runs on a Zynq board under Linux: loads the overlay, compares the accelerator's results bit by bit with the numpy reference's,
// then times it.
//
//     edgekit-zynq [--loaded] [--frames N] [--seconds S] [--root DIR] [FOLDER]
//
// FOLDER has edgekit.bit, edgekit.dtbo and tb_data (made by `make deploy`); --loaded leaves the overlay as it is. Exit code 0: no
// value differs; 1: some do; 2: it could not be run.

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

namespace edgekit {
namespace {

constexpr double seconds_max = 60;

/// Images, results and weights in one buffer, in this order, each from a page on.
class Accelerator {
  public:
    Accelerator(const std::string& root, const std::string& folder, std::size_t frames)
        : control_(root), buffer_(root), results_(pages(frames * image_bytes)), weights_(results_ + pages(frames * result_bytes)) {
        if (weights_ + weight_bytes > buffer_.size()) {
            throw Failure("the buffer of " + std::to_string(buffer_.size()) + " bytes has no room for " + std::to_string(frames) +
                          " images; ask for fewer with --frames");
        }
        control_.write_address(register_images, buffer_.address());
        control_.write_address(register_results, buffer_.address() + results_);
        for (std::size_t i = 0; i < memory_count; ++i) {
            const std::vector<std::uint8_t> content = read_file(folder + "/" + memories[i].file, file_bytes_max);
            if (content.size() != memories[i].bytes) {
                throw Failure(std::string(memories[i].file) + " has the wrong size");
            }
            std::copy(content.begin(), content.end(), buffer_.data() + weights_ + memories[i].first);
            control_.write_address(memories[i].register_offset, buffer_.address() + weights_ + memories[i].first);
        }
    }

    std::uint8_t* image(std::size_t frame) { return buffer_.data() + frame * image_bytes; }
    const std::uint8_t* result(std::size_t frame) { return buffer_.data() + results_ + frame * result_bytes; }

    void run(std::uint32_t frames) {
        buffer_.hand_to_device();
        control_.write(register_frames, frames);
        control_.start();
        control_.wait(seconds_max);
        buffer_.hand_to_processor();
    }

  private:
    static std::size_t pages(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

    Control control_;
    Buffer buffer_;
    std::size_t results_, weights_;
};

/// How many golden values differ, and how many there are.
std::pair<std::size_t, std::size_t> compare(Accelerator& accelerator, const std::vector<std::uint8_t>& inputs,
                                            const std::vector<std::uint8_t>& expected) {
    const std::size_t frames = inputs.size() / image_values;
    for (std::size_t frame = 0; frame < frames; ++frame) {
        std::copy_n(inputs.begin() + static_cast<std::ptrdiff_t>(frame * image_values), image_values, accelerator.image(frame));
    }
    accelerator.run(static_cast<std::uint32_t>(frames));
    std::size_t differing = 0, compared = 0;
    for (std::size_t frame = 0; frame < frames; ++frame) {
        const std::uint8_t* result = accelerator.result(frame);
        for (const Span& output : output_spans) {
            for (std::size_t i = 0; i < output.values; ++i, ++compared) {
                differing += compared >= expected.size() || result[i] != expected[compared];
            }
            result += output.bytes;
        }
    }
    if (compared == 0 || compared != expected.size()) {
        throw Failure("tb_data does not belong to this accelerator");
    }
    return {differing, compared};
}

int run(int argc, char** argv) {
    const Options options = parse(argc, argv, frames_max);
    const std::string& folder = options.folders.back();
    const std::vector<std::uint8_t> inputs = read_file(folder + "/tb_data/inputs.bin", file_bytes_max);
    const std::vector<std::uint8_t> expected = read_file(folder + "/tb_data/expected.bin", file_bytes_max);
    if (!options.loaded) {
        load_overlay(options.root, folder);
    }
    Accelerator accelerator(options.root, folder, std::max<std::size_t>(options.frames, inputs.size() / image_values));
    const auto [differing, values] = compare(accelerator, inputs, expected);
    std::printf("%s: %zu of %zu values differ\n", differing ? "FAILED" : "passed", differing, values);
    if (differing) {
        return 1;
    }
    const double one = median_seconds(accelerator, 1, options.seconds / 2);
    const double many = median_seconds(accelerator, options.frames, options.seconds / 2);
    std::printf("%s at %g MHz: one image %.3f ms (p50), %.1f images a second in calls of %u\n", network_name, clock_mhz, 1e3 * one,
                options.frames / many, options.frames);
    return 0;
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
