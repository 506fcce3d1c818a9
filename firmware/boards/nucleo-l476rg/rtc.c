/* Registers and sequences: ST reference manual RM0351, chapters RTC, PWR and RCC. */
#include "rtc.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define RCC_APB1ENR1 0x40021058u
#define RCC_BDCR 0x40021090u
#define LSE_ON 0x1u
#define LSE_READY 0x2u
#define RTC_ON_LSE 0x8100u /* RTCEN, RTCSEL: LSE */
#define RTC_SOURCE 0x8300u
#define PWR_CR1 0x40007000u
#define BACKUP_ACCESS 0x100u

#define RTC_TR 0x40002800u
#define RTC_CR 0x40002808u
#define RTC_ISR 0x4000280Cu
#define RTC_PRER 0x40002810u
#define RTC_ALRMAR 0x4000281Cu
#define RTC_WPR 0x40002824u
#define RTC_SSR 0x40002828u
#define RTC_ALRMASSR 0x40002844u
#define CR_BYPASS_SHADOW 0x20u
#define CR_ALARM 0x100u
#define CR_ALARM_INTERRUPT 0x1000u
#define ISR_ALARM_WRITABLE 0x1u
#define ISR_INITIALISABLE 0x40u
#define ISR_INITIALISE 0x80u
#define ISR_ALARM 0x100u
#define ANY_DAY 0x80000000u
#define ALL_SUBSECONDS 0x0F000000u

#define EXTI_IMR1 0x40010400u
#define EXTI_RTSR1 0x40010408u
#define EXTI_PR1 0x40010414u
#define LINE_ALARM (UINT32_C(1) << 18)

#define DAY_S 86400u
#define DAY_TICKS (DAY_S * RTC_HZ)

void rtc_power_up(void) {
    REGISTER(RCC_APB1ENR1) |= UINT32_C(1) << 28; /* PWR */
    (void)REGISTER(RCC_APB1ENR1);
    REGISTER(PWR_CR1) |= BACKUP_ACCESS;
    while ((REGISTER(PWR_CR1) & BACKUP_ACCESS) == 0u) {
    }
    REGISTER(RCC_BDCR) |= LSE_ON;
}

static void start_counting(void) {
    REGISTER(RCC_BDCR) = (REGISTER(RCC_BDCR) & ~RTC_SOURCE) | RTC_ON_LSE;
    REGISTER(RTC_WPR) = 0xCAu;
    REGISTER(RTC_WPR) = 0x53u;
    REGISTER(RTC_ISR) = ISR_INITIALISE;
    while ((REGISTER(RTC_ISR) & ISR_INITIALISABLE) == 0u) {
    }
    REGISTER(RTC_PRER) = RTC_HZ - 1u; /* the synchronous part first, then the asynchronous one: two writes */
    REGISTER(RTC_PRER) = RTC_HZ - 1u;
    REGISTER(RTC_TR) = 0;
    REGISTER(RTC_CR) = CR_BYPASS_SHADOW; /* shadow registers are stale after Stop */
    REGISTER(RTC_ISR) = 0;
    REGISTER(EXTI_RTSR1) |= LINE_ALARM;
    REGISTER(EXTI_IMR1) |= LINE_ALARM;
}

bool rtc_runs(void) {
    static bool counts;
    if (!counts && (REGISTER(RCC_BDCR) & LSE_READY) != 0u) {
        start_counting();
        counts = true;
    }
    return counts;
}

static uint32_t of_bcd(uint32_t digits) { return (digits >> 4) * 10u + (digits & 0xFu); }

static uint32_t bcd(uint32_t number) { return number / 10u << 4 | number % 10u; }

/* Without shadow registers time and subseconds are read until two looks agree. */
uint32_t rtc_ticks(void) {
    uint32_t time = REGISTER(RTC_TR), subseconds = REGISTER(RTC_SSR);
    for (;;) {
        const uint32_t time_again = REGISTER(RTC_TR), subseconds_again = REGISTER(RTC_SSR);
        if (time == time_again && subseconds == subseconds_again) {
            break;
        }
        time = time_again;
        subseconds = subseconds_again;
    }
    const uint32_t seconds = of_bcd(time >> 16 & 0x3Fu) * 3600u + of_bcd(time >> 8 & 0x7Fu) * 60u + of_bcd(time & 0x7Fu);
    return seconds * RTC_HZ + (RTC_HZ - 1u - subseconds); /* the subseconds count down */
}

uint32_t rtc_passed(uint32_t then, uint32_t now) { return now >= then ? now - then : DAY_TICKS - then + now; }

void rtc_set_alarm(uint32_t now, uint32_t ticks) {
    const uint32_t left = DAY_TICKS - now;
    const uint32_t due = ticks < left ? now + ticks : ticks - left;
    const uint32_t seconds = due / RTC_HZ;
    REGISTER(RTC_CR) = CR_BYPASS_SHADOW;
    while ((REGISTER(RTC_ISR) & ISR_ALARM_WRITABLE) == 0u) {
    }
    REGISTER(RTC_ALRMAR) = ANY_DAY | bcd(seconds / 3600u) << 16 | bcd(seconds / 60u % 60u) << 8 | bcd(seconds % 60u);
    REGISTER(RTC_ALRMASSR) = ALL_SUBSECONDS | (RTC_HZ - 1u - due % RTC_HZ);
    rtc_acknowledge_alarm();
    REGISTER(RTC_CR) = CR_BYPASS_SHADOW | CR_ALARM | CR_ALARM_INTERRUPT;
}

void rtc_acknowledge_alarm(void) {
    REGISTER(RTC_ISR) = ~(ISR_ALARM | ISR_INITIALISE); /* flags are cleared by 0; 1 leaves them */
    REGISTER(EXTI_PR1) = LINE_ALARM;
}
