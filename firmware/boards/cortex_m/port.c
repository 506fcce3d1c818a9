/* The HAL of labd on any Cortex-M: rest is WFI, time is the board's counter, the alarm that ends a rest is SysTick. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "board.h"
#include "labd.h"
#include "port.h"

#ifndef EE_CFG_ENERGY_MODE
#define EE_CFG_ENERGY_MODE 0
#endif

#define RECEIVE_SIZE 256u
#define UPLOAD_SIZE 1024u
#define LAP_COUNT 256u
#define BAUD 115200u
#define BITS_A_BYTE 10u

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define NVIC_ENABLE 0xE000E100u

#define RUNNING 7u
#define NEVER UINT64_MAX
#define LONGEST_REST_NS UINT64_C(1000000000) /* a counter of 32 bits at some hundred MHz turns over in ten times that */
#define KEPT_SEAL 0x4C616264u

static uint8_t receive_bytes[RECEIVE_SIZE];
static uint8_t upload_bytes[UPLOAD_SIZE];
static struct labd_ring receive_ring;
static struct labd_lap laps[LAP_COUNT];
static struct labd_model_memory model_memory;
static struct labd_device device;

static struct {
    uint32_t seal, boots;
} kept __attribute__((section(".kept")));

static volatile bool triggered, heard; /* heard: a byte came, whether or not there was a clock to take it */
static volatile bool uart_off;         /* a sleep state: the UART has no clock */
static uint8_t shown;
static uint64_t timer_due_ns = NEVER, timer_last_ns, line_free_ns;

/* --- interrupts */

bool port_has_room(void) { return uart_off || labd_ring_free(&receive_ring) > 0u; }

void port_received(uint8_t byte) {
    heard = true;
    if (!uart_off) {
        (void)labd_ring_put(&receive_ring, byte);
    }
}

void port_heard(void) { heard = true; }

void port_triggered(void) { triggered = true; }

void port_lost(void) { receive_ring.lost = receive_ring.lost + 1u; }

void port_enable_interrupt(uint32_t number) { REGISTER(NVIC_ENABLE + 4u * (number / 32u)) = UINT32_C(1) << (number % 32u); }

static void mask_interrupts(void) { __asm volatile("cpsid i" ::: "memory"); }

static void unmask_interrupts(void) { __asm volatile("cpsie i\n isb" ::: "memory"); }

/* --- time */

/* 64 bits of a 32-bit counter: right as long as it is called once a turn of it, which the longest alarm sees to. */
static uint64_t now_ns(void *context) {
    static uint64_t seconds_ns;
    static uint32_t last, ticks;
    (void)context;
    const uint32_t counter = board_counter();
    const uint32_t passed = counter - last;
    last = counter;
    seconds_ns += passed / BOARD_COUNTER_HZ * UINT64_C(1000000000);
    ticks += passed % BOARD_COUNTER_HZ;
    if (ticks >= BOARD_COUNTER_HZ) {
        ticks -= BOARD_COUNTER_HZ;
        seconds_ns += UINT64_C(1000000000);
    }
    return seconds_ns + ticks * UINT64_C(1000000000) / BOARD_COUNTER_HZ;
}

static uint64_t timer_at(void *context, uint32_t delay_us, bool from_last_expiry) {
    const uint64_t now = now_ns(context);
    if (timer_due_ns <= now) {
        timer_last_ns = timer_due_ns;
    }
    timer_due_ns = delay_us == 0u ? NEVER : (from_last_expiry ? timer_last_ns : now) + delay_us * UINT64_C(1000);
    return now;
}

/* --- what is shown */

static void show(uint8_t mask, uint8_t bits) {
    const uint8_t next = (uint8_t)((shown & (uint8_t)~mask) | bits);
    if (((next ^ shown) & 0x7Fu) != 0u) {
        shown = (uint8_t)(next ^ 0x80u);
        board_show(shown);
    }
}

static void show_doing(uint32_t state, enum labd_phase phase) { show(0x3Fu, (uint8_t)(state << 3 | (uint32_t)phase)); }

static void enter(void *context, enum labd_phase phase) {
    (void)context;
    show_doing(RUNNING, phase);
}

static void mark(void *context, bool level) {
    (void)context;
    show(0x40u, level ? 0x40u : 0u);
}

/* --- work and rest */

/* A microsecond or two without a look at the counter: under an emulator each look takes a lock that others wait for. */
static void breathe(void) {
    for (volatile uint32_t turns = 16; turns > 0u; turns--) {
    }
}

static void pause_for(void *context, enum labd_phase phase, uint32_t cycles) {
    const uint64_t end = now_ns(context) + cycles * UINT64_C(1000000000) / BOARD_CLOCK_HZ;
    (void)phase;
    while (now_ns(context) < end) {
        breathe();
    }
}

/* Time has passed by itself. */
static void work(void *context, enum labd_phase phase, uint8_t activity, uint32_t cycles) {
    (void)context;
    (void)phase;
    (void)activity;
    (void)cycles;
}

static uint32_t happened(uint32_t wanted, uint64_t now) {
    uint32_t events = 0;
    events |= receive_ring.head != receive_ring.tail || heard ? LABD_EVENT_UART : 0u;
    events |= triggered ? LABD_EVENT_TRIG : 0u;
    events |= timer_due_ns <= now ? LABD_EVENT_TIMER : 0u;
    return events & wanted;
}

void port_rest(uint64_t delay_ns) {
    board_alarm(delay_ns < LONGEST_REST_NS ? delay_ns : LONGEST_REST_NS);
    __asm volatile("dsb\n wfi" ::: "memory");
}

__attribute__((weak)) void board_sleep(uint64_t delay_ns) { port_rest(delay_ns); }

static bool sleeps(enum labd_rest_state state) { return state == LABD_REST_SLEEP_RETAINED || state == LABD_REST_SLEEP_MODEL_OFF; }

/* Until an event or `end`: an interrupt that comes between the look and WFI is pending and ends it at once. */
static uint32_t rest(void *context, enum labd_rest_state state, uint32_t wanted, uint64_t end) {
    for (;;) {
        mask_interrupts();
        const uint64_t now = now_ns(context);
        const uint32_t events = happened(wanted, now);
        if (events != 0u || now >= end) {
            unmask_interrupts();
            return events;
        }
        if (state != LABD_REST_BUSY_POLL) {
            const uint64_t due = (wanted & LABD_EVENT_TIMER) != 0u && timer_due_ns < end ? timer_due_ns : end;
            if (sleeps(state)) {
                board_sleep(due - now);
            } else {
                port_rest(due - now);
            }
        }
        unmask_interrupts();
    }
}

static void take(uint32_t events) {
    if ((events & LABD_EVENT_TIMER) != 0u) {
        timer_last_ns = timer_due_ns;
        timer_due_ns = NEVER;
    }
    if ((events & LABD_EVENT_TRIG) != 0u) {
        triggered = false;
    }
}

/* TRIG counts from the first rest that asks for it to the next that does not; a tail between two such rests changes nothing. */
static void listen_to_trig(bool wanted, bool tail) {
    static bool listening;
    if (wanted && !listening) {
        triggered = false;
    }
    listening = wanted || (tail && listening);
}

static struct labd_wakeup wait_for(void *context, enum labd_rest_state state, uint32_t events, enum labd_phase phase, uint32_t timeout_us) {
    const uint64_t start = now_ns(context);
    const uint64_t end = timeout_us == LABD_NO_TIMEOUT ? NEVER : start + timeout_us * UINT64_C(1000);
    listen_to_trig((events & LABD_EVENT_TRIG) != 0u, phase == LABD_PHASE_TAIL);
    heard = false;
    uart_off = sleeps(state);
    show_doing((uint32_t)state, phase);
    const uint32_t woken_by = rest(context, state, events, end);
    show_doing(RUNNING, sleeps(state) ? LABD_PHASE_WAKE : phase);
    uart_off = false;
    take(woken_by);
    if (state == LABD_REST_SLEEP_MODEL_OFF) {
        /* RAM that was off holds garbage: a forgotten reload must show in the checksum. */
        memset(&model_memory, 0xA5, sizeof model_memory);
    }
    return (struct labd_wakeup){woken_by, now_ns(context)};
}

/* --- UART */

/* When the line is free again is counted here: an emulated UART sends in no time. */
static void uart_send(void *context, const char *bytes, uint16_t length) {
    const uint64_t now = now_ns(context);
    for (uint16_t i = 0; i < length; i++) {
        board_send((uint8_t)bytes[i]);
    }
    line_free_ns = (line_free_ns > now ? line_free_ns : now) + length * BITS_A_BYTE * UINT64_C(1000000000) / BAUD;
}

static void uart_flush(void *context) {
    while (now_ns(context) < line_free_ns) {
        breathe();
    }
}

static void uart_poll(void *context, struct labd_ring *ring) {
    (void)context;
    (void)ring;
    mask_interrupts();
    board_receive();
    unmask_interrupts();
}

static uint32_t count_boot(void) {
    kept.boots = kept.seal == KEPT_SEAL ? kept.boots + 1u : 1u;
    kept.seal = KEPT_SEAL;
    return kept.boots;
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
        .enter = enter,
    };
    const struct labd_board board = {
        .hal = &hal,
        .memory = {&receive_ring, upload_bytes, UPLOAD_SIZE, laps, LAP_COUNT, &model_memory},
        .energy_build = EE_CFG_ENERGY_MODE != 0,
        .boots = count_boot(),
    };
    labd_ring_init(&receive_ring, receive_bytes, RECEIVE_SIZE);
    board_start();
    show_doing(RUNNING, LABD_PHASE_IDLE);
    labd_boot(&device, &board);
    for (;;) {
        labd_turn(&device);
    }
}
