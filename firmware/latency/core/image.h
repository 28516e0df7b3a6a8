// From a decoded image to the bytes of a model's input, in integers alone: the rule of docs/numerics.md, "Preprocessing".
// src/edgekit/images/pixels.py has it in Python; a test compares the two, and run.py on the device, byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace edgekit {

constexpr std::size_t pixel_values = 256;

/// Row-major, `channels` bytes a pixel.
struct Image {
    std::size_t rows, columns, channels;
    std::vector<std::uint8_t> pixels;
};

/// A binary PPM (P6) or PGM (P5) of 8 bits. Raises Failure.
Image read_ppm(const std::string& path);

/// The image in the size and number of channels of an input. `shape` is without batch: a map of rows, columns and channels is given the
/// middle of the image in its aspect; any other shape counts as one row of grey pixels, of the whole image.
Image fit(const Image& image, const std::vector<std::size_t>& shape);

/// Of each pixel the value that `table` has for it: for each channel 256 values of `value_bytes` bytes. Raises Failure where the table
/// has another size.
std::vector<std::uint8_t> look_up(const Image& image, const std::vector<std::uint8_t>& table, std::size_t value_bytes);

}  // namespace edgekit
