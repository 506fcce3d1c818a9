#include "systick.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CONTROL 0xE000E010u
#define RELOAD 0xE000E014u
#define VALUE 0xE000E018u
#define RUN 7u /* enabled, with interrupt, at the core's clock */
#define LONGEST 0xFFFFFFu

void systick_alarm(uint64_t delay_ns) {
    const uint64_t limit_ns = LONGEST * UINT64_C(1000000000) / BOARD_CLOCK_HZ;
    const uint64_t ticks = delay_ns < limit_ns ? delay_ns * BOARD_CLOCK_HZ / UINT64_C(1000000000) + 1u : LONGEST;
    REGISTER(CONTROL) = 0;
    REGISTER(RELOAD) = (uint32_t)ticks;
    REGISTER(VALUE) = 0;
    REGISTER(CONTROL) = RUN;
}

void systick_interrupt(void) { REGISTER(CONTROL) = 0; }
