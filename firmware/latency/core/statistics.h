// What a list of durations comes to.
#pragma once

#include <cstdint>
#include <vector>

namespace edgekit {

/// All in milliseconds. p50, p90 and p99 are nearest-rank percentiles: durations that were measured, never between two.
/// `standard_deviation` is that of a sample (n - 1), and 0 of a single one.
struct Statistics {
    double min, mean, p50, p90, p99, max, standard_deviation;
};

/// Of at least one duration.
Statistics statistics_of(std::vector<std::int64_t> nanoseconds);

constexpr double milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

}  // namespace edgekit
