/* Text output without printf: numbers and strings gathered into one line buffer and sent through the board's UART. */
#ifndef LABD_TEXT_H
#define LABD_TEXT_H

#include <stdint.h>

#include "labd_hal.h"

#define LABD_TEXT_SIZE 96u

struct labd_text {
    const struct labd_hal *hal;
    uint16_t length;
    char bytes[LABD_TEXT_SIZE];
};

void labd_text_init(struct labd_text *text, const struct labd_hal *hal);

/* The buffer goes out at each line feed, or when it is full. */
void labd_put(struct labd_text *text, const char *string);
void labd_put_number(struct labd_text *text, uint64_t value);

/* `digits` lower-case hexadecimal digits, leading zeros included. */
void labd_put_hex(struct labd_text *text, uint32_t value, unsigned digits);

/* Like labd_put, but all that is not printable ASCII comes out as '?', so that an echo never breaks a line. */
void labd_put_echo(struct labd_text *text, const char *string);

/* head + string + tail + CR LF, for the many replies of the form m-name-[value]. */
void labd_put_line(struct labd_text *text, const char *head, const char *string, const char *tail);
void labd_put_number_line(struct labd_text *text, const char *head, uint64_t value, const char *tail);

#endif
