// From Vivado's .bit file to what Linux's FPGA manager takes.
#ifndef EDGEKIT_BITSTREAM_H_
#define EDGEKIT_BITSTREAM_H_

#include <cstdint>
#include <vector>

namespace edgekit {

// The configuration data without the header, each 32-bit word with its bytes reversed. Throws std::runtime_error for another file.
std::vector<std::uint8_t> to_bin(const std::vector<std::uint8_t> &bit);

} // namespace edgekit

#endif
