// The result as JSON. README.md documents the fields.
#include "core/report.h"

#include "core/json.h"
#include "core/throttling.h"

namespace edgekit {
namespace {

template <typename Value, typename Write>
void maybe(JsonWriter& json, const char* name, const std::optional<Value>& value, Write write) {
    if (value) {
        write(*value);
    } else {
        json.null(name);
    }
}

void machine(JsonWriter& json, const Machine& machine) {
    json.open("machine");
    json.text("architecture", machine.architecture);
    json.text("system", machine.system);
    json.text("board", machine.board);
    json.integer("cpus", machine.cpus);
    json.close();
}

void settings(JsonWriter& json, const Options& options) {
    json.open("settings");
    json.text("kernels", name_of(options.kernels));
    json.integer("threads", options.threads);
    json.integers("cpus", options.cpus);
    json.integer("warm_up", options.warm_up);
    json.number("tolerance", options.tolerance);
    json.close();
}

void golden(JsonWriter& json, const Result& result) {
    const auto& comparison = result.golden;
    json.open("golden");
    json.integer("vectors", static_cast<std::int64_t>(comparison.vectors));
    json.integer("values", static_cast<std::int64_t>(comparison.values));
    json.integer("differing_values", static_cast<std::int64_t>(comparison.differing));
    json.number("largest_distance", comparison.largest_distance);
    if (comparison.first) {
        const auto& first = *comparison.first;
        json.open("first_difference");
        json.integer("vector", static_cast<std::int64_t>(first.vector));
        json.integer("output", static_cast<std::int64_t>(first.output));
        json.integer("index", static_cast<std::int64_t>(first.index));
        json.number("expected", first.expected);
        json.number("got", first.got);
        json.close();
    } else {
        json.null("first_difference");
    }
    json.crc32("inputs_crc32", result.inputs_crc32);
    json.crc32("outputs_crc32", result.outputs_crc32);
    json.crc32("expected_crc32", result.expected_crc32);
    json.close();
}

void state(JsonWriter& json, const char* name, const BoardState& state) {
    json.open(name);
    maybe(json, "temperature_celsius", state.temperature_celsius, [&](double value) { json.number("temperature_celsius", value); });
    maybe(json, "clock_mhz", state.clock_mhz, [&](double value) { json.number("clock_mhz", value); });
    maybe(json, "throttled_bits", state.throttled, [&](std::uint32_t value) { json.integer("throttled_bits", value); });
    json.texts("throttled_now", throttling_now(state.throttled.value_or(0)));
    json.close();
}

void latency(JsonWriter& json, const Timing& timing) {
    const auto statistics = statistics_of(timing.runs_nanoseconds);
    std::vector<double> runs;
    for (const auto run : timing.runs_nanoseconds) {
        runs.push_back(milliseconds(run));
    }
    json.open("latency_ms");
    json.integer("runs", static_cast<std::int64_t>(runs.size()));
    json.number("min", statistics.min);
    json.number("mean", statistics.mean);
    json.number("p50", statistics.p50);
    json.number("p90", statistics.p90);
    json.number("p99", statistics.p99);
    json.number("max", statistics.max);
    json.number("standard_deviation", statistics.standard_deviation);
    json.numbers("samples", runs);
    json.close();
}

}  // namespace

std::string report(const Options& options, const Result& result) {
    JsonWriter json;
    json.text("schema", "edgekit-latency/1");
    if (result.problem.empty()) {
        json.null("problem");
    } else {
        json.text("problem", result.problem);
    }
    machine(json, result.machine);
    json.open("runtime");
    json.text("name", "LiteRT");
    json.text("version", options.runtime_version);
    json.integer("bytes", static_cast<std::int64_t>(result.library.bytes));
    json.crc32("crc32", result.library.crc32);
    json.close();
    json.open("model");
    json.integer("bytes", static_cast<std::int64_t>(result.model.bytes));
    json.crc32("crc32", result.model.crc32);
    json.close();
    settings(json, options);
    golden(json, result);
    if (result.image) {
        json.open("image");
        json.crc32("input_crc32", result.image->input_crc32);
        json.crc32("outputs_crc32", result.image->outputs_crc32);
        json.integers("classes", result.image->classes);
        json.close();
    }
    if (result.timing) {
        const auto& timing = *result.timing;
        json.number("load_ms", milliseconds(timing.load_nanoseconds));
        json.number("first_run_ms", milliseconds(timing.first_run_nanoseconds));
        latency(json, timing);
        maybe(json, "peak_memory_bytes", result.peak_memory_bytes,
              [&](std::uint64_t bytes) { json.integer("peak_memory_bytes", static_cast<std::int64_t>(bytes)); });
        state(json, "before", timing.before);
        state(json, "after", timing.after);
        json.texts("warnings", timing.warnings);
    }
    return json.finish();
}

}  // namespace edgekit
