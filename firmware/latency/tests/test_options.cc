// The command line: what is taken, and one clear message for everything else.
#include "core/errors.h"
#include "core/options.h"
#include "tests/check.h"

namespace {

using namespace edgekit;

Options with(std::vector<std::string> more) {
    std::vector<std::string> words{"--library", "l", "--model", "m", "--golden", "g"};
    words.insert(words.end(), more.begin(), more.end());
    return parse_options(words);
}

TEST(defaults) {
    const auto options = with({});
    CHECK_EQUAL(options.library, "l");
    CHECK_EQUAL(options.model, "m");
    CHECK_EQUAL(options.golden, "g");
    CHECK(options.kernels == Kernels::xnnpack);
    CHECK_EQUAL(options.threads, 1);
    CHECK_EQUAL(options.warm_up, 10);
    CHECK_EQUAL(options.iterations, 100);
    CHECK(!options.seconds && !options.model_crc32 && options.cpus.empty());
    CHECK_EQUAL(options.tolerance, 0.0);
}

TEST(every_option_is_taken) {
    const auto options = with({"--kernels", "optimized", "--threads",     "4",    "--warm-up",     "0",        "--seconds",         "0.5",
                               "--cpus",    "3,1,3",     "--tolerance",   "1e-4", "--model-crc32", "0012abEF", "--runtime-version", "2.1.6",
                               "--image",   "i",         "--input-table", "t"});
    CHECK(options.kernels == Kernels::optimized);
    CHECK_EQUAL(options.threads, 4);
    CHECK_EQUAL(options.warm_up, 0);
    CHECK_EQUAL(*options.seconds, 0.5);
    CHECK((options.cpus == std::vector<int>{1, 3}));
    CHECK_EQUAL(options.tolerance, 1e-4);
    CHECK_EQUAL(*options.model_crc32, 0x12ABEFu);
    CHECK_EQUAL(options.runtime_version, "2.1.6");
    CHECK_EQUAL(options.image, "i");
    CHECK_EQUAL(options.input_table, "t");
    CHECK_EQUAL(with({"--iterations", "1000000"}).iterations, 1'000'000);
}

TEST(help_needs_nothing_else) {
    CHECK(parse_options({"--help"}).help);
    for (const char* option : {"--library", "--model", "--golden", "--kernels", "--threads", "--warm-up", "--iterations", "--seconds",
                               "--cpus", "--tolerance", "--model-crc32", "--runtime-version", "--image", "--input-table"}) {
        CHECK_CONTAINS(usage(), option);
    }
}

TEST(wrong_values_are_named) {
    const std::vector<std::vector<std::string>> wrong = {
        {"--threads", "0"},
        {"--threads", "257"},
        {"--threads", "four"},
        {"--threads", "4x"},
        {"--threads", ""},
        {"--threads", " 4"},
        {"--threads", "+4"},
        {"--warm-up", "-1"},
        {"--iterations", "0"},
        {"--iterations", "1000001"},
        {"--iterations", "99999999999999999999"},
        {"--seconds", "0"},
        {"--seconds", "nan"},
        {"--seconds", "inf"},
        {"--seconds", "1e9"},
        {"--cpus", ""},
        {"--cpus", "0,"},
        {"--cpus", ",0"},
        {"--cpus", "1024"},
        {"--cpus", "-1"},
        {"--kernels", "XNNPACK"},
        {"--tolerance", "0"},
        {"--tolerance", "-1"},
        {"--model-crc32", "12345"},
        {"--model-crc32", "1234567g"},
        {"--model-crc32", "-1234567"},
        {"--runtime-version", ""},
    };
    for (const auto& words : wrong) {
        CHECK_CONTAINS(MESSAGE_OF(UsageError, with(words)), words[0] + " takes ");
    }
}

TEST(what_is_missing_unknown_or_too_much_is_named) {
    CHECK_EQUAL(MESSAGE_OF(UsageError, parse_options({})), "--library is missing");
    CHECK_EQUAL(MESSAGE_OF(UsageError, parse_options({"--library", "l", "--model", "m"})), "--golden is missing");
    CHECK_EQUAL(MESSAGE_OF(UsageError, with({"--fast"})), "unknown option '--fast'");
    CHECK_EQUAL(MESSAGE_OF(UsageError, with({"model.tflite"})), "unknown option 'model.tflite'");
    CHECK_EQUAL(MESSAGE_OF(UsageError, with({"--threads"})), "--threads needs a value");
    CHECK_EQUAL(MESSAGE_OF(UsageError, with({"--model", "n"})), "--model is given twice");
    CHECK_CONTAINS(MESSAGE_OF(UsageError, with({"--iterations", "5", "--seconds", "1"})), "exclude each other");
    CHECK_CONTAINS(MESSAGE_OF(UsageError, with({"--image", "i"})), "--image and --input-table belong together");
}

}  // namespace
