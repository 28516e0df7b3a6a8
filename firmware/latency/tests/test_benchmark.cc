// The order of a run: proof before time, proof after time, and no time without proof. With a fake runtime and a fake platform.
#include "core/benchmark.h"
#include "core/errors.h"
#include "core/report.h"
#include "tests/check.h"
#include "tests/fakes.h"
#include "tests/scratch.h"

namespace {

using namespace edgekit;

struct Bench {
    Scratch folder;
    Options options;
    FakePort port;
    FakeRuntime* runtime = nullptr;
    std::function<void(FakeRuntime&)> prepare;

    Bench() {
        options.library = "library";
        options.model = "model";
        options.golden = folder.path;
        options.warm_up = 2;
        options.iterations = 5;
        folder.file("input.bin", std::vector<std::uint8_t>{1, 2, 3, 4, 5, 10, 20, 30, 40, 50});
        golden_outputs({2, 3, 4, 5, 6, 11, 21, 31, 41, 51});
    }
    void golden_outputs(const std::vector<std::uint8_t>& values) { folder.file("output.bin", values); }

    Result run() {
        const auto load = [this] {
            auto made = std::make_unique<FakeRuntime>();
            if (prepare) {
                prepare(*made);
            }
            runtime = made.get();
            return made;
        };
        return edgekit::run(options, load, port);
    }
};

TEST(a_right_model_is_measured) {
    Bench bench;
    int runs = 0;
    bench.prepare = [&](FakeRuntime& runtime) { runtime.each_run = [&](int, FakeRuntime&) { ++runs; }; };
    const auto result = bench.run();
    CHECK_EQUAL(result.problem, "");
    CHECK_EQUAL(runs, 2 + 2 + 5);  // golden vectors, warm-up, measured
    CHECK_EQUAL(result.golden.vectors, 2u);
    CHECK_EQUAL(result.golden.values, 10u);
    CHECK_EQUAL(result.outputs_crc32, result.expected_crc32);
    CHECK_EQUAL(result.timing->runs_nanoseconds.size(), 5u);
    CHECK_EQUAL(result.timing->load_nanoseconds, 1'000'000);
    CHECK_EQUAL(result.timing->first_run_nanoseconds, 1'000'000);
    for (const auto duration : result.timing->runs_nanoseconds) {
        CHECK_EQUAL(duration, 1'000'000);  // two readings of the clock, nothing between them but the run
    }
}

TEST(wrong_bits_give_no_time) {
    Bench bench;
    bench.golden_outputs({2, 3, 4, 5, 6, 11, 21, 31, 41, 52});
    const auto result = bench.run();
    CHECK(!result.timing);
    CHECK_CONTAINS(result.problem, "1 of 10 output values differ, the first in vector 1, output 1, index 1: 51 instead of 52");
    CHECK(result.outputs_crc32 != result.expected_crc32);
    const auto text = report(bench.options, result);
    CHECK(!check::contains(text, "_ms\""));
    CHECK_CONTAINS(text, "\"differing_values\": 1");
}

TEST(wrong_bits_within_the_tolerance_are_reported_and_measured) {
    Bench bench;
    bench.golden_outputs({2, 3, 4, 5, 6, 11, 21, 31, 41, 52});
    bench.options.tolerance = 1;
    const auto result = bench.run();
    CHECK(result.timing);
    CHECK_EQUAL(result.golden.differing, 1u);
    CHECK_EQUAL(result.golden.largest_distance, 1.0);
}

TEST(a_model_that_goes_wrong_while_measured_gives_no_time) {
    Bench bench;
    bench.prepare = [](FakeRuntime& runtime) {
        runtime.each_run = [](int run, FakeRuntime& itself) { itself.in[0][0] += run == 8 ? 1 : 0; };  // the last measured run
    };
    const auto result = bench.run();
    CHECK(!result.timing);
    CHECK_CONTAINS(result.problem, "after the measured runs 1 of 5 output values differ");
}

TEST(measured_runs_cannot_pass_on_what_the_proof_left) {
    Bench bench;
    bench.folder.file("input.bin", std::vector<std::uint8_t>{1, 2, 3, 4, 5});
    bench.golden_outputs({2, 3, 4, 5, 6});
    bench.prepare = [](FakeRuntime& runtime) {
        runtime.each_run = [](int run, FakeRuntime& itself) { itself.dead = run >= 1; };  // right once, then nothing is computed
    };
    CHECK_CONTAINS(bench.run().problem, "after the measured runs 5 of 5");
}

TEST(a_changed_model_is_not_even_loaded) {
    Bench bench;
    bench.options.model_crc32 = 0x12345679u;
    const auto result = bench.run();
    CHECK(bench.runtime == nullptr);
    CHECK(!result.timing);
    CHECK_EQUAL(result.problem, "the model file changed: its CRC32 is 12345678, not 12345679");
    bench.options.model_crc32 = 0x12345678u;
    CHECK(bench.run().timing);
}

TEST(seconds_bound_the_measurement) {
    Bench bench;
    bench.options.seconds = 0.02;  // the fake clock gains 1 ms a reading, two readings a run
    CHECK_EQUAL(bench.run().timing->runs_nanoseconds.size(), 10u);
    bench.options.seconds = 1e-9;  // shorter than a run: there is always one
    CHECK_EQUAL(bench.run().timing->runs_nanoseconds.size(), 1u);
}

TEST(processors_are_chosen_before_the_runtime_starts_threads) {
    Bench bench;
    bench.options.cpus = {1, 2};
    bench.prepare = [&](FakeRuntime&) { CHECK_EQUAL(bench.port.pinned.size(), 2u); };
    bench.run();
}

TEST(golden_vectors_of_another_model_are_refused) {
    Bench bench;
    bench.golden_outputs({1, 2, 3});
    CHECK_CONTAINS(MESSAGE_OF(Failure, bench.run()), "output.bin has 3 bytes");
}

TEST(the_report_has_the_board_before_and_after) {
    Bench bench;
    bench.port.states = {{41.5, 1500.0, 0u}, {60.25, 600.0, 0x40004u}};
    const auto result = bench.run();
    CHECK_EQUAL(result.timing->warnings.size(), 1u);
    const auto text = report(bench.options, result);
    CHECK_CONTAINS(text, "\"temperature_celsius\": 41.500000");
    CHECK_CONTAINS(text, "\"temperature_celsius\": 60.250000");
    CHECK_CONTAINS(text, "\"throttled_bits\": 262148");
    CHECK_CONTAINS(text, "\"throttled_now\": [\"throttled\"]");
    CHECK_CONTAINS(text, "\"warnings\": [\"the board throttled");
    CHECK_CONTAINS(text, "\"board\": \"A \\\"board\\\"\\ufffd\"");
    CHECK_CONTAINS(text, "\"peak_memory_bytes\": 4096");
}

}  // namespace
