// From Vivado's .bit file to what Linux's FPGA manager takes.
#pragma once

#include <cstdint>
#include <vector>

namespace edgekit {

/// The configuration data without the header, each 32-bit word with its bytes reversed. Raises Failure for another file.
std::vector<std::uint8_t> to_bin(const std::vector<std::uint8_t>& bit);

}  // namespace edgekit
