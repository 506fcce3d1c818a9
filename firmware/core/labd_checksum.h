/* The checksum over all layers' outputs: order-sensitive, by 32-bit words, the same for either byte order. */
#ifndef LABD_CHECKSUM_H
#define LABD_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define LABD_CHECKSUM_START 0x811C9DC5u

static inline uint32_t labd_checksum_word(uint32_t sum, uint32_t word) {
    sum ^= word;
    sum = (sum << 5) | (sum >> 27);
    return sum * 0x9E3779B1u;
}

/* Four bytes a word, the first lowest; count is a multiple of four. */
static inline uint32_t labd_checksum_bytes(uint32_t sum, const int8_t *bytes, size_t count) {
    for (size_t i = 0; i + 4u <= count; i += 4u) {
        const uint32_t low = (uint32_t)(uint8_t)bytes[i] | (uint32_t)(uint8_t)bytes[i + 1u] << 8;
        const uint32_t high = (uint32_t)(uint8_t)bytes[i + 2u] | (uint32_t)(uint8_t)bytes[i + 3u] << 8;
        sum = labd_checksum_word(sum, low | high << 16);
    }
    return sum;
}

#endif
