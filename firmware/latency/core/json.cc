// Writes one JSON object, indented, in the order in which fields are given.
#include "core/json.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>

namespace edgekit {
namespace {

template <typename... Values>
std::string formatted(const char* format, Values... values) {
    char buffer[400];  // the longest double with six decimals has 317 characters
    std::snprintf(buffer, sizeof buffer, format, values...);
    return buffer;
}

std::string number_text(double value) { return std::isfinite(value) ? formatted("%.6f", value) : "null"; }

template <typename Values, typename Write>
std::string list_text(const Values& values, Write write) {
    std::string text = "[";
    for (const auto& value : values) {
        text += (text.size() > 1 ? ", " : "") + write(value);
    }
    return text + "]";
}

}  // namespace

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') {
            result += '\\';
            result += character;
        } else if (character >= ' ' && character <= '~') {
            result += character;
        } else {
            result += "\\ufffd";
        }
    }
    return result + '"';
}

void JsonWriter::key(std::string_view name) {
    text_ += first_ ? "\n" : ",\n";
    text_.append(static_cast<std::size_t>(2 * depth_), ' ');
    text_ += quoted(name) + ": ";
    first_ = false;
}

void JsonWriter::open(std::string_view name) {
    key(name);
    text_ += "{";
    ++depth_;
    first_ = true;
}

void JsonWriter::close() {
    --depth_;
    if (!first_) {
        text_ += "\n";
        text_.append(static_cast<std::size_t>(2 * depth_), ' ');
    }
    text_ += "}";
    first_ = false;
}

void JsonWriter::text(std::string_view name, std::string_view value) {
    key(name);
    text_ += quoted(value);
}

void JsonWriter::integer(std::string_view name, std::int64_t value) {
    key(name);
    text_ += formatted("%" PRId64, value);
}

void JsonWriter::boolean(std::string_view name, bool value) {
    key(name);
    text_ += value ? "true" : "false";
}

void JsonWriter::null(std::string_view name) {
    key(name);
    text_ += "null";
}

void JsonWriter::number(std::string_view name, double value) {
    key(name);
    text_ += number_text(value);
}

void JsonWriter::numbers(std::string_view name, const std::vector<double>& values) {
    key(name);
    text_ += list_text(values, number_text);
}

void JsonWriter::integers(std::string_view name, const std::vector<int>& values) {
    key(name);
    text_ += list_text(values, [](int value) { return std::to_string(value); });
}

void JsonWriter::texts(std::string_view name, const std::vector<std::string>& values) {
    key(name);
    text_ += list_text(values, [](const std::string& value) { return quoted(value); });
}

void JsonWriter::crc32(std::string_view name, std::uint32_t value) {
    key(name);
    text_ += formatted("\"%08" PRIx32 "\"", value);
}

std::string JsonWriter::finish() {
    depth_ = 0;
    return text_ + "\n}\n";
}

}  // namespace edgekit
