#include "labd_ring.h"

static uint16_t following(const struct labd_ring *ring, uint16_t index) {
    return (uint16_t)(index + 1u == ring->size ? 0u : index + 1u);
}

void labd_ring_init(struct labd_ring *ring, uint8_t *bytes, uint16_t size) {
    ring->bytes = bytes;
    ring->size = size;
    ring->head = 0;
    ring->tail = 0;
    ring->lost = 0;
}

uint16_t labd_ring_free(const struct labd_ring *ring) {
    const uint16_t head = ring->head;
    const uint16_t tail = ring->tail;
    const uint16_t used = (uint16_t)(head >= tail ? head - tail : ring->size - tail + head);
    return (uint16_t)(ring->size - 1u - used);
}

bool labd_ring_put(struct labd_ring *ring, uint8_t byte) {
    const uint16_t head = ring->head;
    const uint16_t next = following(ring, head);
    if (next == ring->tail) {
        ring->lost = ring->lost + 1u;
        return false;
    }
    ring->bytes[head] = byte;
    ring->head = next;
    return true;
}

bool labd_ring_get(struct labd_ring *ring, uint8_t *byte) {
    const uint16_t tail = ring->tail;
    if (tail == ring->head) {
        return false;
    }
    *byte = ring->bytes[tail];
    ring->tail = following(ring, tail);
    return true;
}
