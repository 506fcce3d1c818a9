/* The alarm of boards whose SysTick goes on in WFI. */
#ifndef SYSTICK_H
#define SYSTICK_H

#include <stdint.h>

void systick_alarm(uint64_t delay_ns);

void systick_interrupt(void);

#endif
