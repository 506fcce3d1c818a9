/* Words and numbers of a command line. */
#ifndef LABD_WORDS_H
#define LABD_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* The next word, cut out in place (separated by one or more spaces), or NULL. Moves the cursor past it. */
char *labd_next_word(char **cursor);

bool labd_same(const char *a, const char *b);

/* A whole word of decimal digits within [low, high]; false (and `value` untouched) for anything else. */
bool labd_number(const char *word, uint32_t low, uint32_t high, uint32_t *value);

/* The MLPerf commands read numbers as C's atoi does: leading digits count, none is 0. Beyond 32 bits it saturates, where atoi is undefined. */
int32_t labd_leading_number(const char *word);

/* 0..15, or -1. */
int labd_hex_digit(char character);

#endif
