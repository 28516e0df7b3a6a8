// The command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime.h"

namespace edgekit {

struct Options {
    bool help = false;
    std::string library, model, golden;
    Kernels kernels = Kernels::xnnpack;
    int threads = 1;
    int warm_up = 10;
    int iterations = 100;           ///< used unless `seconds` is given
    std::optional<double> seconds;  ///< run until so much time has passed
    std::vector<int> cpus;          ///< empty: wherever the system likes
    double tolerance = 0;           ///< 0: outputs must equal the golden ones
    std::optional<std::uint32_t> model_crc32;
    std::string runtime_version;
    std::string image, input_table;  ///< empty: no image is classified
};

/// Without the program's name. Raises UsageError.
Options parse_options(const std::vector<std::string>& words);

std::string usage();
const char* name_of(Kernels kernels);

}  // namespace edgekit
