// The accelerator of $name on the $board, for the application. Sizes in bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgekit {

/// An output: its values, and the bytes of the whole words that they take.
struct Span {
    std::size_t values, bytes;
};

constexpr char network_name[] = "$name";
constexpr double clock_mhz = $clock_mhz;
constexpr std::size_t image_values = $input_values, image_bytes = $image_bytes, result_bytes = $result_bytes;
constexpr Span output_spans[] = {$output_spans};
constexpr std::uint32_t frames_max = $frames_max;
constexpr std::size_t register_images = $register_images, register_results = $register_results, register_frames = $register_frames;

/// The weights of one layer: where they begin in the block of all weights, and the register that is told their address.
struct Memory {
    const char* file;
    std::size_t first, bytes, register_offset;
};

constexpr std::size_t memory_count = $memory_count, weight_bytes = $weight_bytes;
constexpr Memory memories[memory_count + 1] = {$memories};

}  // namespace edgekit
