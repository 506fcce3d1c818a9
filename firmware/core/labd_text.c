#include "labd_text.h"

static void send(struct labd_text *text) {
    if (text->length > 0u) {
        text->hal->uart_send(text->hal->context, text->bytes, text->length);
        text->length = 0;
    }
}

static void put_character(struct labd_text *text, char character) {
    text->bytes[text->length++] = character;
    if (character == '\n' || text->length == LABD_TEXT_SIZE) {
        send(text);
    }
}

void labd_text_init(struct labd_text *text, const struct labd_hal *hal) {
    text->hal = hal;
    text->length = 0;
}

void labd_put(struct labd_text *text, const char *string) {
    for (; *string != '\0'; string++) {
        put_character(text, *string);
    }
}

void labd_put_echo(struct labd_text *text, const char *string) {
    for (; *string != '\0'; string++) {
        const unsigned char character = (unsigned char)*string;
        put_character(text, character < 0x20u || character > 0x7Eu ? '?' : *string);
    }
}

void labd_put_number(struct labd_text *text, uint64_t value) {
    char digits[21];
    unsigned at = sizeof digits - 1u;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + (char)(value % 10u));
        value /= 10u;
    } while (value > 0u);
    labd_put(text, &digits[at]);
}

void labd_put_hex(struct labd_text *text, uint32_t value, unsigned digits) {
    while (digits > 0u) {
        digits--;
        put_character(text, "0123456789abcdef"[(value >> (4u * digits)) & 15u]);
    }
}

void labd_put_line(struct labd_text *text, const char *head, const char *string, const char *tail) {
    labd_put(text, head);
    labd_put_echo(text, string);
    labd_put(text, tail);
    labd_put(text, "\r\n");
}

void labd_put_number_line(struct labd_text *text, const char *head, uint64_t value, const char *tail) {
    labd_put(text, head);
    labd_put_number(text, value);
    labd_put(text, tail);
    labd_put(text, "\r\n");
}
