#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "check.h"
#include "labd_text.h"

static char sent[1024];
static unsigned sends;

static void gather(void *context, const char *bytes, uint16_t length) {
    (void)context;
    sends++;
    strncat(sent, bytes, length);
}

static const struct labd_hal HAL = {.uart_send = gather};

static struct labd_text fresh(void) {
    struct labd_text text;
    sent[0] = '\0';
    sends = 0;
    labd_text_init(&text, &HAL);
    return text;
}

static void numbers_print_as_printf_does(void) {
    const uint64_t values[] = {0, 1, 9, 10, 99, 100, 4294967295u, 4294967296u, UINT64_MAX};
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
        char wanted[32];
        struct labd_text text = fresh();
        labd_put_number_line(&text, "", values[i], "");
        (void)snprintf(wanted, sizeof wanted, "%llu\r\n", (unsigned long long)values[i]);
        CHECK_TEXT(sent, wanted);
    }
}

static void hexadecimal_keeps_its_leading_zeros(void) {
    struct labd_text text = fresh();
    labd_put_hex(&text, 0x00BEEF01u, 8u);
    labd_put_hex(&text, 0xFAu, 2u);
    labd_put(&text, "\n");
    CHECK_TEXT(sent, "00beef01fa\n");
}

static void a_line_leaves_in_one_piece_and_a_long_one_in_several(void) {
    char wanted[300] = "";
    struct labd_text text = fresh();
    labd_put_line(&text, "a", "b", "c");
    CHECK_EQUAL(sends, 1);
    text = fresh();
    for (int i = 0; i < 250; i++) {
        labd_put(&text, "x");
        strcat(wanted, "x");
    }
    labd_put(&text, "\n");
    strcat(wanted, "\n");
    CHECK_TEXT(sent, wanted);
    CHECK_EQUAL(sends, 3);
}

static void an_echo_cannot_break_a_line(void) {
    struct labd_text text = fresh();
    labd_put_line(&text, "[", "a\r\nb\tc\x7F\xFFz~", "]");
    CHECK_TEXT(sent, "[a??b?c??z~]\r\n");
}

void text_cases(void) {
    RUN(numbers_print_as_printf_does);
    RUN(hexadecimal_keeps_its_leading_zeros);
    RUN(a_line_leaves_in_one_piece_and_a_long_one_in_several);
    RUN(an_echo_cannot_break_a_line);
}
