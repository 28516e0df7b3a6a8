// The engine of the $board, for the application.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgekit {

constexpr double clock_mhz = $clock_mhz;
constexpr std::uint32_t engine_identity = $identity, frames_max = $frames_max;
constexpr std::size_t register_result = 0x10;
$registers

}  // namespace edgekit
