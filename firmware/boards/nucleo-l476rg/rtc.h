/* The real-time clock of an STM32L4 as a counter of 1 / 32768 s that goes on in every Stop mode, and its alarm A. */
#ifndef RTC_H
#define RTC_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_HZ 32768u

/* Switch the 32.768 kHz crystal on; it takes up to 2 s (data sheet DS10198, LSE oscillator characteristics), which nobody waits for. */
void rtc_power_up(void);

/* Whether it counts; sets it up when the crystal has just become stable. */
bool rtc_runs(void);

/* Ticks of the day: wraps after 24 h. */
uint32_t rtc_ticks(void);

/* From `then` to `now`, of rtc_ticks, less than a day apart. */
uint32_t rtc_passed(uint32_t then, uint32_t now);

/* An interrupt, RTC_ALARM, `ticks` from `now`: three or more, less than a day. */
void rtc_set_alarm(uint32_t now, uint32_t ticks);

void rtc_acknowledge_alarm(void);

#endif
