// The board as Linux shows it: the overlay, the accelerator's registers (uio), and memory that both sides reach (u-dma-buf).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace edgekit {

/// More than any file has that this program reads.
constexpr std::uint64_t file_bytes_max = std::uint64_t{1} << 30;

/// Puts bitstream and device tree overlay (edgekit.bit, edgekit.dtbo in `folder`) in place: Linux's FPGA manager loads the one,
/// the drivers appear by the other. `root` stands before every path of the system. Raises Failure.
void load_overlay(const std::string& root, const std::string& folder);

/// A file in memory. Raises Failure.
class Mapping {
  public:
    Mapping(const std::string& path, std::size_t bytes);
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    std::uint8_t* data() const { return data_; }
    std::size_t size() const { return size_; }
    int descriptor() const { return descriptor_; }

  private:
    int descriptor_;
    std::size_t size_;
    std::uint8_t* data_;
};

/// The accelerator's control port: Vitis HLS's register map, and its interrupt.
class Control {
  public:
    explicit Control(const std::string& root);

    void write(std::size_t offset, std::uint32_t value);
    void write_address(std::size_t offset, std::uint64_t address);
    std::uint32_t read(std::size_t offset) const;
    void start();
    /// Until the accelerator is done. Raises Failure where that takes longer.
    void wait(double seconds_max);

  private:
    Mapping registers_;
};

/// Cached memory, contiguous for the accelerator. What one side wrote must be handed over before the other side reads it.
class Buffer {
  public:
    explicit Buffer(const std::string& root);

    std::uint8_t* data() const { return memory_.data(); }
    std::size_t size() const { return memory_.size(); }
    std::uint64_t address() const { return address_; }
    void hand_to_device();
    void hand_to_processor();

  private:
    std::string folder_;
    std::uint64_t address_;
    Mapping memory_;
};

}  // namespace edgekit
