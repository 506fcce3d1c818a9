#include "bench.h"

#include <string.h>

#include "check.h"

static struct labd_hal hal;

static uint64_t now_ns(void *context) {
    const struct bench *bench = context;
    return bench->now_ns - bench->slept_ns;
}

static void work(void *context, enum labd_phase phase, uint8_t activity, uint32_t cycles) {
    struct bench *bench = context;
    CHECK(activity <= 100u);
    CHECK(bench->entered == phase || (phase != LABD_PHASE_LOAD && phase != LABD_PHASE_INFER)); /* a board that shows phases shows this one */
    bench->cycles[phase] += cycles;
    bench->now_ns += cycles * UINT64_C(1000) / 64u;
}

static void pause_for(void *context, enum labd_phase phase, uint32_t cycles) { work(context, phase, 0u, cycles); }

/* No pin edge and no byte ever comes here: the timer, else the time-out, else nothing. */
static struct labd_wakeup wait_for(void *context, enum labd_rest_state state, uint32_t events, enum labd_phase phase, uint32_t timeout_us) {
    struct bench *bench = context;
    (void)phase;
    bench->waits[state]++;
    if (state == LABD_REST_SLEEP_MODEL_OFF) {
        memset(&bench->model, 0xA5, sizeof bench->model);
    }
    if ((events & LABD_EVENT_TIMER) != 0u && bench->timer_set) {
        const uint64_t limit = timeout_us == LABD_NO_TIMEOUT ? UINT64_MAX : bench->now_ns + timeout_us * UINT64_C(1000);
        if (bench->timer_ns <= limit) {
            const bool sleeps = state == LABD_REST_SLEEP_RETAINED || state == LABD_REST_SLEEP_MODEL_OFF;
            bench->slept_ns += bench->counter_stops && sleeps && bench->timer_ns > bench->now_ns ? bench->timer_ns - bench->now_ns : 0u;
            bench->now_ns = bench->timer_ns > bench->now_ns ? bench->timer_ns : bench->now_ns;
            bench->expired_ns = bench->timer_ns;
            bench->timer_set = false;
            return (struct labd_wakeup){LABD_EVENT_TIMER, now_ns(bench)};
        }
    }
    CHECK(timeout_us != LABD_NO_TIMEOUT || events == LABD_EVENT_UART); /* else the device would hang */
    bench->now_ns += timeout_us == LABD_NO_TIMEOUT ? 0u : timeout_us * UINT64_C(1000);
    return (struct labd_wakeup){0u, now_ns(bench)};
}

static uint64_t timer_at(void *context, uint32_t delay_us, bool from_last_expiry) {
    struct bench *bench = context;
    bench->timer_ns = (from_last_expiry ? bench->expired_ns : bench->now_ns) + delay_us * UINT64_C(1000);
    bench->timer_set = delay_us != 0u;
    return now_ns(bench);
}

static void mark(void *context, bool level) {
    struct bench *bench = context;
    bench->edges += level != bench->mark ? 1u : 0u;
    bench->mark = level;
}

static void uart_send(void *context, const char *bytes, uint16_t length) {
    struct bench *bench = context;
    CHECK(length > 0u && length <= LABD_TEXT_SIZE);
    if (bench->output_length + length < BENCH_OUTPUT_SIZE) {
        memcpy(&bench->output[bench->output_length], bytes, length);
        bench->output_length += length;
        bench->output[bench->output_length] = '\0';
    }
}

static void uart_flush(void *context) { ((struct bench *)context)->now_ns += 100000u; }

static void uart_poll(void *context, struct labd_ring *ring) {
    (void)context; /* bytes come as from an interrupt */
    (void)ring;
}

static void enter(void *context, enum labd_phase phase) { ((struct bench *)context)->entered = phase; }

static const struct labd_hal *hal_of(struct bench *bench) {
    hal = (struct labd_hal){bench, now_ns, work, pause_for, wait_for, timer_at, mark, uart_send, uart_flush, uart_poll, enter, NULL, NULL};
    return &hal;
}

void bench_boot(struct bench *bench, bool energy_build) {
    memset(bench, 0, sizeof *bench);
    labd_ring_init(&bench->ring, bench->receive, BENCH_RECEIVE);
    const struct labd_board board = {
        hal_of(bench), {&bench->ring, bench->upload, BENCH_UPLOAD, bench->laps, BENCH_LAPS, &bench->model}, energy_build, 3u,
    };
    labd_boot(&bench->device, &board);
}

static void drain(struct bench *bench) {
    while (labd_ring_free(&bench->ring) + 1u < BENCH_RECEIVE) {
        labd_turn(&bench->device);
    }
}

const char *bench_say_bytes(struct bench *bench, const uint8_t *bytes, uint32_t length) {
    bench->output_length = 0;
    bench->output[0] = '\0';
    for (uint32_t i = 0; i < length; i++) {
        (void)labd_ring_put(&bench->ring, bytes[i]);
        drain(bench);
    }
    labd_turn(&bench->device);
    return bench->output;
}

const char *bench_say(struct bench *bench, const char *text) { return bench_say_bytes(bench, (const uint8_t *)text, (uint32_t)strlen(text)); }
