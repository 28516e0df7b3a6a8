// The two ways in which a run can be refused. A run whose bits are wrong is no error but a result: see benchmark.h.
#pragma once

#include <stdexcept>
#include <string>

namespace edgekit {

/// The command line is wrong. The message names the option and what it takes.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The request is understood and cannot be carried out: a file that is missing or does not fit, a runtime that refuses.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace edgekit
