// CRC-32, statistics, JSON, throttling bits.
#include <cmath>
#include <limits>

#include "core/crc32.h"
#include "core/json.h"
#include "core/statistics.h"
#include "core/throttling.h"
#include "tests/check.h"

namespace {

using namespace edgekit;

constexpr std::int64_t ms = 1'000'000;

TEST(crc32_of_the_check_string) {
    Crc32 crc32;  // the value that every description of this CRC gives for these nine digits
    crc32.add("123456789", 9);
    CHECK_EQUAL(crc32.value(), 0xCBF43926u);
}

TEST(crc32_of_nothing_is_zero_and_parts_add_up) {
    CHECK_EQUAL(Crc32().value(), 0u);
    Crc32 parts;
    parts.add("1234", 4);
    parts.add("", 0);
    parts.add("56789", 5);
    CHECK_EQUAL(parts.value(), 0xCBF43926u);
}

TEST(statistics_of_one_run) {
    const auto statistics = statistics_of({7 * ms});
    CHECK_EQUAL(statistics.min, 7.0);
    CHECK_EQUAL(statistics.p50, 7.0);
    CHECK_EQUAL(statistics.p99, 7.0);
    CHECK_EQUAL(statistics.max, 7.0);
    CHECK_EQUAL(statistics.standard_deviation, 0.0);
}

TEST(percentiles_are_runs_that_happened) {
    std::vector<std::int64_t> runs;
    for (int i = 100; i >= 1; --i) {  // falling, so that an unsorted list would show
        runs.push_back(i * ms);
    }
    const auto hundred = statistics_of(runs);
    CHECK_EQUAL(hundred.p50, 50.0);  // half of the runs took at most 50 ms
    CHECK_EQUAL(hundred.p90, 90.0);
    CHECK_EQUAL(hundred.p99, 99.0);
    CHECK_EQUAL(hundred.mean, 50.5);
    runs.push_back(101 * ms);  // 101 runs: ranks 50.5, 90.9 and 99.99 go up to 51, 91 and 100
    const auto more = statistics_of(runs);
    CHECK_EQUAL(more.p50, 51.0);
    CHECK_EQUAL(more.p90, 91.0);
    CHECK_EQUAL(more.p99, 100.0);
}

TEST(standard_deviation_is_that_of_a_sample) {
    // 1, 3: mean 2, squares 1 + 1, divided by n - 1 = 1.
    CHECK_EQUAL(statistics_of({1 * ms, 3 * ms}).standard_deviation, std::sqrt(2.0));
}

TEST(json_is_nested_and_separated) {
    JsonWriter json;
    json.text("a", "b");
    json.open("empty");
    json.close();
    json.open("inner");
    json.integer("n", -3);
    json.integers("list", {1, 2});
    json.texts("none", {});
    json.close();
    json.boolean("last", true);
    CHECK_EQUAL(json.finish(),
                "{\n  \"a\": \"b\",\n  \"empty\": {},\n  \"inner\": {\n    \"n\": -3,\n    \"list\": [1, 2],\n    \"none\": []\n  },\n"
                "  \"last\": true\n}\n");
}

TEST(json_strings_cannot_break_out) {
    CHECK_EQUAL(quoted("a\"b\\c\n\x01\xff"), "\"a\\\"b\\\\c\\ufffd\\ufffd\\ufffd\"");
    CHECK_EQUAL(quoted(""), "\"\"");
}

TEST(json_has_no_infinite_numbers) {
    JsonWriter json;
    json.number("inf", std::numeric_limits<double>::infinity());
    json.number("nan", std::nan(""));
    json.number("huge", 1e300);  // 301 digits before the point
    const auto text = json.finish();
    CHECK_CONTAINS(text, "\"inf\": null,\n  \"nan\": null");
    CHECK_CONTAINS(text, ".000000\n}");
}

TEST(crc32_keeps_its_leading_zeros) {
    JsonWriter json;
    json.crc32("c", 0xAB);
    CHECK_CONTAINS(json.finish(), "\"000000ab\"");
}

TEST(bits_have_names) {
    const auto now = throttling_now(0x50005);
    CHECK_EQUAL(now.size(), 2u);
    CHECK_EQUAL(now[0], "under-voltage");
    CHECK_EQUAL(now[1], "throttled");
}

TEST(no_warning_where_nothing_happened_or_nothing_is_known) {
    CHECK(throttling_warnings(0, 0).empty());
    CHECK(throttling_warnings(std::nullopt, std::nullopt).empty());
    CHECK(throttling_warnings(0x1, std::nullopt).empty());
}

TEST(throttling_at_either_end_warns) {
    for (const auto& [before, after] : {std::pair{0x4u, 0u}, std::pair{0u, 0x4u}}) {
        const auto warnings = throttling_warnings(before, after);
        CHECK_EQUAL(warnings.size(), 1u);
        CHECK_CONTAINS(warnings[0], "while it was measured (throttled)");
    }
}

TEST(throttling_between_the_ends_shows_in_the_bits_since_boot) {
    const auto warnings = throttling_warnings(0, 0x20000);
    CHECK_EQUAL(warnings.size(), 1u);
    CHECK_CONTAINS(warnings[0], "while it was measured (clock capped)");
}

TEST(throttling_before_the_run_is_told_apart) {
    const auto warnings = throttling_warnings(0x10000, 0x10000);
    CHECK_EQUAL(warnings.size(), 1u);
    CHECK_CONTAINS(warnings[0], "earlier since it started (under-voltage)");
}

}  // namespace
