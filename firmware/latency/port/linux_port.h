// Linux and Android: clock, processors, files, sensors, memory.
#pragma once

#include <string>

#include "core/port.h"

namespace edgekit {

class LinuxPort : public Port {
  public:
    /// `root` stands before /sys and /proc/device-tree, `vcgencmd` is the Raspberry Pi's tool by name or path. Tests name their own.
    explicit LinuxPort(std::string root = "", std::string vcgencmd = "vcgencmd") : root_(std::move(root)), vcgencmd_(std::move(vcgencmd)) {}

    std::int64_t nanoseconds() override;
    void pin(const std::vector<int>& cpus) override;
    FileFacts file_facts(const std::string& path) override;
    Machine machine() override;
    BoardState state() override;
    std::optional<std::uint64_t> peak_memory_bytes() override;

  private:
    std::optional<std::string> ask_firmware(const char* question) const;

    std::string root_, vcgencmd_;
};

}  // namespace edgekit
