/* How far a counter would have gone that stood still in sleep, told by a slow one that did not. */
#ifndef SLOW_CLOCK_H
#define SLOW_CLOCK_H

#include <stdint.h>

struct slow_clock {
    uint32_t numerator, denominator; /* a tick of the slow counter is so many of the fast one */
    uint32_t left;                   /* of a fast tick, in 1 / denominator: it goes into the next sleep, so that none is lost */
};

/* What the fast counter missed while the slow one went on by `slow_ticks` and itself by `fast_ticks`. Never negative: time that a coarse
 * clock has not seen is not taken back. */
uint32_t slow_clock_missed(struct slow_clock *clock, uint32_t slow_ticks, uint32_t fast_ticks);

#endif
