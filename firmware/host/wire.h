/* The wire to the virtual board: one request, one reply on a stream socket (docs/decisions/0002-firmware-hal.md). */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

#define WIRE_DESCRIPTOR 3

enum wire_op {
    WIRE_SPEND = 1,
    WIRE_WAIT = 2,
    WIRE_PIN = 3,
    WIRE_UART_TX = 4,
    WIRE_UART_RX = 5,
    WIRE_NOW = 6,
    WIRE_UART_FLUSH = 7,
    WIRE_TIMER_AT = 8,
    WIRE_OPERATE = 9,
    WIRE_CLOCK = 10
};

struct wire_request {
    uint8_t op;
    uint8_t a;
    uint16_t b;
    uint32_t c;
};

struct wire_reply {
    uint64_t t_ns;
    uint32_t events;
    uint32_t value;
};

/* `payload`: b bytes that follow the request of WIRE_UART_TX, else NULL. End of file means that the board lost its supply: the process ends. */
struct wire_reply wire_ask(struct wire_request request, const void *payload);

/* The payload of a reply of WIRE_UART_RX, which is as long as the reply's value says. */
void wire_receive(void *bytes, uint32_t length);

#endif
