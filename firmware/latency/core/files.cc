// Files that come from elsewhere: plain ones only, and none larger than expected.
#include "core/files.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/errors.h"

namespace edgekit {

std::uint64_t plain_file_size(const std::string& path) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
        throw Failure(path + (std::filesystem::exists(path, error) ? " is no plain file" : " does not exist"));
    }
    const auto size = std::filesystem::file_size(path, error);
    if (error) {
        throw Failure("cannot read " + path + ": " + error.message());
    }
    return size;
}

std::vector<std::uint8_t> read_file(const std::string& path, std::uint64_t most) {
    const auto size = plain_file_size(path);
    if (size > most) {
        throw Failure(path + " has " + std::to_string(size) + " bytes; at most " + std::to_string(most) + " are read");
    }
    std::vector<std::uint8_t> content(static_cast<std::size_t>(size));
    std::ifstream stream(path, std::ios::binary);
    if (!stream || !stream.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size()))) {
        throw Failure("cannot read " + path);
    }
    return content;
}

}  // namespace edgekit
