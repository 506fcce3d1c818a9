/* The host build: the firmware core on the virtual board, in the performance or the energy variant. */
#include <stdlib.h>
#include <string.h>

#include "labd.h"
#include "labd_cost.h"
#include "wire.h"

#ifndef EE_CFG_ENERGY_MODE
#define EE_CFG_ENERGY_MODE 0
#endif

#define RECEIVE_SIZE 256u
#define UPLOAD_SIZE 1024u
#define LAP_COUNT 256u

static uint8_t receive_bytes[RECEIVE_SIZE];
static uint8_t upload_bytes[UPLOAD_SIZE];
static struct labd_ring receive_ring;
static struct labd_lap laps[LAP_COUNT];
static struct labd_model_memory model_memory;
static struct labd_device device;

static struct wire_reply ask(enum wire_op op, uint8_t a, uint16_t b, uint32_t c) {
    return wire_ask((struct wire_request){(uint8_t)op, a, b, c}, NULL);
}

static uint64_t now_ns(void *context) {
    (void)context;
    return ask(WIRE_NOW, 0, 0, 0).t_ns;
}

static void work(void *context, enum labd_phase phase, uint8_t activity, uint32_t cycles) {
    (void)context;
    (void)ask(WIRE_SPEND, (uint8_t)phase, activity, cycles);
}

/* A waiting loop draws what any code of its phase draws. */
static void pause_for(void *context, enum labd_phase phase, uint32_t cycles) {
    work(context, phase, phase == LABD_PHASE_WAKE ? LABD_ACTIVITY_WAKE : 50u, cycles);
}

static struct labd_wakeup wait_for(void *context, enum labd_rest_state state, uint32_t events, enum labd_phase phase, uint32_t timeout_us) {
    (void)context;
    const uint16_t wanted = (uint16_t)(events | (uint32_t)phase << 8);
    const struct wire_reply reply = ask(WIRE_WAIT, (uint8_t)state, wanted, timeout_us);
    if (state == LABD_REST_SLEEP_MODEL_OFF) {
        /* RAM that was off holds garbage: a forgotten reload must show in the checksum. */
        memset(&model_memory, 0xA5, sizeof model_memory);
    }
    return (struct labd_wakeup){reply.events, reply.t_ns};
}

static uint64_t timer_at(void *context, uint32_t delay_us, bool from_last_expiry) {
    (void)context;
    return ask(WIRE_TIMER_AT, from_last_expiry ? 1u : 0u, 0, delay_us).t_ns;
}

static void mark(void *context, bool level) {
    (void)context;
    (void)ask(WIRE_PIN, 0, level ? 1u : 0u, 0);
}

static void uart_send(void *context, const char *bytes, uint16_t length) {
    (void)context;
    (void)wire_ask((struct wire_request){WIRE_UART_TX, 0, length, 0}, bytes);
}

static void uart_flush(void *context) {
    (void)context;
    (void)ask(WIRE_UART_FLUSH, 0, 0, 0);
}

static void uart_poll(void *context, struct labd_ring *ring) {
    (void)context;
    uint8_t bytes[RECEIVE_SIZE];
    const uint16_t room = labd_ring_free(ring);
    if (room == 0u) {
        return;
    }
    const uint32_t count = ask(WIRE_UART_RX, 0, 0, room).value;
    if (count > room) {
        exit(EXIT_FAILURE); /* the board broke the protocol */
    }
    wire_receive(bytes, count);
    for (uint32_t i = 0; i < count; i++) {
        (void)labd_ring_put(ring, bytes[i]);
    }
}

static bool operate(void *context, enum labd_phase phase, enum labd_operation operation, uint8_t bits, uint32_t count) {
    (void)context;
    return ask(WIRE_OPERATE, (uint8_t)((uint32_t)phase | (uint32_t)operation << 4), bits, count).value != 0u;
}

static bool set_clock(void *context, uint32_t hz) {
    (void)context;
    return ask(WIRE_CLOCK, 0, 0, hz).value != 0u;
}

int main(void) {
    static const struct labd_hal hal = {
        .now_ns = now_ns,
        .work = work,
        .pause = pause_for,
        .wait = wait_for,
        .timer_at = timer_at,
        .mark = mark,
        .uart_send = uart_send,
        .uart_flush = uart_flush,
        .uart_poll = uart_poll,
        .operate = operate,
        .clock = set_clock,
    };
    const struct labd_board board = {
        .hal = &hal,
        .memory = {&receive_ring, upload_bytes, UPLOAD_SIZE, laps, LAP_COUNT, &model_memory},
        .energy_build = EE_CFG_ENERGY_MODE != 0,
        .boots = 1u,
    };
    labd_ring_init(&receive_ring, receive_bytes, RECEIVE_SIZE);
    labd_boot(&device, &board);
    for (;;) {
        labd_turn(&device);
    }
}
