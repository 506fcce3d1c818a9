#include <stdlib.h>

#include "cases.h"
#include "check.h"
#include "labd_words.h"

static void words_are_cut_at_spaces(void) {
    char line[] = "  one   two three  ";
    char *cursor = line;
    CHECK_TEXT(labd_next_word(&cursor), "one");
    CHECK_TEXT(labd_next_word(&cursor), "two");
    CHECK_TEXT(labd_next_word(&cursor), "three");
    CHECK(labd_next_word(&cursor) == NULL);
    CHECK(labd_next_word(&cursor) == NULL);
}

static void a_number_is_whole_and_inside_its_limits_or_refused(void) {
    const char *const refused[] = {"", "-1", "+1", "1x", "x1", "1.0", "0x10", " 1", "4294967296", "99999999999999999999999999"};
    uint32_t value = 77;
    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK(!labd_number(refused[i], 0, UINT32_MAX, &value));
    }
    CHECK(!labd_number(NULL, 0, UINT32_MAX, &value));
    CHECK(!labd_number("4", 5, 6, &value));
    CHECK(!labd_number("7", 5, 6, &value));
    CHECK_EQUAL(value, 77);
    CHECK(labd_number("5", 5, 6, &value));
    CHECK_EQUAL(value, 5);
    CHECK(labd_number("4294967295", 0, UINT32_MAX, &value));
    CHECK_EQUAL(value, UINT32_MAX);
}

static void leading_numbers_read_as_atoi_does_and_saturate(void) {
    const char *const words[] = {"0", "1", "-1", "+3", "12abc", "abc", "", "-", "--2", "2147483647", "-2147483647"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        CHECK_EQUAL(labd_leading_number(words[i]), atoi(words[i]));
    }
    CHECK_EQUAL(labd_leading_number("99999999999999999999999"), INT32_MAX);
    CHECK_EQUAL(labd_leading_number("-99999999999999999999999"), -INT32_MAX);
}

static void every_byte_is_a_hexadecimal_digit_or_refused(void) {
    for (int byte = -128; byte < 128; byte++) {
        const char text[2] = {(char)byte, '\0'};
        char *end = NULL;
        const long wanted = strtol(text, &end, 16);
        CHECK_EQUAL(labd_hex_digit((char)byte), *text != '\0' && *end == '\0' ? wanted : -1);
    }
}

void word_cases(void) {
    RUN(words_are_cut_at_spaces);
    RUN(a_number_is_whole_and_inside_its_limits_or_refused);
    RUN(leading_numbers_read_as_atoi_does_and_saturate);
    RUN(every_byte_is_a_hexadecimal_digit_or_refused);
}
