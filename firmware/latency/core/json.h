// Writes one JSON object, indented, in the order in which fields are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace edgekit {

class JsonWriter {
  public:
    JsonWriter() { text_ = "{"; }

    void open(std::string_view name);
    void close();
    void text(std::string_view name, std::string_view value);
    void integer(std::string_view name, std::int64_t value);
    void boolean(std::string_view name, bool value);
    void null(std::string_view name);
    /// With six decimals; a value that JSON cannot hold (infinite, NaN) is null.
    void number(std::string_view name, double value);
    void numbers(std::string_view name, const std::vector<double>& values);
    void integers(std::string_view name, const std::vector<int>& values);
    void texts(std::string_view name, const std::vector<std::string>& values);
    /// As eight hexadecimal digits.
    void crc32(std::string_view name, std::uint32_t value);

    /// The whole object, with a newline at its end. Call once, after every `open` was closed.
    std::string finish();

  private:
    void key(std::string_view name);

    std::string text_;
    int depth_ = 1;
    bool first_ = true;
};

/// A JSON string. Bytes outside printable ASCII become U+FFFD, so that the result is valid whatever a device calls itself.
std::string quoted(std::string_view text);

}  // namespace edgekit
