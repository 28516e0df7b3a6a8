// What a list of durations comes to.
#include "core/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace edgekit {

Statistics statistics_of(std::vector<std::int64_t> nanoseconds) {
    std::sort(nanoseconds.begin(), nanoseconds.end());
    const std::size_t count = nanoseconds.size();
    // Nearest rank: the smallest duration that at least `percent` of all do not exceed; rank = ceil(percent * count / 100).
    const auto percentile = [&](std::size_t percent) {
        return milliseconds(nanoseconds[std::max<std::size_t>(1, (percent * count + 99) / 100) - 1]);
    };
    double total = 0;
    for (const auto duration : nanoseconds) {
        total += milliseconds(duration);
    }
    const double mean = total / static_cast<double>(count);
    double squares = 0;
    for (const auto duration : nanoseconds) {
        squares += (milliseconds(duration) - mean) * (milliseconds(duration) - mean);
    }
    const double deviation = count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : 0.0;
    return {milliseconds(nanoseconds.front()), mean,     percentile(50), percentile(90), percentile(99),
            milliseconds(nanoseconds.back()),  deviation};
}

}  // namespace edgekit
