// Golden vectors: reading them, and comparing outputs with them.
#include "core/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/elements.h"
#include "core/errors.h"
#include "core/files.h"

namespace edgekit {
namespace {

std::size_t total_bytes(const std::vector<TensorType>& tensors) {
    std::size_t total = 0;
    for (const auto& tensor : tensors) {
        total += tensor.bytes();
    }
    return total;
}

/// The largest absolute value, at least 1.
template <typename Value>
double largest_value(const std::uint8_t* data, std::size_t elements) {
    double largest = 1;
    for (std::size_t index = 0; index < elements; ++index) {
        const double size = std::fabs(static_cast<double>(value_at<Value>(data, index)));
        largest = size > largest ? size : largest;
    }
    return largest;
}

template <typename Value>
void compare(Comparison& total, std::size_t vector, std::size_t output, std::size_t elements, const std::uint8_t* expected,
             const std::uint8_t* got) {
    total.values += elements;
    if (std::memcmp(expected, got, elements * sizeof(Value)) == 0) {
        return;
    }
    const double unit = std::is_floating_point_v<Value> ? largest_value<Value>(expected, elements) : 1;
    for (std::size_t index = 0; index < elements; ++index) {
        if (std::memcmp(expected + index * sizeof(Value), got + index * sizeof(Value), sizeof(Value)) == 0) {
            continue;
        }
        const auto wanted = static_cast<double>(value_at<Value>(expected, index)), found = static_cast<double>(value_at<Value>(got, index));
        const double distance = std::fabs(wanted - found) / unit;
        ++total.differing;
        total.largest_distance =
            std::isnan(distance) ? std::numeric_limits<double>::infinity() : std::max(total.largest_distance, distance);
        if (!total.first) {
            total.first = Difference{vector, output, index, wanted, found};
        }
    }
}

}  // namespace

GoldenVectors::File::File(const std::string& file, const std::vector<TensorType>& tensors) : path(file), buffer(total_bytes(tensors)) {
    const auto size = plain_file_size(path);
    if (buffer.empty() || size == 0 || size % buffer.size() != 0) {
        throw Failure(path + " has " + std::to_string(size) + " bytes; a vector of this model has " + std::to_string(buffer.size()) +
                      ", and a whole number of them, at least one, is needed");
    }
    count = static_cast<std::size_t>(size / buffer.size());
    stream.open(path, std::ios::binary);
    if (!stream) {
        throw Failure("cannot read " + path);
    }
}

const std::vector<std::uint8_t>& GoldenVectors::File::read(std::size_t vector) {
    stream.seekg(static_cast<std::streamoff>(static_cast<std::uint64_t>(vector) * buffer.size()));
    stream.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(buffer.size()));
    if (!stream) {
        throw Failure("cannot read vector " + std::to_string(vector) + " of " + path);
    }
    return buffer;
}

GoldenVectors::GoldenVectors(const std::string& folder, const std::vector<TensorType>& inputs, const std::vector<TensorType>& outputs)
    : inputs_(folder + "/input.bin", inputs), outputs_(folder + "/output.bin", outputs), count_(inputs_.count) {
    if (inputs_.count != outputs_.count) {
        throw Failure(folder + " has " + std::to_string(inputs_.count) + " inputs and " + std::to_string(outputs_.count) +
                      " outputs of this model");
    }
}

void Comparison::add(std::size_t vector, const std::vector<TensorType>& outputs, const std::vector<std::uint8_t>& expected,
                     const std::vector<std::uint8_t>& got) {
    ++vectors;
    std::size_t start = 0;
    for (std::size_t output = 0; output < outputs.size(); ++output) {
        const auto& type = outputs[output];
        const auto with = [&](auto value) {
            compare<decltype(value)>(*this, vector, output, type.elements, expected.data() + start, got.data() + start);
        };
        with_element(type.element, with);
        start += type.bytes();
    }
}

}  // namespace edgekit
