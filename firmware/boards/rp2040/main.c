/* The firmware core on an RP2040: UART0, trigger and marker on pins, the 64-bit timer, from SRAM. No SDK, no heap. */
#include "chip.h"
#include "labd.h"
#include "labd_cost.h"
#include "notes.h"

#ifndef EE_CFG_ENERGY_MODE
#define EE_CFG_ENERGY_MODE 0
#endif

#define RECEIVE_SIZE 256u
#define UPLOAD_SIZE 1024u
#define LAP_COUNT 256u

enum alarm { ALARM_EVENT, ALARM_TIMEOUT };

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

static volatile uint32_t happened; /* LABD_EVENT_..., set by interrupts, cleared by the wait that reports them */
static volatile bool timed_out;
static uint64_t timer_due_us, timer_last_us;

static void interrupts_off(void) { __asm volatile("cpsid i" ::: "memory"); }
static void interrupts_on(void) { __asm volatile("cpsie i" ::: "memory"); }

/* --- interrupts: acknowledge first, then look, so that what comes meanwhile interrupts again */

void on_timer_event(void) {
    CLEAR_BITS(TIMER_INTF) = 1u << ALARM_EVENT;
    TIMER_INTR = 1u << ALARM_EVENT;
    happened |= LABD_EVENT_TIMER;
}

void on_timer_timeout(void) {
    TIMER_INTR = 1u << ALARM_TIMEOUT;
    timed_out = true;
}

void on_pins(void) {
    const uint32_t edges = IO_INTS(PIN_TRIG); /* of pins 0 to 7 */
    IO_INTR(PIN_TRIG) = edges;
    happened |= (edges & EDGE_HIGH(PIN_TRIG)) != 0u ? LABD_EVENT_TRIG : 0u;
    happened |= (edges & EDGE_LOW(PIN_UART_RX)) != 0u ? LABD_EVENT_UART : 0u;
}

void on_uart(void) {
    UART_ICR = UART_RECEIVE_INTERRUPT;
    while ((UART_FR & UART_RECEIVE_EMPTY) == 0u) {
        (void)labd_ring_put(&receive_ring, (uint8_t)UART_DR);
    }
    happened |= LABD_EVENT_UART;
}

/* --- time */

static uint64_t now_us(void) {
    uint32_t high = TIMER_RAWH;
    for (;;) {
        const uint32_t low = TIMER_RAWL;
        const uint32_t again = TIMER_RAWH;
        if (again == high) {
            return (uint64_t)high << 32 | low;
        }
        high = again;
    }
}

static uint64_t now_ns(void *context) {
    (void)context;
    return now_us() * 1000u;
}

/* An alarm fires on equality: one that is already past when it is set would fire an hour later. */
static bool set_alarm(enum alarm alarm, uint64_t due_us) {
    TIMER_ALARM(alarm) = (uint32_t)due_us;
    if (now_us() < due_us) {
        return true;
    }
    TIMER_ARMED = 1u << alarm;
    return false;
}

static uint64_t timer_at(void *context, uint32_t delay_us, bool from_last_expiry) {
    const uint64_t start_us = now_us();
    (void)context;
    if (timer_due_us != 0u && timer_due_us <= start_us) {
        timer_last_us = timer_due_us;
    }
    TIMER_ARMED = 1u << ALARM_EVENT;
    interrupts_off();
    happened &= ~LABD_EVENT_TIMER;
    interrupts_on();
    timer_due_us = delay_us == 0u ? 0u : (from_last_expiry ? timer_last_us : start_us) + delay_us;
    if (delay_us != 0u && !set_alarm(ALARM_EVENT, timer_due_us)) {
        SET_BITS(TIMER_INTF) = 1u << ALARM_EVENT;
    }
    return start_us * 1000u;
}

/* --- work */

/* Time has passed by itself. */
static void work(void *context, enum labd_phase phase, uint8_t activity, uint32_t cycles) {
    (void)context;
    (void)cycles;
    note_spent(phase, activity);
}

static void pause_for(void *context, enum labd_phase phase, uint32_t cycles) {
    (void)context;
    chip_spin(cycles);
    note_spent(phase, phase == LABD_PHASE_WAKE ? LABD_ACTIVITY_WAKE : 50u);
}

static void mark(void *context, bool level) {
    (void)context;
    if (level) {
        SIO_OUT_SET = 1u << PIN_MARK;
    } else {
        SIO_OUT_CLEAR = 1u << PIN_MARK;
    }
}

/* --- rest */

static bool sleeps(enum labd_rest_state state) { return state == LABD_REST_SLEEP_RETAINED || state == LABD_REST_SLEEP_MODEL_OFF; }

/* Clocks that run on when the core sleeps deeply (2.15.7): SRAM, bus, pins, timer with its tick and oscillator; the UART unless `sleeps`. */
static void gate_clocks(enum labd_rest_state state) {
    if (state == LABD_REST_CLOCK_GATED || sleeps(state)) {
        CLK_SLEEP_EN0 = 0xF0000000u | 1u << 14 | 1u << 11 | 1u << 8 | 1u << 4 | 1u << 0;
        CLK_SLEEP_EN1 = 1u << 14 | 1u << 12 | 1u << 5 | 3u << 0 | (sleeps(state) ? 0u : 3u << 6);
        PPB_SCR = SCR_SLEEPDEEP;
    } else {
        PPB_SCR = 0u;
    }
}

/* Once asked for, triggers are kept while the program is busy, until a rest that does not ask for them. The pin keeps an edge whether or not
 * it may interrupt: one from before is nobody's. */
static void listen(enum labd_rest_state state, uint32_t events, enum labd_phase phase) {
    static bool listening;
    if ((events & LABD_EVENT_TRIG) != 0u && !listening) {
        listening = true;
        IO_INTR(PIN_TRIG) = EDGE_HIGH(PIN_TRIG);
        SET_BITS(IO_INTE(PIN_TRIG)) = EDGE_HIGH(PIN_TRIG);
    } else if ((events & LABD_EVENT_TRIG) == 0u && (phase == LABD_PHASE_SLEEP || phase == LABD_PHASE_IDLE)) {
        listening = false;
        CLEAR_BITS(IO_INTE(PIN_TRIG)) = EDGE_HIGH(PIN_TRIG);
        IO_INTR(PIN_TRIG) = EDGE_HIGH(PIN_TRIG);
        interrupts_off();
        happened &= ~LABD_EVENT_TRIG;
        interrupts_on();
    }
    /* The byte whose edge wakes would be received after all, as the clock is back in time for it, and count once more. The receiver is on again
     * at the next rest that is no sleep, by when an inference has passed. */
    const bool by_edge = sleeps(state) && (events & LABD_EVENT_UART) != 0u;
    UART_CR = by_edge ? UART_ENABLE_SENDING : UART_ENABLE_BOTH_WAYS;
    if (by_edge) {
        IO_INTR(PIN_UART_RX) = EDGE_LOW(PIN_UART_RX); /* the UART has no clock: its line wakes, and the byte is lost */
        SET_BITS(IO_INTE(PIN_UART_RX)) = EDGE_LOW(PIN_UART_RX);
    }
}

static bool received(void) { return receive_ring.head != receive_ring.tail; }

/* Interrupts are off between the look and the sleep: one that comes meanwhile ends WFI at once. */
static uint32_t sleep_until(enum labd_rest_state state, uint32_t events) {
    for (;;) {
        interrupts_off();
        const uint32_t found = (happened & events) | (received() ? events & LABD_EVENT_UART : 0u);
        if (found != 0u || timed_out) {
            happened &= ~found;
            interrupts_on();
            return found;
        }
        if (state != LABD_REST_BUSY_POLL) {
            __asm volatile("wfi" ::: "memory");
        }
        interrupts_on();
    }
}

static struct labd_wakeup wait_for(void *context, enum labd_rest_state state, uint32_t events, enum labd_phase phase, uint32_t timeout_us) {
    (void)context;
    listen(state, events, phase);
    if ((events & LABD_EVENT_UART) != 0u && !received()) {
        interrupts_off();
        happened &= ~LABD_EVENT_UART; /* of bytes that were taken long ago */
        interrupts_on();
    }
    timed_out = false;
    if (timeout_us != LABD_NO_TIMEOUT && !set_alarm(ALARM_TIMEOUT, now_us() + timeout_us)) {
        timed_out = true;
    }
    gate_clocks(state);
    note_rest(state, events, phase);
    const uint32_t found = sleep_until(state, events);
    const uint64_t awake_ns = now_us() * 1000u;
    TIMER_ARMED = 1u << ALARM_TIMEOUT;
    CLEAR_BITS(IO_INTE(PIN_UART_RX)) = EDGE_LOW(PIN_UART_RX);
    return (struct labd_wakeup){found, awake_ns};
}

/* --- UART */

static void uart_send(void *context, const char *bytes, uint16_t length) {
    (void)context;
    for (uint16_t i = 0; i < length; i++) {
        while ((UART_FR & UART_TRANSMIT_FULL) != 0u) {
        }
        UART_DR = (uint8_t)bytes[i];
    }
}

static void uart_flush(void *context) {
    (void)context;
    note_flushing();
    while ((UART_FR & UART_BUSY) != 0u) {
    }
}

/* The interrupt has moved everything; the look costs nothing and is where an emulator hands over bytes that came while the program ran. */
static void uart_poll(void *context, struct labd_ring *ring) {
    (void)context;
    (void)ring;
    (void)UART_RIS;
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
    };
    const struct labd_board board = {
        .hal = &hal,
        .memory = {&receive_ring, upload_bytes, UPLOAD_SIZE, laps, LAP_COUNT, &model_memory},
        .energy_build = EE_CFG_ENERGY_MODE != 0,
        .boots = count_boot(),
    };
    labd_ring_init(&receive_ring, receive_bytes, RECEIVE_SIZE);
    note_model_memory(&model_memory, sizeof model_memory);
    labd_boot(&device, &board);
    for (;;) {
        labd_turn(&device);
    }
}
