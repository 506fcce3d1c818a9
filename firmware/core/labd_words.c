#include "labd_words.h"

#include <stddef.h>
#include <string.h>

static bool is_digit(char character) { return character >= '0' && character <= '9'; }

char *labd_next_word(char **cursor) {
    char *start = *cursor + strspn(*cursor, " ");
    if (*start == '\0') {
        *cursor = start;
        return NULL;
    }
    char *end = start + strcspn(start, " ");
    *cursor = *end == '\0' ? end : end + 1;
    *end = '\0';
    return start;
}

bool labd_same(const char *a, const char *b) { return strcmp(a, b) == 0; }

bool labd_number(const char *word, uint32_t low, uint32_t high, uint32_t *value) {
    uint64_t sum = 0;
    if (word == NULL || *word == '\0') {
        return false;
    }
    for (; *word != '\0'; word++) {
        if (!is_digit(*word)) {
            return false;
        }
        sum = 10u * sum + (uint64_t)(*word - '0');
        if (sum > high) {
            return false;
        }
    }
    if (sum < low) {
        return false;
    }
    *value = (uint32_t)sum;
    return true;
}

int32_t labd_leading_number(const char *word) {
    const bool negative = *word == '-';
    int64_t sum = 0;
    if (*word == '-' || *word == '+') {
        word++;
    }
    for (; is_digit(*word) && sum <= INT32_MAX; word++) {
        sum = 10 * sum + (*word - '0');
    }
    if (sum > INT32_MAX) {
        sum = INT32_MAX;
    }
    return (int32_t)(negative ? -sum : sum);
}

int labd_hex_digit(char character) {
    if (is_digit(character)) {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return -1;
}
