// A run from beginning to end: load, prove the numbers, measure, prove them again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/golden.h"
#include "core/options.h"
#include "core/port.h"
#include "core/runtime.h"
#include "core/statistics.h"

namespace edgekit {

/// What is known only after the numbers were found right.
struct Timing {
    std::int64_t load_nanoseconds, first_run_nanoseconds;
    std::vector<std::int64_t> runs_nanoseconds;
    BoardState before, after;
    std::vector<std::string> warnings;
};

/// What the model made of an image: the CRC32 of its input and of all outputs, and the best classes of the first, the best one first.
struct Classified {
    std::uint32_t input_crc32, outputs_crc32;
    std::vector<int> classes;
};

/// `problem` says what is wrong with the model or its outputs; then there is no timing.
struct Result {
    Machine machine;
    FileFacts library{}, model{};
    Comparison golden;
    std::uint32_t inputs_crc32 = 0, outputs_crc32 = 0, expected_crc32 = 0;
    std::optional<std::uint64_t> peak_memory_bytes;
    std::optional<Classified> image;
    std::optional<Timing> timing;
    std::string problem;
};

/// Raises Failure.
Result run(const Options& options, const Load& load, Port& port);

}  // namespace edgekit
