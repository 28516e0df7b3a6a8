// The result as JSON. README.md documents the fields.
#pragma once

#include <string>

#include "core/benchmark.h"

namespace edgekit {

std::string report(const Options& options, const Result& result);

}  // namespace edgekit
