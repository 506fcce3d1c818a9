/* libFuzzer's entry: arbitrary bytes to a device whose board answers from a script that is made of the same input.
 *
 *   input = 1 byte of set-up, 1 byte length of the script, script, bytes of the wire
 *
 * The board gives up (longjmp out of the core) when the core asks it for more than a budget, because a valid `infer 2147483647` lasts
 * for days. Built with the address and the undefined-behaviour sanitizer; what is checked besides is stated at each abort().
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_device.h"
#include "labd.h"

#define BUDGET 1000u
#define LAPS 3u
#define UPLOAD 300u
#define RECEIVE 32u

struct fuzz {
    struct labd_device device;
    struct labd_ring ring;
    struct labd_lap *laps;
    uint8_t *upload, *receive;
    struct labd_model_memory *model;
    const uint8_t *script, *wire;
    size_t script_left, wire_left;
    uint64_t now_ns;
    uint32_t budget;
    bool polled; /* the UART has no interrupt: bytes come when the core asks for them */
    jmp_buf spent;
};

static struct fuzz fuzz;

static void spend(struct fuzz *board, uint32_t cost) {
    if (board->budget < cost) {
        longjmp(board->spent, 1);
    }
    board->budget -= cost;
}

static uint8_t scripted(struct fuzz *board) {
    if (board->script_left == 0u) {
        return 0u;
    }
    board->script_left--;
    return *board->script++;
}

static uint64_t now_ns(void *context) {
    struct fuzz *board = context;
    spend(board, 1u);
    return board->now_ns += 1000u;
}

static void work(void *context, enum labd_phase phase, uint8_t activity, uint32_t cycles) {
    struct fuzz *board = context;
    if (phase > LABD_PHASE_IDLE || activity > 100u) {
        abort(); /* the cost model charges what no board has */
    }
    spend(board, 20u);
    board->now_ns += cycles;
}

static void pause_for(void *context, enum labd_phase phase, uint32_t cycles) { work(context, phase, 0u, cycles); }

static void receive(struct fuzz *board, size_t most) {
    while (most > 0u && board->wire_left > 0u) {
        (void)labd_ring_put(&board->ring, *board->wire++);
        board->wire_left--;
        most--;
    }
}

/* Any of the events asked for, or the time-out, or an early return with none. Memory that may be off is. */
static struct labd_wakeup wait_for(void *context, enum labd_rest_state state, uint32_t events, enum labd_phase phase, uint32_t timeout_us) {
    struct fuzz *board = context;
    const uint8_t draw = scripted(board);
    (void)phase;
    (void)timeout_us;
    if (state > LABD_REST_SLEEP_MODEL_OFF || (events & ~(LABD_EVENT_UART | LABD_EVENT_TRIG | LABD_EVENT_TIMER)) != 0u) {
        abort();
    }
    spend(board, 20u);
    if (state == LABD_REST_SLEEP_MODEL_OFF) {
        memset(board->model, draw | 0x80, sizeof *board->model);
    }
    if ((events & LABD_EVENT_UART) != 0u) {
        receive(board, 1u + draw % 7u);
    }
    board->now_ns += (uint64_t)draw * 100000u;
    return (struct labd_wakeup){(draw & 1u) != 0u ? 0u : events & ((draw & 2u) != 0u ? events : ~events + 1u), board->now_ns};
}

static uint64_t timer_at(void *context, uint32_t delay_us, bool from_last_expiry) {
    (void)delay_us;
    (void)from_last_expiry;
    return now_ns(context);
}

static void mark(void *context, bool level) {
    (void)level;
    spend(context, 1u);
}

static void uart_send(void *context, const char *bytes, uint16_t length) {
    if (length == 0u || length > LABD_TEXT_SIZE) {
        abort();
    }
    for (uint16_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte != '\r' && byte != '\n' && (byte < 0x20u || byte > 0x7Eu)) {
            abort(); /* a host reads text: nothing else may be echoed */
        }
    }
    spend(context, 1u);
}

static void uart_flush(void *context) { spend(context, 1u); }

static void uart_poll(void *context, struct labd_ring *ring) {
    struct fuzz *board = context;
    if (ring != &board->ring) {
        abort();
    }
    if (board->polled) {
        receive(board, labd_ring_free(ring));
    }
}

static void check(const struct fuzz *board) {
    const struct labd_device *device = &board->device;
    if (device->upload.received > device->upload.expected || device->upload.expected > UPLOAD || device->command.length > LABD_COMMAND_SIZE) {
        abort();
    }
}

static void run(struct fuzz *board, bool energy_build) {
    static struct labd_hal hal;
    hal = (struct labd_hal){board, now_ns, work, pause_for, wait_for, timer_at, mark, uart_send, uart_flush, uart_poll, NULL, NULL, NULL};
    labd_ring_init(&board->ring, board->receive, RECEIVE);
    const struct labd_board given = {&hal, {&board->ring, board->upload, UPLOAD, board->laps, LAPS, board->model}, energy_build, 1u};
    board->budget = BUDGET;
    labd_boot(&board->device, &given);
    while (board->wire_left > 0u) {
        board->budget = BUDGET; /* a turn executes one command at most */
        if (!board->polled) {
            receive(board, 1u + scripted(board) % 40u); /* an interrupt that at times is faster than the main loop */
        }
        do {
            labd_turn(&board->device);
            check(board);
        } while (labd_ring_free(&board->ring) + 1u < RECEIVE);
    }
}

/* Exactly as much memory as the board says it has, each in a block of its own: one byte beyond is found. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2u) {
        return 0;
    }
    struct fuzz *board = &fuzz;
    memset(board, 0, sizeof *board);
    board->laps = malloc(LAPS * sizeof *board->laps);
    board->upload = malloc(UPLOAD);
    board->receive = malloc(RECEIVE);
    board->model = malloc(sizeof *board->model);
    if (board->laps == NULL || board->upload == NULL || board->receive == NULL || board->model == NULL) {
        abort();
    }
    board->polled = (data[0] & 2u) != 0u;
    board->script = data + 2;
    board->script_left = data[1] < size - 2u ? data[1] : size - 2u;
    board->wire = board->script + board->script_left;
    board->wire_left = size - 2u - board->script_left;
    if (setjmp(board->spent) == 0) {
        run(board, (data[0] & 1u) != 0u);
    }
    free(board->laps);
    free(board->upload);
    free(board->receive);
    free(board->model);
    return 0;
}
