// A model in LiteRT: its first signature, on the CPU, with buffers of its own.
#include "litert/litert_runtime.h"

#include <cstdlib>
#include <cstring>
#include <limits>

#include "core/errors.h"
#include "litert/litert_api.h"

namespace edgekit {
namespace {

constexpr std::size_t signature_index = 0;
constexpr std::size_t tensors_max = 1000;
constexpr std::size_t tensor_bytes_max = std::numeric_limits<std::int32_t>::max();

using Destroy = void (*)(LiteRtHandle);
using Owned = std::unique_ptr<void, Destroy>;

void expect_ok(LiteRtStatus status, const char* what) {
    if (status != 0) {
        throw Failure(std::string("LiteRT ") + what + " (status " + std::to_string(status) + "); it may have said more above");
    }
}

/// Calls create(handle) and owns what it made.
template <typename Create>
Owned made(Destroy destroy, const char* problem, Create create) {
    LiteRtHandle handle = nullptr;
    expect_ok(create(&handle), problem);
    return Owned(handle, destroy);
}

TensorType tensor_type(const LiteRtRankedTensorType& ranked) {
    TensorType type{};
    switch (ranked.element_type) {  // as in TFLite's TfLiteType
        case 1:
            type.element = ElementType::float32;
            break;
        case 2:
            type.element = ElementType::int32;
            break;
        case 3:
            type.element = ElementType::uint8;
            break;
        case 4:
            type.element = ElementType::int64;
            break;
        case 7:
            type.element = ElementType::int16;
            break;
        case 9:
            type.element = ElementType::int8;
            break;
        default:
            throw Failure("the model has an input or output of TFLite's type " + std::to_string(ranked.element_type) +
                          "; float32, int8, uint8, int16, int32 and int64 are supported");
    }
    if (ranked.rank > litert_dimensions_max || ranked.has_strides != 0) {
        throw Failure("the model has an input or output of more than 8 dimensions, or with strides");
    }
    type.elements = 1;
    for (std::uint32_t axis = 0; axis < ranked.rank; ++axis) {
        const auto length = ranked.dimensions[axis];
        if (length <= 0 || static_cast<std::size_t>(length) > tensor_bytes_max / bytes_of(type.element) / type.elements) {
            throw Failure("the model has an input or output whose size is open, empty or beyond 2 GB; export it with batch 1");
        }
        type.elements *= static_cast<std::size_t>(length);
        type.shape.push_back(static_cast<std::size_t>(length));
    }
    return type;
}

const char* kernel_mode(Kernels kernels) { return kernels == Kernels::optimized ? "builtin" : name_of(kernels); }

class LiteRtRuntime : public Runtime {
  public:
    explicit LiteRtRuntime(const Options& options) : api_(open_litert(options.library)) {
        if (options.kernels == Kernels::reference && !api_.has_reference_kernels) {
            throw Failure("this libLiteRt.so has no reference kernels; those of ai-edge-litert 2.1.5 and 2.1.6 have");
        }
        environment_ =
            made(api_.DestroyEnvironment, "has no environment", [&](LiteRtHandle* to) { return api_.CreateEnvironment(0, nullptr, to); });
        model_ =
            made(api_.DestroyModel, "does not load the model", [&](LiteRtHandle* to) { return create_model(options.model.c_str(), to); });
        const auto compile_options = made_options(options);
        compiled_ = made(api_.DestroyCompiledModel, "does not prepare the model", [&](LiteRtHandle* to) {
            return api_.CreateCompiledModel(environment_.get(), model_.get(), compile_options.get(), to);
        });
        LiteRtHandle signature = nullptr;
        expect_ok(api_.GetModelSignature(model_.get(), signature_index, &signature), "finds no signature in the model");
        make_buffers(signature, api_.GetNumSignatureInputs, api_.GetSignatureInputTensorByIndex,
                     api_.GetCompiledModelInputBufferRequirements, inputs_);
        make_buffers(signature, api_.GetNumSignatureOutputs, api_.GetSignatureOutputTensorByIndex,
                     api_.GetCompiledModelOutputBufferRequirements, outputs_);
    }

    const std::vector<TensorType>& inputs() const override { return inputs_.types; }
    const std::vector<TensorType>& outputs() const override { return outputs_.types; }

    void write_input(std::size_t index, const std::uint8_t* data) override {
        locked(inputs_.handles[index], litert_lock_write, [&](void* memory) { std::memcpy(memory, data, inputs_.types[index].bytes()); });
    }

    void read_output(std::size_t index, std::uint8_t* data) override {
        locked(outputs_.handles[index], litert_lock_read, [&](void* memory) { std::memcpy(data, memory, outputs_.types[index].bytes()); });
    }

    void erase_output(std::size_t index) override {
        locked(outputs_.handles[index], litert_lock_write, [&](void* memory) { std::memset(memory, 0xA5, outputs_.types[index].bytes()); });
    }

    void invoke() override {
        auto &in = inputs_.handles, &out = outputs_.handles;
        expect_ok(api_.RunCompiledModel(compiled_.get(), signature_index, in.size(), in.data(), out.size(), out.data()),
                  "does not run the model");
    }

  private:
    struct Buffers {
        std::vector<TensorType> types;
        std::vector<Owned> owned;
        std::vector<LiteRtHandle> handles;  // the same, as RunCompiledModel takes them
    };

    LiteRtStatus create_model(const char* path, LiteRtHandle* model) const {
        if (api_.create_model_takes_environment) {
            using Create = LiteRtStatus (*)(LiteRtHandle, const char*, LiteRtHandle*);
            return reinterpret_cast<Create>(api_.CreateModelFromFile)(environment_.get(), path, model);
        }
        using Create = LiteRtStatus (*)(const char*, LiteRtHandle*);
        return reinterpret_cast<Create>(api_.CreateModelFromFile)(path, model);
    }

    Owned made_options(const Options& options) const {
        auto result = made(api_.DestroyOptions, "has no options", [&](LiteRtHandle* to) { return api_.CreateOptions(to); });
        expect_ok(api_.SetOptionsHardwareAccelerators(result.get(), litert_accelerator_cpu), "does not take the CPU");
        // The options of CPU kernels are a TOML text under this name.
        const auto text =
            "kernel_mode = \"" + std::string(kernel_mode(options.kernels)) + "\"\nnum_threads = " + std::to_string(options.threads) + "\n";
        char* payload = strdup(text.c_str());
        auto opaque = made(api_.DestroyOpaqueOptions, "takes no CPU options",
                           [&](LiteRtHandle* to) { return api_.CreateOpaqueOptions("xnnpack", payload, std::free, to); });
        expect_ok(api_.AddOpaqueOptions(result.get(), opaque.get()), "takes no CPU options");
        opaque.release();
        return result;
    }

    template <typename Count, typename Tensor, typename Requirements>
    void make_buffers(LiteRtHandle signature, Count count_of, Tensor tensor_of, Requirements requirements_of, Buffers& buffers) {
        std::size_t count = 0;
        expect_ok(count_of(signature, &count), "does not count the model's inputs and outputs");
        if (count == 0 || count > tensors_max) {
            throw Failure("the model has " + std::to_string(count) + " inputs or outputs; 1 to 1000 are supported");
        }
        for (std::size_t index = 0; index < count; ++index) {
            LiteRtHandle tensor = nullptr, requirements = nullptr;
            LiteRtRankedTensorType ranked{};
            std::size_t bytes = 0;
            expect_ok(tensor_of(signature, index, &tensor), "does not describe an input or output");
            expect_ok(api_.GetRankedTensorType(tensor, &ranked), "does not tell the size of an input or output");
            expect_ok(requirements_of(compiled_.get(), signature_index, index, &requirements), "does not tell what buffers it needs");
            expect_ok(api_.GetTensorBufferRequirementsBufferSize(requirements, &bytes), "does not tell the size of a buffer");
            const auto type = tensor_type(ranked);
            if (bytes < type.bytes()) {
                throw Failure("LiteRT wants a buffer of " + std::to_string(bytes) + " bytes for a tensor of " +
                              std::to_string(type.bytes()));
            }
            buffers.types.push_back(type);
            buffers.owned.push_back(made(api_.DestroyTensorBuffer, "makes no buffer", [&](LiteRtHandle* to) {
                return api_.CreateManagedTensorBufferFromRequirements(environment_.get(), &ranked, requirements, to);
            }));
            buffers.handles.push_back(buffers.owned.back().get());
        }
    }

    template <typename Use>
    void locked(LiteRtHandle buffer, int mode, Use use) const {
        void* memory = nullptr;
        expect_ok(api_.LockTensorBuffer(buffer, &memory, mode), "does not give access to a buffer");
        use(memory);
        expect_ok(api_.UnlockTensorBuffer(buffer), "does not take a buffer back");
    }

    LiteRtApi api_;
    // Destroyed from the last to the first.
    Owned environment_{nullptr, nullptr}, model_{nullptr, nullptr}, compiled_{nullptr, nullptr};
    Buffers inputs_, outputs_;
};

}  // namespace

std::unique_ptr<Runtime> load_litert(const Options& options) { return std::make_unique<LiteRtRuntime>(options); }

}  // namespace edgekit
