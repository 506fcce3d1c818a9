#include "slow_clock.h"

uint32_t slow_clock_missed(struct slow_clock *clock, uint32_t slow_ticks, uint32_t fast_ticks) {
    const uint64_t passed = (uint64_t)slow_ticks * clock->numerator + clock->left;
    const uint32_t whole = (uint32_t)(passed / clock->denominator);
    if (whole < fast_ticks) {
        return 0;
    }
    clock->left = (uint32_t)(passed % clock->denominator);
    return whole - fast_ticks;
}
