/* Seeded draws, the same on every machine: Murmur3's 32-bit finaliser over a Weyl sequence (the scheme of SplitMix, Steele et al. 2014). */
#ifndef LABD_RANDOM_H
#define LABD_RANDOM_H

#include <stdint.h>

struct labd_random {
    uint32_t state;
};

void labd_random_seed(struct labd_random *random, uint32_t seed);
uint32_t labd_random_draw(struct labd_random *random);

/* Uniform in [-2^(bits-1), 2^(bits-1)), from the upper bits of one draw. bits 1..31. */
int32_t labd_random_signed(struct labd_random *random, unsigned bits);

#endif
