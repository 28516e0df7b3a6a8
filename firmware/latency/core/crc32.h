// CRC-32 as in zlib, PNG and Ethernet: polynomial 0x04C11DB7 reflected, all ones before and after. Python: zlib.crc32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgekit {

class Crc32 {
  public:
    void add(const void* data, std::size_t bytes);
    std::uint32_t value() const { return ~state_; }

  private:
    std::uint32_t state_ = 0xFFFFFFFFu;
};

}  // namespace edgekit
