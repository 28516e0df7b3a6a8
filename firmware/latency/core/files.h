// Files that come from elsewhere: plain ones only, and none larger than expected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgekit {

/// Raises Failure where there is none, or it is a folder, a device, a pipe.
std::uint64_t plain_file_size(const std::string& path);

/// All bytes of a plain file of at most `most`. Raises Failure.
std::vector<std::uint8_t> read_file(const std::string& path, std::uint64_t most);

}  // namespace edgekit
