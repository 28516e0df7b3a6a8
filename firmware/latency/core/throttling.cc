// What a Raspberry Pi's throttling bits say about a measurement.
#include "core/throttling.h"

namespace edgekit {
namespace {

constexpr const char* conditions[] = {"under-voltage", "clock capped", "throttled", "soft temperature limit"};
constexpr std::uint32_t now_mask = 0xF;
constexpr int since_boot_shift = 16;

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
        text += (text.empty() ? "" : ", ") + word;
    }
    return text;
}

}  // namespace

std::vector<std::string> throttling_now(std::uint32_t bits) {
    std::vector<std::string> found;
    for (std::uint32_t bit = 0; bit < 4; ++bit) {
        if ((bits >> bit & 1u) != 0) {
            found.emplace_back(conditions[bit]);
        }
    }
    return found;
}

std::vector<std::string> throttling_warnings(std::optional<std::uint32_t> before, std::optional<std::uint32_t> after) {
    if (!before || !after) {
        return {};
    }
    const auto since_boot_before = *before >> since_boot_shift & now_mask, since_boot_after = *after >> since_boot_shift & now_mask;
    // A bit that rose since the beginning, or is up at either end, belongs to this measurement.
    const auto during = ((*before | *after) & now_mask) | (since_boot_after & ~since_boot_before);
    const auto earlier = since_boot_before & ~during;
    std::vector<std::string> warnings;
    if (during != 0) {
        warnings.push_back("the board throttled while it was measured (" + joined(throttling_now(during)) +
                           "): the times are not what it can do");
    }
    // A bit that was up before hides whether the condition came again.
    if (earlier != 0) {
        warnings.push_back("the board throttled earlier since it started (" + joined(throttling_now(earlier)) +
                           "): whether it did again meanwhile cannot be told");
    }
    return warnings;
}

}  // namespace edgekit
