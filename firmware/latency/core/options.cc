// The command line.
#include "core/options.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string_view>

#include "core/errors.h"

namespace edgekit {
namespace {

constexpr int threads_max = 256, count_max = 1'000'000, cpu_max = 1023;
constexpr double seconds_max = 86'400;

template <typename Number>
std::optional<Number> parsed(std::string_view text) {
    Number value{};
    const auto* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (text.empty() || result.ec != std::errc() || result.ptr != end) {
        return std::nullopt;
    }
    return value;
}

int whole(const std::string& name, std::string_view text, int low, int high) {
    const auto value = parsed<int>(text);
    if (!value || *value < low || *value > high) {
        throw UsageError(name + " takes a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ", not '" +
                         std::string(text) + "'");
    }
    return *value;
}

double real(const std::string& name, std::string_view text, double high, const char* accepted) {
    const auto value = parsed<double>(text);
    if (!value || !std::isfinite(*value) || *value <= 0 || *value > high) {
        throw UsageError(name + " takes " + accepted + ", not '" + std::string(text) + "'");
    }
    return *value;
}

std::vector<int> cpu_list(const std::string& name, std::string_view text) {
    std::set<int> cpus;
    while (true) {
        const auto comma = text.find(',');
        cpus.insert(whole(name, text.substr(0, comma), 0, cpu_max));
        if (comma == std::string_view::npos) {
            return {cpus.begin(), cpus.end()};
        }
        text.remove_prefix(comma + 1);
    }
}

std::uint32_t crc32(const std::string& name, std::string_view text) {
    std::uint32_t value = 0;
    const auto* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value, 16);
    if (text.size() != 8 || result.ec != std::errc() || result.ptr != end) {
        throw UsageError(name + " takes eight hexadecimal digits, not '" + std::string(text) + "'");
    }
    return value;
}

Kernels kernels(const std::string& name, std::string_view text) {
    for (const auto known : {Kernels::reference, Kernels::optimized, Kernels::xnnpack}) {
        if (text == name_of(known)) {
            return known;
        }
    }
    throw UsageError(name + " takes reference, optimized or xnnpack, not '" + std::string(text) + "'");
}

std::string word(const std::string& name, const std::string& text) {
    if (text.empty()) {
        throw UsageError(name + " takes a name, not ''");
    }
    return text;
}

}  // namespace

const char* name_of(Kernels kernels) {
    switch (kernels) {
        case Kernels::reference:
            return "reference";
        case Kernels::optimized:
            return "optimized";
        case Kernels::xnnpack:
            return "xnnpack";
    }
    return "";
}

Options parse_options(const std::vector<std::string>& words) {
    Options options;
    using Take = std::function<void(const std::string& name, const std::string& text)>;
    const std::map<std::string, Take, std::less<>> known = {
        {"--library", [&](auto& name, auto& text) { options.library = word(name, text); }},
        {"--model", [&](auto& name, auto& text) { options.model = word(name, text); }},
        {"--golden", [&](auto& name, auto& text) { options.golden = word(name, text); }},
        {"--kernels", [&](auto& name, auto& text) { options.kernels = kernels(name, text); }},
        {"--threads", [&](auto& name, auto& text) { options.threads = whole(name, text, 1, threads_max); }},
        {"--warm-up", [&](auto& name, auto& text) { options.warm_up = whole(name, text, 0, count_max); }},
        {"--iterations", [&](auto& name, auto& text) { options.iterations = whole(name, text, 1, count_max); }},
        {"--seconds", [&](auto& name, auto& text) { options.seconds = real(name, text, seconds_max, "seconds above 0, at most 86400"); }},
        {"--cpus", [&](auto& name, auto& text) { options.cpus = cpu_list(name, text); }},
        {"--tolerance", [&](auto& name, auto& text) { options.tolerance = real(name, text, 1e9, "a number above 0"); }},
        {"--model-crc32", [&](auto& name, auto& text) { options.model_crc32 = crc32(name, text); }},
        {"--image", [&](auto& name, auto& text) { options.image = word(name, text); }},
        {"--input-table", [&](auto& name, auto& text) { options.input_table = word(name, text); }},
        {"--runtime-version", [&](auto& name, auto& text) { options.runtime_version = word(name, text); }},
    };
    std::set<std::string> given;
    for (auto next = words.begin(); next != words.end(); ++next) {
        if (*next == "--help") {
            options.help = true;
            return options;
        }
        const auto option = known.find(*next);
        if (option == known.end()) {
            throw UsageError("unknown option '" + *next + "'");
        }
        if (!given.insert(*next).second) {
            throw UsageError(*next + " is given twice");
        }
        if (next + 1 == words.end()) {
            throw UsageError(*next + " needs a value");
        }
        ++next;
        option->second(option->first, *next);
    }
    for (const char* name : {"--library", "--model", "--golden"}) {
        if (given.count(name) == 0) {
            throw UsageError(std::string(name) + " is missing");
        }
    }
    if (given.count("--iterations") != 0 && given.count("--seconds") != 0) {
        throw UsageError("--iterations and --seconds exclude each other; give one");
    }
    if (given.count("--image") != given.count("--input-table")) {
        throw UsageError("--image and --input-table belong together; give both or none");
    }
    return options;
}

std::string usage() {
    return "Measures the latency of a TFLite model, after proof that it computes the right numbers.\n"
           "\n"
           "edgekit-latency --library FILE --model FILE --golden DIR [options]\n"
           "  --library FILE         libLiteRt.so of the package ai-edge-litert, 2.1.5 or newer\n"
           "  --model FILE           the .tflite file\n"
           "  --golden DIR           has input.bin and output.bin: what goes in and what must come out\n"
           "  --kernels SET          reference, optimized or xnnpack (the default)\n"
           "  --threads N            of the runtime; 1 by default\n"
           "  --warm-up N            runs before the measured ones; 10 by default\n"
           "  --iterations N         measured runs; 100 by default\n"
           "  --seconds S            instead: measure for so long\n"
           "  --cpus 0,1             use only these processors\n"
           "  --tolerance X          accept outputs that differ by at most X, in steps of an integer or, for floats,\n"
           "                         relative to the largest value (or 1). Without it every bit must be equal\n"
           "  --model-crc32 HEX      what the CRC32 of the model file must be\n"
           "  --image FILE           classify this .ppm image as well\n"
           "  --input-table FILE     input_table.bin of the bundle: what the input holds for each pixel\n"
           "  --runtime-version TEXT version of the library, for the record: it does not tell by itself\n"
           "Prints one JSON object. Exit codes: 0 measured; 1 the model or its outputs are not what they must be, and\n"
           "no time was taken; 2 the request cannot be carried out.\n";
}

}  // namespace edgekit
