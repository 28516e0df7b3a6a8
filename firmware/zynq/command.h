// What the programs for the board share: their options, and how a call is timed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/errors.h"

namespace edgekit {

/// [--loaded] [--frames N] [--seconds S] [--root DIR] [FOLDER...]; without a folder it is ".".
struct Options {
    std::vector<std::string> folders;
    std::string root;
    bool loaded = false;
    std::uint32_t frames = 16;
    double seconds = 5;
};

/// Raises UsageError.
inline Options parse(int argc, char** argv, std::uint32_t frames_max) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 >= argc) {
                throw UsageError(word + " needs a value");
            }
            return argv[++i];
        };
        if (word == "--loaded") {
            options.loaded = true;
        } else if (word == "--frames") {
            const unsigned long given = std::strtoul(value().c_str(), nullptr, 10);
            options.frames = given <= frames_max ? static_cast<std::uint32_t>(given) : 0;
        } else if (word == "--seconds") {
            options.seconds = std::strtod(value().c_str(), nullptr);
        } else if (word == "--root") {
            options.root = value();
        } else if (word.rfind("--", 0) == 0) {
            throw UsageError("unknown option " + word + "; there are --loaded, --frames, --seconds, --root");
        } else {
            options.folders.push_back(word);
        }
    }
    if (options.frames < 1 || !(options.seconds > 0)) {
        throw UsageError("--frames is 1 to " + std::to_string(frames_max) + ", --seconds is above 0");
    }
    if (options.folders.empty()) {
        options.folders.emplace_back(".");
    }
    return options;
}

/// The median of the seconds that a call with so many frames takes, of calls that take `seconds` together.
template <class Accelerator>
double median_seconds(Accelerator& accelerator, std::uint32_t frames, double seconds) {
    std::vector<double> taken;
    for (double total = 0; taken.empty() || total < seconds; total += taken.back()) {
        const auto begin = std::chrono::steady_clock::now();
        accelerator.run(frames);
        taken.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    std::nth_element(taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(taken.size() / 2), taken.end());
    return taken[taken.size() / 2];
}

}  // namespace edgekit
