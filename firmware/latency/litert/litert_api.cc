// Finds LiteRT's functions in its library.
#include "litert/litert_api.h"

#include <dlfcn.h>

#include "core/errors.h"

namespace edgekit {
namespace {

template <typename Function>
void find(void* library, const std::string& path, const char* name, Function& function) {
    void* address = dlsym(library, name);
    if (address == nullptr) {
        throw Failure(path + " has no " + name + "; name libLiteRt.so of the package ai-edge-litert, 2.1.5 or newer");
    }
    function = reinterpret_cast<Function>(address);
}

}  // namespace

LiteRtApi open_litert(const std::string& path) {
    // Without a slash the name would be looked for where the system keeps its libraries.
    const auto file = path.find('/') == std::string::npos ? "./" + path : path;
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* reason = dlerror();
        throw Failure("cannot open the runtime: " + std::string(reason != nullptr ? reason : path.c_str()));
    }
    LiteRtApi api{};
    // The library does not tell its version; functions that are new in a release tell it apart from those before.
    void* since_2_1_5 = nullptr;  // older libraries crash on the options that choose kernels and threads
    find(library, path, "LiteRtGetOneHotAxisOption", since_2_1_5);
    api.create_model_takes_environment = dlsym(library, "LiteRtCreateModelFromFd") != nullptr;                // since 2.1.6
    api.has_reference_kernels = dlsym(library, "LiteRtExternalLiteRtBufferContextGetRunOptions") == nullptr;  // since 2.2.0
    find(library, path, "LiteRtCreateEnvironment", api.CreateEnvironment);
    find(library, path, "LiteRtDestroyEnvironment", api.DestroyEnvironment);
    find(library, path, "LiteRtCreateModelFromFile", api.CreateModelFromFile);
    find(library, path, "LiteRtDestroyModel", api.DestroyModel);
    find(library, path, "LiteRtGetModelSignature", api.GetModelSignature);
    find(library, path, "LiteRtGetNumSignatureInputs", api.GetNumSignatureInputs);
    find(library, path, "LiteRtGetNumSignatureOutputs", api.GetNumSignatureOutputs);
    find(library, path, "LiteRtGetSignatureInputTensorByIndex", api.GetSignatureInputTensorByIndex);
    find(library, path, "LiteRtGetSignatureOutputTensorByIndex", api.GetSignatureOutputTensorByIndex);
    find(library, path, "LiteRtGetRankedTensorType", api.GetRankedTensorType);
    find(library, path, "LiteRtCreateOptions", api.CreateOptions);
    find(library, path, "LiteRtDestroyOptions", api.DestroyOptions);
    find(library, path, "LiteRtSetOptionsHardwareAccelerators", api.SetOptionsHardwareAccelerators);
    find(library, path, "LiteRtCreateOpaqueOptions", api.CreateOpaqueOptions);
    find(library, path, "LiteRtDestroyOpaqueOptions", api.DestroyOpaqueOptions);
    find(library, path, "LiteRtAddOpaqueOptions", api.AddOpaqueOptions);
    find(library, path, "LiteRtCreateCompiledModel", api.CreateCompiledModel);
    find(library, path, "LiteRtDestroyCompiledModel", api.DestroyCompiledModel);
    find(library, path, "LiteRtGetCompiledModelInputBufferRequirements", api.GetCompiledModelInputBufferRequirements);
    find(library, path, "LiteRtGetCompiledModelOutputBufferRequirements", api.GetCompiledModelOutputBufferRequirements);
    find(library, path, "LiteRtGetTensorBufferRequirementsBufferSize", api.GetTensorBufferRequirementsBufferSize);
    find(library, path, "LiteRtCreateManagedTensorBufferFromRequirements", api.CreateManagedTensorBufferFromRequirements);
    find(library, path, "LiteRtDestroyTensorBuffer", api.DestroyTensorBuffer);
    find(library, path, "LiteRtLockTensorBuffer", api.LockTensorBuffer);
    find(library, path, "LiteRtUnlockTensorBuffer", api.UnlockTensorBuffer);
    find(library, path, "LiteRtRunCompiledModel", api.RunCompiledModel);
    return api;
}

}  // namespace edgekit
