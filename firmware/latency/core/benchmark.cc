// A run from beginning to end: load, prove the numbers, measure, prove them again.
#include "core/benchmark.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "core/crc32.h"
#include "core/elements.h"
#include "core/errors.h"
#include "core/files.h"
#include "core/image.h"
#include "core/throttling.h"

namespace edgekit {
namespace {

constexpr std::size_t runs_max = 1'000'000;
constexpr std::size_t classes_shown = 5;
constexpr std::uint64_t table_bytes_max = 1u << 20;
constexpr std::size_t runs_expected = 4096;  // room from the start, so that the list seldom grows between two runs

std::string hexadecimal(std::uint32_t value) {
    char text[9];
    std::snprintf(text, sizeof text, "%08" PRIx32, value);
    return text;
}

void write_inputs(Runtime& runtime, const std::vector<std::uint8_t>& vector) {
    std::size_t start = 0;
    for (std::size_t index = 0; index < runtime.inputs().size(); ++index) {
        runtime.write_input(index, vector.data() + start);
        start += runtime.inputs()[index].bytes();
    }
}

std::vector<std::uint8_t> read_outputs(Runtime& runtime, std::size_t bytes) {
    std::vector<std::uint8_t> vector(bytes);
    std::size_t start = 0;
    for (std::size_t index = 0; index < runtime.outputs().size(); ++index) {
        runtime.read_output(index, vector.data() + start);
        start += runtime.outputs()[index].bytes();
    }
    return vector;
}

void erase_outputs(Runtime& runtime) {
    for (std::size_t index = 0; index < runtime.outputs().size(); ++index) {
        runtime.erase_output(index);
    }
}

/// Runs every golden vector, fills in the comparison and the CRC32s, and gives the duration of the very first run.
std::int64_t prove(Runtime& runtime, GoldenVectors& golden, Port& port, Result& result) {
    Crc32 inputs, outputs, expected;
    std::int64_t first_run = 0;
    for (std::size_t vector = 0; vector < golden.count(); ++vector) {
        const auto& input = golden.input(vector);
        inputs.add(input.data(), input.size());
        write_inputs(runtime, input);
        erase_outputs(runtime);
        const auto start = port.nanoseconds();
        runtime.invoke();
        if (vector == 0) {
            first_run = port.nanoseconds() - start;
        }
        const auto& wanted = golden.output(vector);
        const auto got = read_outputs(runtime, wanted.size());
        outputs.add(got.data(), got.size());
        expected.add(wanted.data(), wanted.size());
        result.golden.add(vector, runtime.outputs(), wanted, got);
    }
    result.inputs_crc32 = inputs.value();
    result.outputs_crc32 = outputs.value();
    result.expected_crc32 = expected.value();
    return first_run;
}

/// The indices of the largest values; of equal ones the first counts.
std::vector<int> best_classes(const TensorType& type, const std::vector<std::uint8_t>& output) {
    std::vector<double> values;
    with_element(type.element, [&](auto kind) {
        for (std::size_t index = 0; index < type.elements; ++index) {
            const auto value = static_cast<double>(value_at<decltype(kind)>(output.data(), index));
            values.push_back(std::isnan(value) ? -std::numeric_limits<double>::infinity() : value);  // NaN has no order to sort by
        }
    });
    std::vector<int> classes(values.size());
    std::iota(classes.begin(), classes.end(), 0);
    std::stable_sort(classes.begin(), classes.end(),
                     [&](int left, int right) { return values[static_cast<std::size_t>(left)] > values[static_cast<std::size_t>(right)]; });
    classes.resize(std::min(classes.size(), classes_shown));
    return classes;
}

Classified classify(const Options& options, Runtime& runtime) {
    const auto& types = runtime.inputs();
    if (types.size() != 1 || types[0].shape.empty() || types[0].shape[0] != 1) {
        throw Failure("--image takes a model with one input, of batch 1");
    }
    const auto value_bytes = bytes_of(types[0].element);
    const auto fitted = fit(read_ppm(options.image), {types[0].shape.begin() + 1, types[0].shape.end()});
    const auto input = look_up(fitted, read_file(options.input_table, table_bytes_max), value_bytes);
    write_inputs(runtime, input);
    erase_outputs(runtime);
    runtime.invoke();
    std::size_t bytes = 0;
    for (const auto& type : runtime.outputs()) {
        bytes += type.bytes();
    }
    const auto outputs = read_outputs(runtime, bytes);
    Crc32 before, after;
    before.add(input.data(), input.size());
    after.add(outputs.data(), outputs.size());
    return {before.value(), after.value(), best_classes(runtime.outputs().at(0), outputs)};
}

std::vector<std::int64_t> measure(const Options& options, Runtime& runtime, Port& port) {
    const std::size_t most = options.seconds ? runs_max : static_cast<std::size_t>(options.iterations);
    std::vector<std::int64_t> runs;
    runs.reserve(options.seconds ? runs_expected : most);
    const auto begin = port.nanoseconds();
    const auto end = options.seconds ? begin + static_cast<std::int64_t>(*options.seconds * 1e9) : INT64_MAX;
    std::int64_t now = begin;
    do {
        const auto start = port.nanoseconds();
        runtime.invoke();
        now = port.nanoseconds();
        runs.push_back(now - start);
    } while (runs.size() < most && now < end);
    return runs;
}

std::string difference_text(const Comparison& comparison) {
    const auto& first = *comparison.first;
    char text[200];
    std::snprintf(text, sizeof text,
                  "%zu of %zu output values differ, the first in vector %zu, output %zu, index %zu: %.9g instead of %.9g",
                  comparison.differing, comparison.values, first.vector, first.output, first.index, first.got, first.expected);
    return text;
}

}  // namespace

Result run(const Options& options, const Load& load, Port& port) {
    Result result;
    result.machine = port.machine();
    result.library = port.file_facts(options.library);
    result.model = port.file_facts(options.model);
    if (options.model_crc32 && *options.model_crc32 != result.model.crc32) {
        result.problem =
            "the model file changed: its CRC32 is " + hexadecimal(result.model.crc32) + ", not " + hexadecimal(*options.model_crc32);
        return result;
    }
    if (!options.cpus.empty()) {
        port.pin(options.cpus);
    }

    Timing timing;
    const auto start = port.nanoseconds();
    const auto runtime = load();
    timing.load_nanoseconds = port.nanoseconds() - start;

    GoldenVectors golden(options.golden, runtime->inputs(), runtime->outputs());
    timing.first_run_nanoseconds = prove(*runtime, golden, port, result);
    if (!result.golden.accepted(options.tolerance)) {
        result.problem = difference_text(result.golden);
        return result;
    }

    if (!options.image.empty()) {
        result.image = classify(options, *runtime);
    }
    write_inputs(*runtime, golden.input(0));
    erase_outputs(*runtime);
    timing.before = port.state();
    for (int i = 0; i < options.warm_up; ++i) {
        runtime->invoke();
    }
    timing.runs_nanoseconds = measure(options, *runtime, port);
    timing.after = port.state();

    // What the measured runs left must be right too, or what was measured is not what was proved.
    Comparison again;
    const auto& wanted = golden.output(0);
    again.add(0, runtime->outputs(), wanted, read_outputs(*runtime, wanted.size()));
    if (!again.accepted(options.tolerance)) {
        result.problem = "after the measured runs " + difference_text(again);
        return result;
    }
    result.peak_memory_bytes = port.peak_memory_bytes();
    timing.warnings = throttling_warnings(timing.before.throttled, timing.after.throttled);
    result.timing = std::move(timing);
    return result;
}

}  // namespace edgekit
