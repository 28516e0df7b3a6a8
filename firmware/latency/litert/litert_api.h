// The part of LiteRT's C API that is used here, declared anew: the package ai-edge-litert brings the library without headers.
//
// Handles are opaque, every call that can fail gives a status, 0 for success. Checked against 2.1.5, 2.1.6, 2.2.0 and 2.3.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace edgekit {

using LiteRtStatus = int;
using LiteRtHandle = void*;

constexpr int litert_accelerator_cpu = 1;
constexpr int litert_lock_read = 0, litert_lock_write = 1;
constexpr int litert_dimensions_max = 8;

struct LiteRtRankedTensorType {
    std::int32_t element_type;
    std::uint32_t rank : 7;
    std::uint32_t has_strides : 1;
    std::int32_t dimensions[litert_dimensions_max];
    std::uint32_t strides[litert_dimensions_max];
};
static_assert(sizeof(LiteRtRankedTensorType) == 72);

/// Functions by the name they have in the library, without "LiteRt".
struct LiteRtApi {
    LiteRtStatus (*CreateEnvironment)(int options, const void* values, LiteRtHandle* environment);
    void (*DestroyEnvironment)(LiteRtHandle environment);

    /// Takes the environment from 2.1.6 on; before, only the path.
    void* CreateModelFromFile;
    bool create_model_takes_environment;
    /// Until 2.1.6. A newer one takes the wish for reference kernels, runs the optimized ones, and says nothing.
    bool has_reference_kernels;
    void (*DestroyModel)(LiteRtHandle model);
    LiteRtStatus (*GetModelSignature)(LiteRtHandle model, std::size_t index, LiteRtHandle* signature);
    LiteRtStatus (*GetNumSignatureInputs)(LiteRtHandle signature, std::size_t* count);
    LiteRtStatus (*GetNumSignatureOutputs)(LiteRtHandle signature, std::size_t* count);
    LiteRtStatus (*GetSignatureInputTensorByIndex)(LiteRtHandle signature, std::size_t index, LiteRtHandle* tensor);
    LiteRtStatus (*GetSignatureOutputTensorByIndex)(LiteRtHandle signature, std::size_t index, LiteRtHandle* tensor);
    LiteRtStatus (*GetRankedTensorType)(LiteRtHandle tensor, LiteRtRankedTensorType* type);

    LiteRtStatus (*CreateOptions)(LiteRtHandle* options);
    void (*DestroyOptions)(LiteRtHandle options);
    LiteRtStatus (*SetOptionsHardwareAccelerators)(LiteRtHandle options, int accelerators);
    /// `payload` belongs to the opaque options, which free it with `destroy`.
    LiteRtStatus (*CreateOpaqueOptions)(const char* name, void* payload, void (*destroy)(void*), LiteRtHandle* opaque);
    void (*DestroyOpaqueOptions)(LiteRtHandle opaque);
    /// The options own `opaque` from then on.
    LiteRtStatus (*AddOpaqueOptions)(LiteRtHandle options, LiteRtHandle opaque);

    LiteRtStatus (*CreateCompiledModel)(LiteRtHandle environment, LiteRtHandle model, LiteRtHandle options, LiteRtHandle* compiled);
    void (*DestroyCompiledModel)(LiteRtHandle compiled);
    LiteRtStatus (*GetCompiledModelInputBufferRequirements)(LiteRtHandle compiled, std::size_t signature, std::size_t index,
                                                            LiteRtHandle* requirements);
    LiteRtStatus (*GetCompiledModelOutputBufferRequirements)(LiteRtHandle compiled, std::size_t signature, std::size_t index,
                                                             LiteRtHandle* requirements);
    LiteRtStatus (*GetTensorBufferRequirementsBufferSize)(LiteRtHandle requirements, std::size_t* bytes);
    LiteRtStatus (*CreateManagedTensorBufferFromRequirements)(LiteRtHandle environment, const LiteRtRankedTensorType* type,
                                                              LiteRtHandle requirements, LiteRtHandle* buffer);
    void (*DestroyTensorBuffer)(LiteRtHandle buffer);
    LiteRtStatus (*LockTensorBuffer)(LiteRtHandle buffer, void** data, int mode);
    LiteRtStatus (*UnlockTensorBuffer)(LiteRtHandle buffer);
    LiteRtStatus (*RunCompiledModel)(LiteRtHandle compiled, std::size_t signature, std::size_t input_count, LiteRtHandle* inputs,
                                     std::size_t output_count, LiteRtHandle* outputs);
};

/// The library stays open until the process ends. Raises Failure where it cannot be opened or is older than 2.1.5.
LiteRtApi open_litert(const std::string& path);

}  // namespace edgekit
