/* Stellaris LM3S6965 evaluation board (Cortex-M3), as in Texas Instruments' data sheet DS-LM3S6965; runs in QEMU as lm3s6965evb.
 *
 * TRIG: PB2, rising edge. Shown: port D, MARK on PD6. UART0 on PA0 and PA1, 115200 Bd. Counter: the watchdog, never enabled to reset: QEMU
 * does not let the general purpose timers be read.
 */
#include "board.h"
#include "port.h"
#include "systick.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYSCTL_RIS 0x400FE050u
#define SYSCTL_RCC 0x400FE060u
#define SYSCTL_RCGC0 0x400FE100u
#define SYSCTL_RCGC1 0x400FE104u
#define SYSCTL_RCGC2 0x400FE108u

#define WATCHDOG_LOAD 0x40000000u
#define WATCHDOG_VALUE 0x40000004u
#define WATCHDOG_CONTROL 0x40000008u

#define PORT_A 0x40004000u
#define PORT_B 0x40005000u
#define PORT_D 0x40007000u
#define PORT_DATA 0x3FCu /* all eight pins */
#define PORT_DIRECTION 0x400u
#define PORT_EVENT 0x40Cu
#define PORT_MASK 0x410u
#define PORT_CLEAR 0x41Cu
#define PORT_FUNCTION 0x420u
#define PORT_PULL_DOWN 0x514u
#define PORT_DIGITAL 0x51Cu
#define TRIG_PIN 0x04u

#define UART_DATA 0x4000C000u
#define UART_FLAG 0x4000C018u
#define UART_BAUD_WHOLE 0x4000C024u
#define UART_BAUD_64TH 0x4000C028u
#define UART_LINE 0x4000C02Cu
#define UART_CONTROL 0x4000C030u
#define UART_MASK 0x4000C038u
#define UART_CLEAR 0x4000C044u
#define UART_DATA_OVERRUN 0x800u
#define UART_FLAG_EMPTY 0x10u
#define UART_FLAG_FULL 0x20u
#define UART_RECEIVED 0x50u /* level reached, or a byte that nothing followed */

#define INTERRUPT_PORT_B 1u
#define INTERRUPT_UART 5u

/* 50 MHz from the 8 MHz crystal: run from the oscillator while the PLL locks (data sheet, "Initialization and Configuration"). */
static void start_clock(void) {
    const uint32_t bypass = 0x800u, no_divider = ~0x400000u;
    REGISTER(SYSCTL_RCC) = (REGISTER(SYSCTL_RCC) | bypass) & no_divider;
    REGISTER(SYSCTL_RCC) = 0x01C00380u | bypass; /* divide by 4, 8 MHz, main oscillator, PLL on */
    while ((REGISTER(SYSCTL_RIS) & 0x40u) == 0u) {
    }
    REGISTER(SYSCTL_RCC) = 0x01C00380u;
    REGISTER(SYSCTL_RCGC0) = 0x8u;
    REGISTER(SYSCTL_RCGC1) = 0x1u;
    REGISTER(SYSCTL_RCGC2) = 0xBu;
    (void)REGISTER(SYSCTL_RCGC2); /* a block may be touched three cycles after its clock was switched on */
}

static void start_pins(void) {
    REGISTER(PORT_D + PORT_DIRECTION) = 0xFFu;
    REGISTER(PORT_D + PORT_DIGITAL) = 0xFFu;
    REGISTER(PORT_B + PORT_PULL_DOWN) = TRIG_PIN;
    REGISTER(PORT_B + PORT_DIGITAL) = TRIG_PIN;
    REGISTER(PORT_B + PORT_EVENT) = TRIG_PIN;
    REGISTER(PORT_B + PORT_CLEAR) = TRIG_PIN;
    REGISTER(PORT_B + PORT_MASK) = TRIG_PIN;
    port_enable_interrupt(INTERRUPT_PORT_B);
}

static void start_uart(void) {
    REGISTER(PORT_A + PORT_FUNCTION) = 0x3u;
    REGISTER(PORT_A + PORT_DIGITAL) = 0x3u;
    REGISTER(UART_BAUD_WHOLE) = 27u; /* 50 MHz / 16 / 115200 Bd = 27 + 8/64 */
    REGISTER(UART_BAUD_64TH) = 8u;
    REGISTER(UART_LINE) = 0x70u; /* 8N1, FIFOs */
    REGISTER(UART_MASK) = UART_RECEIVED;
    REGISTER(UART_CONTROL) = 0x301u;
    port_enable_interrupt(INTERRUPT_UART);
}

void board_start(void) {
    start_clock();
    REGISTER(WATCHDOG_LOAD) = 0xFFFFFFFFu;
    REGISTER(WATCHDOG_CONTROL) = 0x1u; /* counts; its interrupt stays masked in the NVIC, and it may not reset */
    start_pins();
    start_uart();
}

uint32_t board_counter(void) { return ~REGISTER(WATCHDOG_VALUE); }

void board_show(uint8_t shown) { REGISTER(PORT_D + PORT_DATA) = shown; }

void board_send(uint8_t byte) {
    while ((REGISTER(UART_FLAG) & UART_FLAG_FULL) != 0u) {
    }
    REGISTER(UART_DATA) = byte;
}

void board_receive(void) {
    while ((REGISTER(UART_FLAG) & UART_FLAG_EMPTY) == 0u && port_has_room()) {
        const uint32_t data = REGISTER(UART_DATA);
        if ((data & UART_DATA_OVERRUN) != 0u) {
            port_lost();
        }
        port_received((uint8_t)data);
    }
}

void board_alarm(uint64_t delay_ns) { systick_alarm(delay_ns); }

void board_interrupt(uint32_t number) {
    if (number == INTERRUPT_UART) {
        REGISTER(UART_CLEAR) = UART_RECEIVED;
        board_receive();
    } else if (number == INTERRUPT_PORT_B) {
        REGISTER(PORT_B + PORT_CLEAR) = TRIG_PIN;
        port_triggered();
    }
}
