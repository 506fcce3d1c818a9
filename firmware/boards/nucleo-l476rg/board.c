/* STM32 Nucleo-64 NUCLEO-L476RG (Cortex-M4, MB1136), as in ST's RM0351 (registers) and UM1724 (board). Built, not run: no such board was at hand.
 *
 * TRIG: PA8 (D7), rising edge, pulled down. MARK: PB5 (D4). USART1: TX PA9 (D8), RX PA10 (D2), 115200 Bd; not the pins of the ST-LINK's
 * virtual port, through which an ST-LINK would feed the chip. Counter: TIM2 at the core's 64 MHz. Retained sleep is Stop 2: all RAM kept, the
 * counter carried on by the RTC. Until the 32.768 kHz crystal is stable, at most 2 s after power came, it is plain sleep. `clock_gated` is
 * plain sleep too.
 */
#include "board.h"
#include "port.h"
#include "rtc.h"
#include "slow_clock.h"
#include "systick.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define FLASH_ACR 0x40022000u
#define RCC_CR 0x40021000u
#define RCC_CFGR 0x40021008u
#define RCC_PLLCFGR 0x4002100Cu
#define RCC_AHB2ENR 0x4002104Cu
#define RCC_APB1ENR1 0x40021058u
#define RCC_APB2ENR 0x40021060u
#define CR_MSI_ON 0x1u
#define CR_HSI_ON 0x100u
#define CR_HSI_READY 0x400u
#define CR_PLL_ON 0x1000000u
#define CR_PLL_READY 0x2000000u
#define CFGR_SWITCH_PLL 0x3u
#define CFGR_SWITCHED_PLL 0xCu
#define CFGR_WAKE_ON_HSI 0x8000u
#define PWR_CR1 0x40007000u
#define PWR_STOP_2 0x2u
#define DBGMCU_CR 0xE0042004u
#define SCB_SCR 0xE000ED10u
#define SCR_SLEEPDEEP 0x4u

#define PORT_A 0x48000000u
#define PORT_B 0x48000400u
#define PORT_MODE 0x00u
#define PORT_PULL 0x0Cu
#define PORT_SET_RESET 0x18u
#define PORT_FUNCTION_HIGH 0x24u
#define MARK_PIN 5u

#define EXTI_IMR1 0x40010400u
#define EXTI_RTSR1 0x40010408u
#define EXTI_FTSR1 0x4001040Cu
#define EXTI_PR1 0x40010414u
#define LINE_TRIG (UINT32_C(1) << 8)
#define LINE_RX (UINT32_C(1) << 10)

#define USART_CR1 0x40013800u
#define USART_BRR 0x4001380Cu
#define USART_ISR 0x4001381Cu
#define USART_ICR 0x40013820u
#define USART_RDR 0x40013824u
#define USART_TDR 0x40013828u
#define CR1_ENABLE 0x1u
#define CR1_RECEIVER 0x4u
#define CR1_SENDER 0x8u
#define CR1_RECEIVED_INTERRUPT 0x20u
#define ISR_RECEIVED 0x20u
#define ISR_SENT 0x40u
#define ISR_ROOM 0x80u
#define ISR_OVERRUN 0x8u
#define ERRORS 0xFu /* parity, framing, noise, overrun */
#define BAUD 115200u

#define TIM2_CR1 0x40000000u
#define TIM2_COUNT 0x40000024u

#define INTERRUPT_EXTI9_5 23u
#define INTERRUPT_USART1 37u
#define INTERRUPT_EXTI15_10 40u
#define INTERRUPT_RTC_ALARM 41u

#define SHORTEST_SLEEP_NS UINT64_C(500000) /* in shorter ones Stop 2 takes longer than it saves */
#define LONGEST_SLEEP_NS UINT64_C(60000000000)

static uint32_t missed; /* ticks of TIM2 while it stood */

/* --- clocks */

/* 64 MHz from the 16 MHz oscillator: 16 * 8 / 2 (RM0351, RCC_PLLCFGR); also after Stop 2, which ends on that oscillator. */
static void start_pll(void) {
    REGISTER(RCC_CR) |= CR_PLL_ON;
    while ((REGISTER(RCC_CR) & CR_PLL_READY) == 0u) {
    }
    REGISTER(RCC_CFGR) = CFGR_WAKE_ON_HSI | CFGR_SWITCH_PLL;
    while ((REGISTER(RCC_CFGR) & CFGR_SWITCHED_PLL) != CFGR_SWITCHED_PLL) {
    }
}

_Static_assert(BOARD_CLOCK_HZ == 64000000u, "the PLL's factors and the flash's wait states below");

static void start_clocks(void) {
    REGISTER(FLASH_ACR) = 0x703u; /* caches, prefetch, 3 wait states for 48 to 64 MHz in voltage range 1, which reset sets */
    while ((REGISTER(FLASH_ACR) & 0x7u) != 3u) {
    }
    REGISTER(RCC_CR) |= CR_HSI_ON;
    while ((REGISTER(RCC_CR) & CR_HSI_READY) == 0u) {
    }
    REGISTER(RCC_PLLCFGR) = 0x01000802u; /* R enabled and 2, N 8, M 1, source HSI16 */
    start_pll();
    REGISTER(RCC_CR) &= ~CR_MSI_ON;
    REGISTER(RCC_AHB2ENR) = 0x3u;     /* ports A and B */
    REGISTER(RCC_APB1ENR1) |= 0x1u;   /* TIM2 */
    REGISTER(RCC_APB2ENR) |= 0x4000u; /* USART1 */
    (void)REGISTER(RCC_APB2ENR);      /* RM0351, peripheral clock enable: two cycles before the first access */
    (void)REGISTER(RCC_APB2ENR);
    REGISTER(DBGMCU_CR) = 0; /* what a debugger left on would keep clocks running in Stop */
}

/* --- pins */

static void set_two_bits(uint32_t address, uint32_t pin, uint32_t value) {
    REGISTER(address) = (REGISTER(address) & ~(UINT32_C(3) << 2u * pin)) | value << 2u * pin;
}

/* All other pins stay analog, as reset leaves them: no input floats. */
static void start_pins(void) {
    REGISTER(PORT_B + PORT_SET_RESET) = UINT32_C(1) << (MARK_PIN + 16u);
    set_two_bits(PORT_B + PORT_MODE, MARK_PIN, 1);
    set_two_bits(PORT_A + PORT_PULL, 8, 2); /* TRIG: down */
    set_two_bits(PORT_A + PORT_MODE, 8, 0);
    REGISTER(PORT_A + PORT_FUNCTION_HIGH) = 0x770u; /* PA9 and PA10: USART1 (data sheet DS10198, alternate function 7) */
    set_two_bits(PORT_A + PORT_PULL, 10, 1);        /* RX: up */
    set_two_bits(PORT_A + PORT_MODE, 9, 2);
    set_two_bits(PORT_A + PORT_MODE, 10, 2);
    REGISTER(EXTI_RTSR1) |= LINE_TRIG; /* lines 8 and 10 come from port A, as reset sets SYSCFG_EXTICR3 */
    REGISTER(EXTI_FTSR1) |= LINE_RX;
    REGISTER(EXTI_PR1) = LINE_TRIG | LINE_RX;
    REGISTER(EXTI_IMR1) |= LINE_TRIG;
}

static void start_uart(void) {
    REGISTER(USART_BRR) = (BOARD_CLOCK_HZ + BAUD / 2u) / BAUD;
    REGISTER(USART_CR1) = CR1_ENABLE | CR1_SENDER | CR1_RECEIVER | CR1_RECEIVED_INTERRUPT;
}

void board_start(void) {
    start_clocks();
    rtc_power_up();
    start_pins();
    start_uart();
    REGISTER(TIM2_CR1) = 1u;
    port_enable_interrupt(INTERRUPT_EXTI9_5);
    port_enable_interrupt(INTERRUPT_EXTI15_10);
    port_enable_interrupt(INTERRUPT_USART1);
    port_enable_interrupt(INTERRUPT_RTC_ALARM);
}

uint32_t board_counter(void) { return REGISTER(TIM2_COUNT) + missed; }

void board_show(uint8_t shown) {
    const uint32_t clear = (shown & 0x40u) != 0u ? 0u : 16u;
    REGISTER(PORT_B + PORT_SET_RESET) = UINT32_C(1) << (MARK_PIN + clear);
}

void board_send(uint8_t byte) {
    while ((REGISTER(USART_ISR) & ISR_ROOM) == 0u) {
    }
    REGISTER(USART_TDR) = byte;
}

void board_alarm(uint64_t delay_ns) { systick_alarm(delay_ns); }

/* The interrupt is a level: as long as a byte has no room it would come again and again. */
void board_receive(void) {
    uint32_t state = REGISTER(USART_ISR);
    for (; (state & ISR_RECEIVED) != 0u && port_has_room(); state = REGISTER(USART_ISR)) {
        if ((state & ISR_OVERRUN) != 0u) {
            port_lost();
        }
        REGISTER(USART_ICR) = ERRORS;
        port_received((uint8_t)REGISTER(USART_RDR));
    }
    REGISTER(USART_ICR) = ERRORS;
    const uint32_t listening = REGISTER(USART_CR1) & ~CR1_RECEIVED_INTERRUPT;
    REGISTER(USART_CR1) = (state & ISR_RECEIVED) != 0u ? listening : listening | CR1_RECEIVED_INTERRUPT;
}

/* --- sleep */

static void listen_for_an_edge(void) {
    while ((REGISTER(USART_ISR) & ISR_SENT) == 0u) {
    }
    REGISTER(USART_CR1) &= ~CR1_RECEIVER;
    REGISTER(EXTI_PR1) = LINE_RX;
    REGISTER(EXTI_IMR1) |= LINE_RX;
}

/* A byte that woke is lost: the receiver comes back when it has passed, else it would take what is left of it for another. */
static void listen_for_bytes(void) {
    const bool woken_by_it = (REGISTER(EXTI_PR1) & LINE_RX) != 0u;
    REGISTER(EXTI_IMR1) &= ~LINE_RX;
    if (woken_by_it) {
        const uint32_t start = REGISTER(TIM2_COUNT);
        while (REGISTER(TIM2_COUNT) - start < 10u * (BOARD_CLOCK_HZ / BAUD)) {
        }
    }
    REGISTER(USART_CR1) |= CR1_RECEIVER;
}

static void stop_2(void) {
    REGISTER(PWR_CR1) = (REGISTER(PWR_CR1) & ~UINT32_C(7)) | PWR_STOP_2;
    REGISTER(SCB_SCR) |= SCR_SLEEPDEEP;
    __asm volatile("dsb\n wfi\n isb" ::: "memory");
    REGISTER(SCB_SCR) &= ~SCR_SLEEPDEEP;
    start_pll();
}

void board_sleep(uint64_t delay_ns) {
    static struct slow_clock slow = {BOARD_COUNTER_HZ / 512u, RTC_HZ / 512u, 0};
    if (delay_ns < SHORTEST_SLEEP_NS || !rtc_runs()) {
        port_rest(delay_ns);
        return;
    }
    listen_for_an_edge();
    const uint64_t longest = delay_ns < LONGEST_SLEEP_NS ? delay_ns : LONGEST_SLEEP_NS;
    const uint32_t start = rtc_ticks(), fast_start = REGISTER(TIM2_COUNT);
    rtc_set_alarm(start, (uint32_t)(longest * RTC_HZ / UINT64_C(1000000000)));
    systick_interrupt(); /* off */
    stop_2();
    missed += slow_clock_missed(&slow, rtc_passed(start, rtc_ticks()), REGISTER(TIM2_COUNT) - fast_start);
    listen_for_bytes();
}

/* --- interrupts */

void board_interrupt(uint32_t number) {
    switch (number) {
    case INTERRUPT_USART1:
        board_receive();
        break;
    case INTERRUPT_EXTI9_5:
        REGISTER(EXTI_PR1) = LINE_TRIG;
        port_triggered();
        break;
    case INTERRUPT_EXTI15_10:
        REGISTER(EXTI_PR1) = LINE_RX;
        port_heard();
        break;
    case INTERRUPT_RTC_ALARM:
        rtc_acknowledge_alarm();
        break;
    default:
        break;
    }
}
