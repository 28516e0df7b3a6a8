// Values in raw tensors, whatever their type.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/runtime.h"

namespace edgekit {

template <typename Value>
Value value_at(const std::uint8_t* data, std::size_t index) {
    Value value;  // a device stores what the files hold: both are little-endian
    std::memcpy(&value, data + index * sizeof value, sizeof value);
    return value;
}

/// Calls with(Value{}) for the C++ type of an element.
template <typename With>
void with_element(ElementType type, With with) {
    switch (type) {
        case ElementType::int8:
            return with(std::int8_t{});
        case ElementType::uint8:
            return with(std::uint8_t{});
        case ElementType::int16:
            return with(std::int16_t{});
        case ElementType::int32:
            return with(std::int32_t{});
        case ElementType::int64:
            return with(std::int64_t{});
        case ElementType::float32:
            return with(float{});
    }
}

}  // namespace edgekit
