/* The USART of an STM32F401 as its registers behave (RM0368, USART_SR and USART_DR), for the board's code that is compiled beside it. */
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "port.h"

#define STATUS 0x40004400u
#define DATA 0x40004404u
#define CONTROL 0x4000440Cu
#define OVERRUN 0x08u
#define RECEIVED 0x20u
#define LISTENS 0x20u /* RXNEIE: of a byte and of an overrun */

volatile uint32_t *register_at(uint32_t address);
void byte_comes(uint8_t byte);
void byte_comes_after_the_look(uint8_t byte);
bool interrupts(void);

static uint32_t status, seen, data, control = LISTENS, elsewhere, shown;
static int late = -1;

uint32_t bytes_taken, bytes_lost;
bool has_room = true;

void byte_comes(uint8_t byte) {
    if ((status & RECEIVED) != 0u) {
        status |= OVERRUN; /* the new byte is the one that is lost */
    } else {
        status |= RECEIVED;
        data = byte;
    }
}

void byte_comes_after_the_look(uint8_t byte) { late = byte; }

bool interrupts(void) { return (control & LISTENS) != 0u && (status & (RECEIVED | OVERRUN)) != 0u; }

volatile uint32_t *register_at(uint32_t address) {
    switch (address) {
    case STATUS:
        shown = seen = status;
        if (late >= 0) {
            byte_comes((uint8_t)late);
            late = -1;
        }
        return &shown;
    case DATA:
        shown = data;
        status &= ~(RECEIVED | (seen & OVERRUN)); /* an overrun ends by the read of the status that showed it, then of the data */
        seen = 0;
        return &shown;
    case CONTROL:
        return &control;
    default:
        return &elsewhere;
    }
}

bool port_has_room(void) { return has_room; }
void port_received(uint8_t byte) { bytes_taken += byte != 0u; }
void port_lost(void) { bytes_lost++; }
void port_triggered(void) {}
void port_enable_interrupt(uint32_t number) { (void)number; }
void systick_alarm(uint64_t delay_ns);
void systick_alarm(uint64_t delay_ns) { (void)delay_ns; }
