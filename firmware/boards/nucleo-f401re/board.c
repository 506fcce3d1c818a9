/* NUCLEO-F401RE (STM32F401RE, Cortex-M4), as in ST's reference manual RM0368 and user manual UM1724.
 *
 * TRIG: PA10 (D2), rising edge. MARK: PA8 (D7). USART2 on PA2 and PA3, the debugger's serial port, 115200 Bd. Counter: TIM2.
 */
#include "board.h"
#include "port.h"
#include "systick.h"

#ifndef REGISTER /* a test of this file has registers of its own */
#define REGISTER(address) (*(volatile uint32_t *)(address))
#endif

#define FLASH_CONTROL 0x40023C00u
#define RCC_CONTROL 0x40023800u
#define RCC_PLL 0x40023804u
#define RCC_CONFIG 0x40023808u
#define RCC_AHB1 0x40023830u
#define RCC_APB1 0x40023840u
#define RCC_APB2 0x40023844u
#define PLL_ON 0x01000000u
#define PLL_READY 0x02000000u

#define TIM2_CONTROL 0x40000000u
#define TIM2_EVENT 0x40000014u
#define TIM2_COUNT 0x40000024u
#define TIM2_RELOAD 0x4000002Cu

#define PORT_A_MODE 0x40020000u
#define PORT_A_PULL 0x4002000Cu
#define PORT_A_SET_RESET 0x40020018u
#define PORT_A_FUNCTION 0x40020020u
#define MARK_PIN 8u
#define TRIG_PIN 10u

#define EXTI_MASK 0x40013C00u
#define EXTI_RISING 0x40013C08u
#define EXTI_PENDING 0x40013C14u

#define USART_STATUS 0x40004400u
#define USART_DATA 0x40004404u
#define USART_BAUD 0x40004408u
#define USART_CONTROL 0x4000440Cu
#define USART_OVERRUN 0x08u
#define USART_RECEIVED 0x20u
#define USART_EMPTY 0x80u
#define USART_ON 0x200Cu /* enabled, both ways */
#define USART_LISTEN 0x20u

#define INTERRUPT_USART2 38u
#define INTERRUPT_EXTI15_10 40u

/* 84 MHz from the internal 16 MHz oscillator, which is good for 1 %: enough for 115200 Bd. A PLL that does not lock (an emulator has none)
 * is not waited for for ever. */
static void start_clock(void) {
    REGISTER(FLASH_CONTROL) = 0x702u; /* two wait states, caches and prefetch on */
    REGISTER(RCC_PLL) = 16u | 336u << 6 | 1u << 16 | 7u << 24; /* 16 MHz / 16 * 336 / 4 */
    REGISTER(RCC_CONTROL) |= PLL_ON;
    for (uint32_t turns = 100000u; turns > 0u && (REGISTER(RCC_CONTROL) & PLL_READY) == 0u; turns--) {
    }
    REGISTER(RCC_CONFIG) = 4u << 10 | 2u; /* APB1 at half the clock, its timers at the whole; run from the PLL */
    REGISTER(RCC_AHB1) |= 1u;
    REGISTER(RCC_APB1) |= 1u << 17 | 1u;
    REGISTER(RCC_APB2) |= 1u << 14;
    (void)REGISTER(RCC_APB2); /* a block may be touched two cycles after its clock was switched on (errata sheet ES0222) */
}

static void start_pins(void) {
    const uint32_t mode = REGISTER(PORT_A_MODE) & ~(3u << 4 | 3u << 6 | 3u << (2u * MARK_PIN) | 3u << (2u * TRIG_PIN));
    REGISTER(PORT_A_FUNCTION) = 7u << 8 | 7u << 12;
    REGISTER(PORT_A_PULL) = (REGISTER(PORT_A_PULL) & ~(3u << (2u * TRIG_PIN))) | 2u << (2u * TRIG_PIN); /* down */
    REGISTER(PORT_A_MODE) = mode | 2u << 4 | 2u << 6 | 1u << (2u * MARK_PIN);
    REGISTER(EXTI_RISING) = 1u << TRIG_PIN;
    REGISTER(EXTI_MASK) = 1u << TRIG_PIN;
    port_enable_interrupt(INTERRUPT_EXTI15_10);
}

void board_start(void) {
    start_clock();
    start_pins();
    REGISTER(TIM2_RELOAD) = 0xFFFFFFFFu;
    REGISTER(TIM2_EVENT) = 1u;
    REGISTER(TIM2_CONTROL) = 1u;
    REGISTER(USART_BAUD) = (BOARD_CLOCK_HZ / 2u + 57600u) / 115200u;
    REGISTER(USART_CONTROL) = USART_ON | USART_LISTEN;
    port_enable_interrupt(INTERRUPT_USART2);
}

uint32_t board_counter(void) { return REGISTER(TIM2_COUNT); }

void board_show(uint8_t shown) { REGISTER(PORT_A_SET_RESET) = (shown & 0x40u) != 0u ? 1u << MARK_PIN : 0x10000u << MARK_PIN; }

void board_alarm(uint64_t delay_ns) { systick_alarm(delay_ns); }

void board_send(uint8_t byte) {
    while ((REGISTER(USART_STATUS) & USART_EMPTY) == 0u) {
    }
    REGISTER(USART_DATA) = byte;
}

/* The interrupt is a level, of a byte as of an overrun: as long as one of them stands it would come again and again. The status' read and the
 * data's after it end an overrun (RM0368, USART_SR, ORE), which may come between the two and then stands with no byte. */
void board_receive(void) {
    const uint32_t interrupts = USART_RECEIVED | USART_OVERRUN;
    uint32_t status = REGISTER(USART_STATUS);
    for (; (status & interrupts) != 0u && port_has_room(); status = REGISTER(USART_STATUS)) {
        const uint32_t data = REGISTER(USART_DATA);
        if ((status & USART_OVERRUN) != 0u) {
            port_lost();
        }
        if ((status & USART_RECEIVED) != 0u) {
            port_received((uint8_t)data);
        }
    }
    REGISTER(USART_CONTROL) = (status & interrupts) != 0u ? USART_ON : USART_ON | USART_LISTEN;
}

void board_interrupt(uint32_t number) {
    if (number == INTERRUPT_USART2) {
        board_receive();
    } else if (number == INTERRUPT_EXTI15_10) {
        REGISTER(EXTI_PENDING) = 1u << TRIG_PIN;
        port_triggered();
    }
}
