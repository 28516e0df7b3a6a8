// What a Raspberry Pi's throttling bits say about a measurement.
//
// Bits of `vcgencmd get_throttled`, now and, 16 higher, at any time since boot:
//   0 under-voltage, 1 clock capped, 2 throttled, 3 soft temperature limit
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgekit {

/// "under-voltage", ...: the conditions that hold now, of these bits.
std::vector<std::string> throttling_now(std::uint32_t bits);

/// Warnings for the reader of a time. None where the bits cannot be read, or are all clear.
std::vector<std::string> throttling_warnings(std::optional<std::uint32_t> before, std::optional<std::uint32_t> after);

}  // namespace edgekit
