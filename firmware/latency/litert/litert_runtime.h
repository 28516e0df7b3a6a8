// A model in LiteRT.
#pragma once

#include <memory>

#include "core/options.h"
#include "core/runtime.h"

namespace edgekit {

/// Opens options.library and loads options.model into it. Raises Failure.
std::unique_ptr<Runtime> load_litert(const Options& options);

}  // namespace edgekit
