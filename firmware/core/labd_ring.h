/* A byte ring with one producer (the UART, possibly an interrupt) and one consumer (the main loop), in the caller's memory. */
#ifndef LABD_RING_H
#define LABD_RING_H

#include <stdbool.h>
#include <stdint.h>

struct labd_ring {
    uint8_t *bytes;
    uint16_t size;          /* holds size - 1 bytes */
    volatile uint16_t head; /* written by the producer only */
    volatile uint16_t tail; /* written by the consumer only */
    volatile uint32_t lost; /* bytes refused because the ring was full */
};

void labd_ring_init(struct labd_ring *ring, uint8_t *bytes, uint16_t size);

uint16_t labd_ring_free(const struct labd_ring *ring);

/* False, and one more lost, when the ring is full. */
bool labd_ring_put(struct labd_ring *ring, uint8_t byte);

/* False when the ring is empty. */
bool labd_ring_get(struct labd_ring *ring, uint8_t *byte);

#endif
