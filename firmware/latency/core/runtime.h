// What the core needs of a TFLite runtime. litert/ has the real one, tests/ a fake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace edgekit {

enum class ElementType { int8, uint8, int16, int32, int64, float32 };

constexpr std::size_t bytes_of(ElementType type) {
    switch (type) {
        case ElementType::int8:
        case ElementType::uint8:
            return 1;
        case ElementType::int16:
            return 2;
        case ElementType::int32:
        case ElementType::float32:
            return 4;
        case ElementType::int64:
            return 8;
    }
    return 0;
}

/// An input or output: `elements` values, row-major, little-endian. `shape` has its batch.
struct TensorType {
    ElementType element;
    std::size_t elements;
    std::vector<std::size_t> shape = {};

    std::size_t bytes() const { return elements * bytes_of(element); }
};

/// LiteRT's kernel sets: its plain C++ reference, its optimized kernels, and XNNPACK with the optimized ones for what it does not take.
enum class Kernels { reference, optimized, xnnpack };

/// A model that is loaded and ready. Tensors are numbered as in the model. Every function raises Failure.
class Runtime {
  public:
    virtual ~Runtime() = default;
    virtual const std::vector<TensorType>& inputs() const = 0;
    virtual const std::vector<TensorType>& outputs() const = 0;
    /// `data` holds inputs()[index].bytes() bytes.
    virtual void write_input(std::size_t index, const std::uint8_t* data) = 0;
    /// `data` has room for outputs()[index].bytes() bytes.
    virtual void read_output(std::size_t index, std::uint8_t* data) = 0;
    /// Overwrites the output, so that a later read cannot see what an earlier run left there.
    virtual void erase_output(std::size_t index) = 0;
    virtual void invoke() = 0;
};

/// Opens the runtime and loads the model into it.
using Load = std::function<std::unique_ptr<Runtime>()>;

}  // namespace edgekit
