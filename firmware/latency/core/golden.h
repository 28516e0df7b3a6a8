// Golden vectors: inputs and the outputs that must come of them.
//
//   DIR/input.bin     vector after vector; of each, the model's inputs in order, raw, row-major, little-endian
//   DIR/output.bin    the same for its outputs
//
// There is no header: the model says how long a vector is, and the file's length how many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime.h"

namespace edgekit {

class GoldenVectors {
  public:
    /// Raises Failure where the files cannot be read, hold no vector, part of one, or not equally many.
    GoldenVectors(const std::string& folder, const std::vector<TensorType>& inputs, const std::vector<TensorType>& outputs);

    std::size_t count() const { return count_; }
    /// All inputs (outputs) of one vector, one tensor after the other. Valid until the next call. Raises Failure.
    const std::vector<std::uint8_t>& input(std::size_t vector) { return inputs_.read(vector); }
    const std::vector<std::uint8_t>& output(std::size_t vector) { return outputs_.read(vector); }

  private:
    /// Read a vector at a time: what is held in memory does not grow with their number, and peak memory stays the runtime's.
    struct File {
        File(const std::string& path, const std::vector<TensorType>& tensors);
        const std::vector<std::uint8_t>& read(std::size_t vector);

        std::string path;
        std::vector<std::uint8_t> buffer;
        std::ifstream stream;
        std::size_t count = 0;
    };

    File inputs_, outputs_;
    std::size_t count_;
};

/// Where the first differing value is, and what it is.
struct Difference {
    std::size_t vector, output, index;
    double expected, got;
};

/// How outputs compare with the golden ones. A distance counts steps of an integer; of a float it is relative to the largest
/// expected value of that output and vector, or to 1 if that is larger. Two floats differ if their bits do.
struct Comparison {
    std::size_t vectors = 0, values = 0, differing = 0;
    double largest_distance = 0;
    std::optional<Difference> first;

    bool accepted(double tolerance) const { return differing == 0 || (tolerance > 0 && largest_distance <= tolerance); }
    /// `expected` and `got`: all outputs of one vector.
    void add(std::size_t vector, const std::vector<TensorType>& outputs, const std::vector<std::uint8_t>& expected,
             const std::vector<std::uint8_t>& got);
};

}  // namespace edgekit
