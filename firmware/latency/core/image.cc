// From a decoded image to the bytes of a model's input.
#include "core/image.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <numeric>

#include "core/errors.h"
#include "core/files.h"

namespace edgekit {
namespace {

using Pixels = std::vector<std::uint8_t>;

constexpr std::uint64_t pixels_max = 1u << 28, header_max = 1u << 16;
constexpr int red = 299, green = 587, blue = 114, whole = 1000;  // ITU-R BT.601, in thousandths

/// Which pixels are in one of the result, and how much of each: whole numbers.
struct Taps {
    std::size_t first;
    std::vector<std::int64_t> weights;
    std::int64_t total;
};

/// weight[i, j] = max(0, 2 max(size, count) - |(2j + 1) count - (2i + 1) size|), of pixel j of `size` in pixel i of `count`.
std::vector<Taps> triangle(std::int64_t size, std::int64_t count) {
    const std::int64_t widest = 2 * std::max(size, count);
    std::vector<Taps> result;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t middle = (2 * i + 1) * size, before = middle - widest - count;
        const std::int64_t first = before < 0 ? 0 : before / (2 * count) + 1;
        Taps taps{static_cast<std::size_t>(first), {}, 0};
        for (std::int64_t j = first; j < size; ++j) {
            const std::int64_t weight = widest - std::abs((2 * j + 1) * count - middle);
            if (weight <= 0) {
                break;
            }
            taps.weights.push_back(weight);
            taps.total += weight;
        }
        result.push_back(std::move(taps));
    }
    return result;
}

/// The middle axis of (outer, size, inner) in `count`: weighted means, rounded half up once.
Pixels resize_axis(const Pixels& pixels, std::size_t outer, std::size_t size, std::size_t inner, std::size_t count) {
    if (size == count) {
        return pixels;
    }
    const auto all = triangle(static_cast<std::int64_t>(size), static_cast<std::int64_t>(count));
    Pixels result(outer * count * inner);
    std::vector<std::int64_t> sums(inner);
    auto out = result.begin();
    for (std::size_t block = 0; block < outer; ++block) {
        for (const auto& taps : all) {
            std::fill(sums.begin(), sums.end(), 0);
            const auto* line = pixels.data() + (block * size + taps.first) * inner;
            for (const auto weight : taps.weights) {
                for (std::size_t k = 0; k < inner; ++k) {
                    sums[k] += weight * line[k];
                }
                line += inner;
            }
            out = std::transform(sums.begin(), sums.end(), out,
                                 [&](std::int64_t sum) { return static_cast<std::uint8_t>((2 * sum + taps.total) / (2 * taps.total)); });
        }
    }
    return result;
}

Image centre(const Image& image, std::size_t rows, std::size_t columns) {
    const auto tall = std::max<std::size_t>(1, std::min(image.rows, image.columns * rows / columns));
    const auto wide = std::max<std::size_t>(1, std::min(image.columns, image.rows * columns / rows));
    const auto top = (image.rows - tall) / 2, left = (image.columns - wide) / 2;
    Image result{tall, wide, image.channels, {}};
    for (std::size_t row = top; row < top + tall; ++row) {
        const auto* start = image.pixels.data() + (row * image.columns + left) * image.channels;
        result.pixels.insert(result.pixels.end(), start, start + wide * image.channels);
    }
    return result;
}

Image grey(const Image& image) {
    Image result{image.rows, image.columns, 1, {}};
    for (std::size_t at = 0; at < image.pixels.size(); at += 3) {
        const auto* pixel = image.pixels.data() + at;
        result.pixels.push_back(static_cast<std::uint8_t>((red * pixel[0] + green * pixel[1] + blue * pixel[2] + whole / 2) / whole));
    }
    return result;
}

/// The next number of a header; `at` is left behind it. Blanks and comments, from # to the end of the line, stand between numbers.
std::uint64_t header_number(const Pixels& content, std::size_t& at, const std::string& path) {
    const auto is_blank = [](std::uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); };
    const auto is_digit = [](std::uint8_t byte) { return byte >= '0' && byte <= '9'; };
    while (at < content.size() && (is_blank(content[at]) || content[at] == '#')) {
        if (content[at] == '#') {
            while (at < content.size() && content[at] != '\n') {
                ++at;
            }
        } else {
            ++at;
        }
    }
    std::uint64_t number = 0;
    const auto start = at;
    for (; at < content.size() && is_digit(content[at]) && number <= pixels_max; ++at) {
        number = number * 10 + (content[at] - '0');
    }
    if (at == start || at >= content.size() || number > pixels_max) {
        throw Failure(path + " is damaged, or no PPM image");
    }
    return number;
}

}  // namespace

Image read_ppm(const std::string& path) {
    const auto content = read_file(path, pixels_max + header_max);
    if (content.size() < 2 || content[0] != 'P' || (content[1] != '5' && content[1] != '6')) {
        throw Failure(path + " is no binary PPM (P6) or PGM (P5) image");
    }
    std::size_t at = 2;
    const auto columns = header_number(content, at, path), rows = header_number(content, at, path);
    const auto highest = header_number(content, at, path);
    const std::uint64_t channels = content[1] == '6' ? 3 : 1;
    if (highest != 255) {
        throw Failure(path + ": its highest value is " + std::to_string(highest) + ", only 255 is read");
    }
    ++at;  // one blank ends the header
    const auto values = rows * columns * channels;
    if (values == 0 || columns > pixels_max / rows / channels || values > content.size() - at) {
        throw Failure(path + " is damaged: it has " + std::to_string(content.size() - at) + " bytes for " + std::to_string(rows) + " x " +
                      std::to_string(columns) + " pixels");
    }
    const auto start = content.begin() + static_cast<std::ptrdiff_t>(at);
    return {static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), static_cast<std::size_t>(channels),
            Pixels(start, start + static_cast<std::ptrdiff_t>(values))};
}

Image fit(const Image& image, const std::vector<std::size_t>& shape) {
    const bool is_map = shape.size() == 3;
    const auto rows = is_map ? shape[0] : 1, channels = is_map ? shape[2] : 1;
    const auto columns = is_map ? shape[1] : std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
    auto part = is_map ? centre(image, rows, columns) : image;
    if (part.channels == 3 && channels != 3) {
        part = grey(part);
    }
    auto pixels = resize_axis(part.pixels, 1, part.rows, part.columns * part.channels, rows);
    pixels = resize_axis(pixels, rows, part.columns, part.channels, columns);
    if (part.channels == channels) {
        return {rows, columns, channels, std::move(pixels)};
    }
    Image result{rows, columns, channels, {}};
    for (const auto pixel : pixels) {  // a grey image, in every channel
        result.pixels.insert(result.pixels.end(), channels, pixel);
    }
    return result;
}

std::vector<std::uint8_t> look_up(const Image& image, const std::vector<std::uint8_t>& table, std::size_t value_bytes) {
    if (table.size() != image.channels * pixel_values * value_bytes) {
        throw Failure("the input table has " + std::to_string(table.size()) + " bytes; " + std::to_string(image.channels) +
                      " channels of this model need " + std::to_string(image.channels * pixel_values * value_bytes));
    }
    std::vector<std::uint8_t> values;
    values.reserve(image.pixels.size() * value_bytes);
    for (std::size_t at = 0; at < image.pixels.size(); ++at) {
        const auto* value = table.data() + (at % image.channels * pixel_values + image.pixels[at]) * value_bytes;
        values.insert(values.end(), value, value + value_bytes);
    }
    return values;
}

}  // namespace edgekit
