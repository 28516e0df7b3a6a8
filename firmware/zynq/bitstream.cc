// From Vivado's .bit file to what Linux's FPGA manager takes.
#include "bitstream.h"

#include <cstddef>
#include <utility>

#include "core/errors.h"

namespace edgekit {

namespace {

/// Takes big-endian numbers and bytes from a file. Raises Failure where it ends too early.
class Reader {
  public:
    explicit Reader(const std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

    std::size_t number(std::size_t bytes) {
        std::size_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) {
            value = value << 8 | byte();
        }
        return value;
    }

    std::vector<std::uint8_t> take(std::size_t count) {
        if (count > bytes_.size() - at_) {
            throw Failure("the bitstream is cut off");
        }
        const auto first = bytes_.begin() + static_cast<std::ptrdiff_t>(at_);
        at_ += count;
        return {first, first + static_cast<std::ptrdiff_t>(count)};
    }

  private:
    std::uint8_t byte() {
        if (at_ >= bytes_.size()) {
            throw Failure("the bitstream is cut off");
        }
        return bytes_[at_++];
    }

    const std::vector<std::uint8_t>& bytes_;
    std::size_t at_ = 0;
};

}  // namespace

std::vector<std::uint8_t> to_bin(const std::vector<std::uint8_t>& bit) {
    // The file: a field of a 16-bit length, a 16-bit one, then fields of a letter: a to d with 16-bit lengths hold the design's name,
    // part, date and time; e with a 32-bit length holds the configuration data.
    Reader reader(bit);
    reader.take(reader.number(2));
    if (reader.number(2) != 1) {
        throw Failure("this is no .bit file of Vivado");
    }
    for (char expected = 'a'; expected < 'e'; ++expected) {
        if (reader.number(1) != static_cast<std::size_t>(expected)) {
            throw Failure("this is no .bit file of Vivado");
        }
        reader.take(reader.number(2));
    }
    if (reader.number(1) != 'e') {
        throw Failure("this is no .bit file of Vivado");
    }
    std::vector<std::uint8_t> data = reader.take(reader.number(4));
    data.resize((data.size() + 3) / 4 * 4, 0xFF);
    for (std::size_t i = 0; i < data.size(); i += 4) {
        std::swap(data[i], data[i + 3]);
        std::swap(data[i + 1], data[i + 2]);
    }
    return data;
}

}  // namespace edgekit
