// Images: what is read and what is refused, the rule's rounding, the table. tests/firmware/test_image.py compares with Python.
#include "core/errors.h"
#include "core/image.h"
#include "tests/check.h"
#include "tests/scratch.h"

namespace {

using namespace edgekit;
using Bytes = std::vector<std::uint8_t>;

TEST(an_image_with_comments_is_read) {
    const Scratch folder;
    const auto image = read_ppm(folder.file("a.ppm", std::string("P6 # two wide\n2\t1 #\n255\n") + "abcdef"));
    CHECK_EQUAL(image.rows, 1u);
    CHECK_EQUAL(image.columns, 2u);
    CHECK((image.pixels == Bytes{'a', 'b', 'c', 'd', 'e', 'f'}));
    CHECK_EQUAL(read_ppm(folder.file("b.ppm", std::string("P5 1 2 255 \n\n"))).channels, 1u);  // pixels may look like blanks
}

TEST(broken_images_are_refused) {
    const Scratch folder;
    const auto message = [&](const std::string& content) { return MESSAGE_OF(Failure, read_ppm(folder.file("a.ppm", content))); };
    CHECK_CONTAINS(message(""), "no binary PPM");
    CHECK_CONTAINS(message("P3 1 1 255 0 0 0"), "no binary PPM");
    CHECK_CONTAINS(message("P6"), "damaged");
    CHECK_CONTAINS(message("P6 1 1 255"), "damaged");
    CHECK_CONTAINS(message("P6 1 -1 255 abc"), "damaged");
    CHECK_CONTAINS(message("P6 1 1 65535 abcdef"), "its highest value is 65535");
    CHECK_CONTAINS(message("P6 2 2 255 abc"), "has 3 bytes for 2 x 2 pixels");
    CHECK_CONTAINS(message("P6 0 1 255 abc"), "0 pixels");
    CHECK_CONTAINS(message("P6 268435456 268435456 255 abc"), "damaged");  // times 3 in 64 bits; nothing of that size is made
    CHECK_CONTAINS(message("P6 99999999999999999999 1 255 abc"), "damaged");
    CHECK_CONTAINS(MESSAGE_OF(Failure, read_ppm(folder.path)), "is no plain file");
}

TEST(a_tie_is_rounded_up_after_each_axis) {
    CHECK((fit({1, 2, 1, {0, 1}}, {2}).pixels == Bytes{0, 1}));
    CHECK((fit({1, 2, 1, {0, 1}}, {1}).pixels == Bytes{1}));                  // 0.5
    CHECK((fit({2, 2, 1, {0, 1, 0, 0}}, {1, 1, 1}).pixels == Bytes{1}));      // rows: 0, 0.5 -> 1; columns: 0.5
    CHECK((fit({1, 4, 1, {0, 0, 255, 255}}, {2}).pixels == Bytes{36, 219}));  // weights 6 6 2 of 14
    CHECK((fit({1, 2, 1, {0, 255}}, {4}).pixels == Bytes{0, 64, 191, 255}));  // 63.75, 191.25
    CHECK((fit({1, 3, 1, {1, 2, 3}}, {1, 1, 3}).pixels == Bytes{2, 2, 2}));   // the middle, in three channels
    CHECK((fit({1, 1, 3, {0, 1, 0}}, {1, 1, 1}).pixels == Bytes{1}));         // 0.587
}

TEST(the_table_has_a_row_for_each_channel) {
    Bytes table(2 * pixel_values);
    table[7] = 1;
    table[pixel_values + 7] = 2;
    CHECK((look_up({1, 1, 2, {7, 7}}, table, 1) == Bytes{1, 2}));
    table.assign(pixel_values * 2, 0);
    table[3 * 2] = 5;
    table[3 * 2 + 1] = 6;
    CHECK((look_up({1, 1, 1, {3}}, table, 2) == Bytes{5, 6}));  // values of two bytes
    CHECK_CONTAINS(MESSAGE_OF(Failure, look_up({1, 1, 3, {0, 0, 0}}, table, 1)), "3 channels of this model need 768");
}

}  // namespace
