/* Arm MPS3 with FPGA image AN547 (Corstone-300, Cortex-M55), as in Arm's application note DAI 0547; runs in QEMU as mps3-an547.
 *
 * TRIG: interrupt 69, the GPIO port 0, which QEMU leaves out: there the interrupt line itself is pulsed. Shown: the FPGA's LED register, MARK is
 * LED 6. UART0, 115200 Bd. Counter: the system counter, read through timer 0. All through the secure aliases: the core starts secure.
 */
#include "board.h"
#include "port.h"
#include "systick.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define COUNTER_CONTROL 0x58100000u
#define TIMER_COUNT_LOW 0x58000000u
#define FPGA_LEDS 0x59302000u

#define UART_DATA 0x59303000u
#define UART_STATE 0x59303004u
#define UART_CONTROL 0x59303008u
#define UART_INTERRUPT 0x5930300Cu
#define UART_DIVIDER 0x59303010u
#define UART_STATE_SENDING 0x1u
#define UART_STATE_RECEIVED 0x2u
#define UART_STATE_OVERRUN 0x8u
#define UART_RECEIVED 0x2u

#define INTERRUPT_UART 33u
#define INTERRUPT_TRIG 69u

void board_start(void) {
    REGISTER(COUNTER_CONTROL) = 1u;
    REGISTER(UART_DIVIDER) = BOARD_CLOCK_HZ / 115200u;
    REGISTER(UART_CONTROL) = 0xBu; /* send, receive, interrupt on receive */
    port_enable_interrupt(INTERRUPT_UART);
    port_enable_interrupt(INTERRUPT_TRIG);
}

uint32_t board_counter(void) { return REGISTER(TIMER_COUNT_LOW); }

void board_show(uint8_t shown) { REGISTER(FPGA_LEDS) = shown; }

void board_send(uint8_t byte) {
    while ((REGISTER(UART_STATE) & UART_STATE_SENDING) != 0u) {
    }
    REGISTER(UART_DATA) = byte;
}

void board_receive(void) {
    while ((REGISTER(UART_STATE) & UART_STATE_RECEIVED) != 0u && port_has_room()) {
        port_received((uint8_t)REGISTER(UART_DATA));
        if ((REGISTER(UART_STATE) & UART_STATE_OVERRUN) != 0u) {
            REGISTER(UART_STATE) = UART_STATE_OVERRUN;
            port_lost();
        }
    }
}

void board_alarm(uint64_t delay_ns) { systick_alarm(delay_ns); }

void board_interrupt(uint32_t number) {
    if (number == INTERRUPT_UART) {
        REGISTER(UART_INTERRUPT) = UART_RECEIVED;
        board_receive();
    } else if (number == INTERRUPT_TRIG) {
        port_triggered();
    }
}
