/* What a board's interrupts tell the shared port. */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stdint.h>

/* False while the main loop is behind: what the UART can hold itself stays there. */
bool port_has_room(void);

void port_received(uint8_t byte);

/* The UART itself had to drop a byte. */
void port_lost(void);

/* The UART's line moved while its receiver had no clock. */
void port_heard(void);

void port_triggered(void);

/* WFI, ended by an interrupt, the board's alarm at the latest. */
void port_rest(uint64_t delay_ns);

/* Let the NVIC pass an interrupt of the board. */
void port_enable_interrupt(uint32_t number);

#endif
