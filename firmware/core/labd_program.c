#include "labd_program.h"

#include <stddef.h>

#include "labd_cost.h"
#include "labd_inference.h"
#include "labd_signature.h"
#include "labd_words.h"

static const uint32_t LONGEST_MS = (LABD_NO_TIMEOUT - 1u) / 1000u;

struct rested {
    uint32_t events;
    uint64_t now_ns;
    bool slept;
};

static uint64_t now_ns(const struct labd_device *device) { return device->hal->now_ns(device->hal->context); }

static enum labd_rest_state rest_state(const struct labd_device *device) {
    switch (device->mode) {
    case LABD_MODE_EVENT_SLEEP:
        return LABD_REST_SLEEP_RETAINED;
    case LABD_MODE_EVENT_RELOAD:
        return LABD_REST_SLEEP_MODEL_OFF;
    case LABD_MODE_ALWAYS_ON:
    default:
        return device->idle_kind;
    }
}

/* The mode's rest state, until one of `events` or the time-out. */
static struct rested rest(struct labd_device *device, uint32_t events, uint32_t timeout_us) {
    const enum labd_rest_state state = rest_state(device);
    const bool sleeps = device->mode != LABD_MODE_ALWAYS_ON;
    const enum labd_phase phase = sleeps ? LABD_PHASE_SLEEP : LABD_PHASE_IDLE;
    const struct labd_wakeup wakeup = device->hal->wait(device->hal->context, state, events, phase, timeout_us);
    device->meter.counters.wake += sleeps ? 1u : 0u;
    if (state == LABD_REST_SLEEP_MODEL_OFF) {
        device->model.resident = false;
    }
    return (struct rested){wakeup.events, wakeup.now_ns, sleeps};
}

/* Awake: after an inference in the event modes, or where the event is known to be there already. */
static struct rested linger(struct labd_device *device, uint32_t events, uint32_t timeout_us) {
    const struct labd_wakeup wakeup = device->hal->wait(device->hal->context, LABD_REST_WFI, events, LABD_PHASE_TAIL, timeout_us);
    return (struct rested){wakeup.events, wakeup.now_ns, false};
}

/* Between two events: in the event modes a tail that a follow-up ends early, then rest. */
static struct rested tail_and_rest(struct labd_device *device, uint32_t events, uint32_t timeout_us) {
    if (device->mode != LABD_MODE_ALWAYS_ON) {
        const struct rested tail = linger(device, events, LABD_TAIL_US);
        if (tail.events != 0u) {
            return tail;
        }
    }
    return rest(device, events, timeout_us);
}

/* Clocks back after the rest that ends a program, before it prints. */
static void restore_clocks(struct labd_device *device, bool slept) {
    labd_work(&device->meter, LABD_PHASE_WAKE, LABD_ACTIVITY_WAKE, slept ? LABD_CYCLES_WAKE : 0u);
}

static void start_program(struct labd_device *device) {
    labd_take_input(device);
    if (device->mode != LABD_MODE_EVENT_RELOAD) {
        labd_model_load(&device->model, &device->meter);
    }
    labd_laps_restart(device);
}

/* The start line has left the wire before anything of the program begins. */
static void announce(struct labd_device *device, const char *head, uint32_t count) {
    labd_put_number_line(&device->out, head, count, "");
    device->hal->uart_flush(device->hal->context);
}

void labd_do_idle(struct labd_device *device, char *words) {
    uint32_t ms;
    if (!labd_number(labd_next_word(&words), 1u, LONGEST_MS, &ms)) {
        labd_put_number_line(&device->out, "e-[Idle time must be 1..", LONGEST_MS, " ms]");
        return;
    }
    labd_put_line(&device->out, "m-idle-start", "", "");
    device->hal->uart_flush(device->hal->context);
    labd_bracket_open(device);
    (void)device->hal->timer_at(device->hal->context, ms * 1000u, false);
    struct rested rested;
    do {
        rested = rest(device, LABD_EVENT_TIMER, LABD_NO_TIMEOUT);
    } while (rested.events == 0u);
    restore_clocks(device, rested.slept);
    labd_bracket_close(device);
    labd_bracket_report(device);
    labd_put_line(&device->out, "m-idle-done", "", "");
}

struct pace {
    uint64_t deadline_ns;
    uint32_t period_us;
    uint32_t missed;
};

static void start_pace(struct labd_device *device, struct pace *pace) {
    const uint64_t start_ns = device->hal->timer_at(device->hal->context, pace->period_us, false);
    pace->deadline_ns = start_ns + pace->period_us * UINT64_C(1000);
}

/* From expiry to expiry, never from now: nothing the inference does moves the next deadline. */
static void next_pace(struct labd_device *device, struct pace *pace) {
    (void)device->hal->timer_at(device->hal->context, pace->period_us, true);
    pace->deadline_ns += pace->period_us * UINT64_C(1000);
}

static struct rested await_deadline(struct labd_device *device, bool after_event) {
    struct rested rested;
    do {
        rested = after_event ? tail_and_rest(device, LABD_EVENT_TIMER, LABD_NO_TIMEOUT) : rest(device, LABD_EVENT_TIMER, LABD_NO_TIMEOUT);
        after_event = false;
    } while (rested.events == 0u);
    return rested;
}

/* A deadline that passed while the device was busy: count it and go on at once, without tail or rest. */
static struct rested await_next(struct labd_device *device, struct pace *pace, bool after_event) {
    if (now_ns(device) < pace->deadline_ns) {
        return await_deadline(device, after_event);
    }
    pace->missed++;
    device->meter.counters.missed++;
    return linger(device, LABD_EVENT_TIMER, LABD_NO_TIMEOUT);
}

static void run_periodic(struct labd_device *device, uint32_t count, struct pace *pace) {
    start_pace(device, pace);
    for (uint32_t i = 0; i < count; i++) {
        const struct rested rested = await_next(device, pace, i > 0u);
        const struct labd_event event = {pace->deadline_ns, rested.now_ns, rested.slept};
        next_pace(device, pace);
        labd_infer_event(device, &event);
    }
    restore_clocks(device, await_deadline(device, true).slept); /* the last period's rest, so that N whole periods follow the first event */
}

void labd_do_periodic(struct labd_device *device, char *words) {
    struct pace pace = {0};
    uint32_t count;
    if (!labd_number(labd_next_word(&words), 1u, UINT32_MAX, &count)) {
        labd_put_line(&device->out, "e-[Periodic count must be >0]", "", "");
        return;
    }
    if (!labd_number(labd_next_word(&words), 1u, LABD_NO_TIMEOUT - 1u, &pace.period_us)) {
        labd_put_line(&device->out, "e-[Periodic period must be >0 us]", "", "");
        return;
    }
    start_program(device);
    announce(device, "m-periodic-start-", count);
    labd_bracket_open(device);
    run_periodic(device, count, &pace);
    labd_bracket_close(device);
    labd_bracket_report(device);
    labd_put(&device->out, "m-periodic-done-");
    labd_put_number(&device->out, count);
    labd_put_number_line(&device->out, "-missed-", pace.missed, "");
}

/* What the UART received is the trigger, never a command. */
static void drop_received(struct labd_device *device) {
    struct labd_ring *ring = device->board.memory.receive;
    uint8_t byte;
    device->hal->uart_poll(device->hal->context, ring);
    while (labd_ring_get(ring, &byte)) {
        device->hal->uart_poll(device->hal->context, ring);
    }
}

static uint32_t run_armed(struct labd_device *device, uint32_t count, uint32_t timeout_us, uint32_t source) {
    uint32_t served = 0;
    if (source == LABD_EVENT_UART) {
        drop_received(device); /* a line end after the command is no trigger */
    }
    while (served < count) {
        const struct rested rested = served == 0u ? rest(device, source, timeout_us) : tail_and_rest(device, source, timeout_us);
        if (rested.events == 0u) {
            restore_clocks(device, rested.slept);
            return served;
        }
        if (source == LABD_EVENT_UART) {
            drop_received(device);
        }
        const struct labd_event event = {rested.now_ns, rested.now_ns, rested.slept};
        labd_infer_event(device, &event);
        served++;
    }
    if (device->mode != LABD_MODE_ALWAYS_ON) {
        (void)linger(device, 0u, LABD_TAIL_US);
    }
    return served;
}

static bool trigger_source(const char *word, uint32_t *source) {
    *source = word != NULL && labd_same(word, "uart") ? LABD_EVENT_UART : LABD_EVENT_TRIG;
    return word == NULL || labd_same(word, "pin") || labd_same(word, "uart");
}

void labd_do_arm(struct labd_device *device, char *words) {
    uint32_t count, timeout_ms, source;
    if (!labd_number(labd_next_word(&words), 1u, UINT32_MAX, &count)) {
        labd_put_line(&device->out, "e-[Arm count must be >0]", "", "");
        return;
    }
    if (!labd_number(labd_next_word(&words), 1u, LONGEST_MS, &timeout_ms)) {
        labd_put_number_line(&device->out, "e-[Arm time-out must be 1..", LONGEST_MS, " ms]");
        return;
    }
    const char *word = labd_next_word(&words);
    if (!trigger_source(word, &source)) {
        labd_put_line(&device->out, "e-[Unknown trigger: ", word, "]");
        return;
    }
    start_program(device);
    labd_bracket_open(device); /* before the start line: a trigger during it would be lost */
    announce(device, "m-arm-start-", count);
    const uint32_t served = run_armed(device, count, timeout_ms * 1000u, source);
    labd_bracket_close(device);
    labd_bracket_report(device);
    labd_put_number_line(&device->out, "m-arm-done-", served, "");
}
