/* What a board gives the core: callbacks for time, rest, the mark pin and the UART.
 *
 * Porting labd to a board is filling in this structure and the memory of labd.h; docs/decisions/0002-firmware-hal.md tells how the host build
 * does it. All callbacks get the board's own context. The core calls them from the main loop only, never from an interrupt.
 */
#ifndef LABD_HAL_H
#define LABD_HAL_H

#include <stdbool.h>
#include <stdint.h>

#include "labd_ring.h"

enum labd_phase {
    LABD_PHASE_OFF = 0,
    LABD_PHASE_RAMP = 1,
    LABD_PHASE_SLEEP = 2,
    LABD_PHASE_WAKE = 3,
    LABD_PHASE_LOAD = 4,
    LABD_PHASE_INFER = 5,
    LABD_PHASE_TAIL = 6,
    LABD_PHASE_IDLE = 7
};

enum labd_rest_state {
    LABD_REST_BUSY_POLL = 0,
    LABD_REST_WFI = 1,
    LABD_REST_CLOCK_GATED = 2,
    LABD_REST_SLEEP_RETAINED = 3, /* all RAM keeps its contents */
    LABD_REST_SLEEP_MODEL_OFF = 4 /* the model memory loses its contents */
};

/* What an accelerator can do in place of the core. */
enum labd_operation { LABD_OPERATION_MAC = 0, LABD_OPERATION_SYNOP = 1, LABD_OPERATION_UPDATE = 2 };

#define LABD_EVENT_UART 1u
#define LABD_EVENT_TRIG 2u
#define LABD_EVENT_TIMER 4u

#define LABD_NO_TIMEOUT 0xFFFFFFFFu

struct labd_wakeup {
    uint32_t events; /* of those asked for; 0: the time-out passed */
    uint64_t now_ns; /* when code runs again */
};

struct labd_hal {
    void *context;

    /* The device's free-running counter. Marks, laps and the timer share it. */
    uint64_t (*now_ns)(void *context);

    /* Code whose cost model says `cycles` has just run; activity 0..100 scales its dynamic current. On silicon time has passed by itself:
     * do nothing. */
    void (*work)(void *context, enum labd_phase phase, uint8_t activity, uint32_t cycles);

    /* Let `cycles` of the CPU clock pass before going on. On silicon: a busy loop. */
    void (*pause)(void *context, enum labd_phase phase, uint32_t cycles);

    /* Rest until one of `events` or the time-out. An event that is already pending ends it at once. A board restores its clocks before it returns. */
    struct labd_wakeup (*wait)(void *context, enum labd_rest_state state, uint32_t events, enum labd_phase phase, uint32_t timeout_us);

    /* One event of the timer `delay_us` from now, or from its own last expiry; 0 cancels. Returns the counter at the time of the call. */
    uint64_t (*timer_at)(void *context, uint32_t delay_us, bool from_last_expiry);

    void (*mark)(void *context, bool level);

    /* Queue bytes for sending; may return before they are on the wire. */
    void (*uart_send)(void *context, const char *bytes, uint16_t length);

    /* Return when the last queued byte has left. */
    void (*uart_flush)(void *context);

    /* Move what the UART has received into the ring. Where an interrupt does that: do nothing. */
    void (*uart_poll)(void *context, struct labd_ring *ring);

    /* Code of `phase` runs from here on, for a board that shows what it does on pins. NULL where nobody looks. */
    void (*enter)(void *context, enum labd_phase phase);

    /* `count` operations with weights of `bits` on the board's engine, which has done them when this returns; false where it has none for them:
     * the core has done them. NULL where there is no engine. */
    bool (*operate)(void *context, enum labd_phase phase, enum labd_operation operation, uint8_t bits, uint32_t count);

    /* Run the core at `hz` from here on, the UART's rate and the counter as they were; false where the board has no such clock. NULL where it
     * has one clock. */
    bool (*clock)(void *context, uint32_t hz);
};

#endif
