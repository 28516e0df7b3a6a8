// CRC-32, a byte at a time by a table.
#include "core/crc32.h"

#include <array>

namespace edgekit {
namespace {

constexpr std::uint32_t polynomial = 0xEDB88320u;  // 0x04C11DB7 with its bits reversed

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit) {
            remainder = (remainder >> 1) ^ ((remainder & 1u) != 0 ? polynomial : 0u);
        }
        table[byte] = remainder;
    }
    return table;
}

constexpr std::array<std::uint32_t, 256> table = make_table();

}  // namespace

void Crc32::add(const void* data, std::size_t bytes) {
    const auto* next = static_cast<const std::uint8_t*>(data);
    for (const auto* end = next + bytes; next != end; ++next) {
        state_ = (state_ >> 8) ^ table[(state_ ^ *next) & 0xFFu];
    }
}

}  // namespace edgekit
