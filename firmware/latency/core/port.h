// What the core needs of the platform. port/ has the one for Linux and Android, tests/ a fake.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgekit {

/// Who measured. `board` is the name in the device tree, empty where there is none.
struct Machine {
    std::string architecture, system, board;
    int cpus = 0;
};

/// What cannot be read on a device is left out. `throttled`: the bits of `vcgencmd get_throttled`, on a Raspberry Pi.
struct BoardState {
    std::optional<double> temperature_celsius, clock_mhz;
    std::optional<std::uint32_t> throttled;
};

struct FileFacts {
    std::uint64_t bytes;
    std::uint32_t crc32;
};

class Port {
  public:
    virtual ~Port() = default;
    /// A clock that never goes back.
    virtual std::int64_t nanoseconds() = 0;
    /// Keeps this process and the threads that it will start on these processors. Raises Failure.
    virtual void pin(const std::vector<int>& cpus) = 0;
    /// Of a plain file, read once. Raises Failure.
    virtual FileFacts file_facts(const std::string& path) = 0;
    virtual Machine machine() = 0;
    virtual BoardState state() = 0;
    /// Largest resident set of this process so far.
    virtual std::optional<std::uint64_t> peak_memory_bytes() = 0;
};

}  // namespace edgekit
