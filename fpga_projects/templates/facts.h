// The accelerator of $name on the $board, for the application. Sizes in bytes.
#ifndef EDGEKIT_FACTS_H_
#define EDGEKIT_FACTS_H_

#include <cstddef>
#include <cstdint>

namespace edgekit {

struct Span {
    std::size_t values, bytes; // an output's values, and the whole words that they take
};

constexpr char network_name[] = "$name";
constexpr double clock_mhz = $clock_mhz;
constexpr std::size_t image_values = $input_values, image_bytes = $image_bytes, result_bytes = $result_bytes;
constexpr Span output_spans[] = {$output_spans};
constexpr std::uint32_t frames_max = $frames_max;
constexpr std::size_t register_images = $register_images, register_results = $register_results, register_frames = $register_frames;

struct Memory {
    const char *file; // the weights of one layer
    std::size_t first, bytes, register_offset;
};

constexpr std::size_t memory_count = $memory_count, weight_bytes = $weight_bytes;
constexpr Memory memories[memory_count + 1] = {$memories};

} // namespace edgekit

#endif
