// Golden vectors: files that do not fit are refused, every difference is counted.
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/errors.h"
#include "core/golden.h"
#include "tests/check.h"
#include "tests/scratch.h"

namespace {

using namespace edgekit;

const std::vector<TensorType> two_bytes{{ElementType::int8, 2}}, three_bytes{{ElementType::uint8, 1}, {ElementType::int16, 1}};

template <typename Value>
std::vector<std::uint8_t> bytes(const std::vector<Value>& values) {
    std::vector<std::uint8_t> raw(values.size() * sizeof(Value));
    std::memcpy(raw.data(), values.data(), raw.size());
    return raw;
}

template <typename Value>
Comparison compared(ElementType type, const std::vector<Value>& expected, const std::vector<Value>& got) {
    Comparison comparison;
    comparison.add(0, {{type, expected.size()}}, bytes(expected), bytes(got));
    return comparison;
}

TEST(vectors_are_read_in_any_order) {
    const Scratch folder;
    folder.file("input.bin", std::string("abcdef"));
    folder.file("output.bin", std::string("123456789"));
    GoldenVectors golden(folder.path, two_bytes, three_bytes);
    CHECK_EQUAL(golden.count(), 3u);
    CHECK((golden.input(2) == std::vector<std::uint8_t>{'e', 'f'}));
    CHECK((golden.output(0) == std::vector<std::uint8_t>{'1', '2', '3'}));
    CHECK((golden.input(0) == std::vector<std::uint8_t>{'a', 'b'}));
}

TEST(files_that_do_not_fit_are_refused) {
    const auto message = [](const std::string& input, const std::string& output) {
        const Scratch folder;
        folder.file("input.bin", input);
        folder.file("output.bin", output);
        return MESSAGE_OF(Failure, GoldenVectors(folder.path, two_bytes, three_bytes));
    };
    CHECK_CONTAINS(message("", "123"), "input.bin has 0 bytes");        // no vector proves nothing
    CHECK_CONTAINS(message("abc", "123"), "input.bin has 3 bytes");     // half a vector
    CHECK_CONTAINS(message("ab", "12"), "output.bin has 2 bytes");      // of another model
    CHECK_CONTAINS(message("ab", "123456"), "1 inputs and 2 outputs");  // one without the other
}

TEST(what_is_no_plain_file_is_refused) {
    const Scratch folder;
    CHECK_CONTAINS(MESSAGE_OF(Failure, GoldenVectors(folder.path, two_bytes, three_bytes)), "input.bin does not exist");
    CHECK_EQUAL(mkfifo((folder.path + "/input.bin").c_str(), 0600), 0);  // reading it would wait for ever
    CHECK_CONTAINS(MESSAGE_OF(Failure, GoldenVectors(folder.path, two_bytes, three_bytes)), "input.bin is no plain file");
}

TEST(a_file_that_shrinks_is_noticed) {
    const Scratch folder;
    folder.file("input.bin", std::string("abcd"));
    folder.file("output.bin", std::string("123456"));
    GoldenVectors golden(folder.path, two_bytes, three_bytes);
    folder.file("input.bin", std::string("ab"));
    CHECK_CONTAINS(MESSAGE_OF(Failure, golden.input(1)), "cannot read vector 1");
}

TEST(equal_is_equal) {
    const auto comparison = compared<std::int8_t>(ElementType::int8, {1, -128, 127}, {1, -128, 127});
    CHECK_EQUAL(comparison.values, 3u);
    CHECK_EQUAL(comparison.differing, 0u);
    CHECK(comparison.accepted(0));
}

TEST(integers_differ_in_steps) {
    const auto comparison = compared<std::int8_t>(ElementType::int8, {1, -128, 5}, {2, 127, 5});
    CHECK_EQUAL(comparison.differing, 2u);
    CHECK_EQUAL(comparison.largest_distance, 255.0);  // the whole range: a difference in int8 would wrap to -1
    CHECK_EQUAL(comparison.first->index, 0u);
    CHECK_EQUAL(comparison.first->expected, 1.0);
    CHECK_EQUAL(comparison.first->got, 2.0);
    CHECK(!comparison.accepted(0));
    CHECK(!comparison.accepted(254));
    CHECK(comparison.accepted(255));
}

TEST(every_element_type_is_compared_as_itself) {
    CHECK_EQUAL(compared<std::uint8_t>(ElementType::uint8, {0}, {255}).largest_distance, 255.0);
    CHECK_EQUAL(compared<std::int16_t>(ElementType::int16, {-32768}, {32767}).largest_distance, 65535.0);
    CHECK_EQUAL(compared<std::int32_t>(ElementType::int32, {INT32_MIN}, {INT32_MAX}).largest_distance, 4294967295.0);
    CHECK_EQUAL(compared<std::int64_t>(ElementType::int64, {-1}, {1}).largest_distance, 2.0);
    CHECK_EQUAL(compared<float>(ElementType::float32, {0.5F}, {0.25F}).largest_distance, 0.25);
}

TEST(floats_are_measured_by_the_largest_value) {
    CHECK_EQUAL(compared<float>(ElementType::float32, {-8, 1}, {-8, 2}).largest_distance, 0.125);
    CHECK_EQUAL(compared<float>(ElementType::float32, {0.001F, 0}, {0.001F, 1}).largest_distance, 1.0);  // or 1, if all are small
}

TEST(floats_are_equal_by_their_bits) {
    const auto zeros = compared<float>(ElementType::float32, {0.0F}, {-0.0F});
    CHECK_EQUAL(zeros.differing, 1u);
    CHECK(!zeros.accepted(0));
    CHECK(zeros.accepted(1e-9));
    const float nan = std::nanf("");
    CHECK_EQUAL(compared<float>(ElementType::float32, {nan}, {nan}).differing, 0u);
}

TEST(no_tolerance_takes_a_nan) {
    const float nan = std::nanf("");
    CHECK(!compared<float>(ElementType::float32, {1, 2}, {nan, 2}).accepted(1e9));
    CHECK(!compared<float>(ElementType::float32, {nan, 2}, {1, 3}).accepted(1e9));
    CHECK(!compared<float>(ElementType::float32, {1, 2}, {std::numeric_limits<float>::infinity(), 3}).accepted(1e9));
}

TEST(the_second_output_is_found_behind_the_first) {
    Comparison comparison;
    comparison.add(7, three_bytes, {1, 2, 3}, {1, 2, 4});  // 0x0302 and 0x0402
    CHECK_EQUAL(comparison.values, 2u);
    CHECK_EQUAL(comparison.first->vector, 7u);
    CHECK_EQUAL(comparison.first->output, 1u);
    CHECK_EQUAL(comparison.largest_distance, 256.0);
}

}  // namespace
