// edgekit-latency: the latency of a TFLite model on this device, after proof that it computes the right numbers.
#include <cstdio>
#include <exception>

#include "core/benchmark.h"
#include "core/errors.h"
#include "core/options.h"
#include "core/report.h"
#include "litert/litert_runtime.h"
#include "port/linux_port.h"

namespace {

constexpr int done = 0, wrong = 1, refused = 2;

int answer(const std::vector<std::string>& words) {
    const auto options = edgekit::parse_options(words);
    if (options.help) {
        std::fputs(edgekit::usage().c_str(), stdout);
        return done;
    }
    edgekit::LinuxPort port;
    const auto result = edgekit::run(
        options, [&] { return edgekit::load_litert(options); }, port);
    const auto text = edgekit::report(options, result);
    if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
        throw edgekit::Failure("cannot write the result");
    }
    if (!result.problem.empty()) {
        std::fprintf(stderr, "edgekit-latency: %s; nothing was measured\n", result.problem.c_str());
        return wrong;
    }
    for (const auto& warning : result.timing->warnings) {
        std::fprintf(stderr, "edgekit-latency: warning: %s\n", warning.c_str());
    }
    return done;
}

}  // namespace

int main(int count, char** words) {
    try {
        return answer({words + (count > 0 ? 1 : 0), words + count});
    } catch (const edgekit::UsageError& error) {
        std::fprintf(stderr, "edgekit-latency: %s; --help shows what there is\n", error.what());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "edgekit-latency: %s\n", error.what());
    }
    return refused;
}
