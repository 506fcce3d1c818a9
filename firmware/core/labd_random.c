#include "labd_random.h"

static uint32_t finalise(uint32_t z) {
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    z = (z ^ (z >> 13)) * 0xC2B2AE35u;
    return z ^ (z >> 16);
}

void labd_random_seed(struct labd_random *random, uint32_t seed) { random->state = finalise(seed); }

uint32_t labd_random_draw(struct labd_random *random) {
    random->state += 0x9E3779B9u;
    return finalise(random->state);
}

int32_t labd_random_signed(struct labd_random *random, unsigned bits) {
    const int32_t half = (int32_t)(UINT32_C(1) << (bits - 1u));
    return (int32_t)(labd_random_draw(random) >> (32u - bits)) - half;
}
