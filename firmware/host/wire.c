#define _POSIX_C_SOURCE 200809L

#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define REQUEST_SIZE 8u
#define REPLY_SIZE 16u

/* A chip that loses its supply just stops: no message, no failure. A broken wire is one. */
static void power_lost(void) { exit(EXIT_SUCCESS); }

static void check_wire(ssize_t moved) {
    if (moved == 0 || (moved < 0 && (errno == EPIPE || errno == ECONNRESET))) {
        power_lost();
    }
    if (moved < 0 && errno != EINTR) {
        exit(EXIT_FAILURE);
    }
}

static void send_all(const uint8_t *bytes, size_t length) {
    while (length > 0u) {
        const ssize_t moved = send(WIRE_DESCRIPTOR, bytes, length, MSG_NOSIGNAL);
        check_wire(moved);
        if (moved > 0) {
            bytes += moved;
            length -= (size_t)moved;
        }
    }
}

void wire_receive(void *bytes, uint32_t length) {
    uint8_t *at = bytes;
    while (length > 0u) {
        const ssize_t moved = recv(WIRE_DESCRIPTOR, at, length, 0);
        check_wire(moved);
        if (moved > 0) {
            at += moved;
            length -= (uint32_t)moved;
        }
    }
}

static void put_little_endian(uint8_t *bytes, uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(value >> (8u * i));
    }
}

static uint64_t get_little_endian(const uint8_t *bytes, unsigned count) {
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8u * i);
    }
    return value;
}

struct wire_reply wire_ask(struct wire_request request, const void *payload) {
    uint8_t head[REQUEST_SIZE] = {request.op, request.a};
    uint8_t answer[REPLY_SIZE];
    put_little_endian(&head[2], request.b, 2u);
    put_little_endian(&head[4], request.c, 4u);
    send_all(head, sizeof head);
    if (payload != NULL) {
        send_all(payload, request.b);
    }
    wire_receive(answer, sizeof answer);
    return (struct wire_reply){
        get_little_endian(&answer[0], 8u),
        (uint32_t)get_little_endian(&answer[8], 4u),
        (uint32_t)get_little_endian(&answer[12], 4u),
    };
}
