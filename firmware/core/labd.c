#include "labd.h"

#include <string.h>

#include "labd_command.h"
#include "labd_mark.h"
#include "labd_mlperf.h"

static const uint32_t DEFAULT_ACTIVITY_PERCENT = 10u;
static const uint32_t DEFAULT_SEED = 1u;

static void set_up(struct labd_device *device, const struct labd_board *board) {
    memset(device, 0, sizeof *device);
    device->board = *board;
    device->hal = board->hal;
    device->mode = LABD_MODE_ALWAYS_ON;
    device->idle_kind = LABD_STOCK ? LABD_REST_BUSY_POLL : LABD_REST_WFI;
    labd_text_init(&device->out, device->hal);
    labd_meter_init(&device->meter, device->hal);
    labd_model_init(&device->model, board->memory.model);
}

/* Commands sent before the device is ready are dropped without a reply, as the MLPerf Tiny parser gate does. */
static void drop_received(struct labd_device *device) {
    struct labd_ring *ring = device->board.memory.receive;
    uint8_t byte;
    do {
        device->hal->uart_poll(device->hal->context, ring);
    } while (labd_ring_get(ring, &byte));
    device->command.lost_before = ring->lost;
}

void labd_boot(struct labd_device *device, const struct labd_board *board) {
    set_up(device, board);
    labd_mark_style(device, board->energy_build ? LABD_MARKS_PULSES : LABD_MARKS_OFF);
    labd_put_line(&device->out, "m-timestamp-mode-", board->energy_build ? "energy" : "performance", "");
    labd_timestamp(device);
    labd_model_prepare(&device->model, &LABD_WORKLOADS[0], DEFAULT_ACTIVITY_PERCENT, DEFAULT_SEED);
    labd_model_load(&device->model, &device->meter);
    labd_meter_clear(&device->meter);
    labd_put_line(&device->out, "m-init-done", "", "");
    drop_received(device);
    if (!LABD_STOCK) {
        labd_mark_ready(device);
    }
    labd_put_line(&device->out, "m-ready", "", "");
}

static void rest(struct labd_device *device) {
    /* Sleep states stop the UART: outside a program every mode but always_on waits in wfi. */
    const enum labd_rest_state state = device->mode == LABD_MODE_ALWAYS_ON ? device->idle_kind : LABD_REST_WFI;
    (void)device->hal->wait(device->hal->context, state, LABD_EVENT_UART, LABD_PHASE_IDLE, LABD_NO_TIMEOUT);
}

void labd_turn(struct labd_device *device) {
    struct labd_ring *ring = device->board.memory.receive;
    uint8_t byte;
    if (!labd_ring_get(ring, &byte)) {
        device->hal->uart_poll(device->hal->context, ring);
        if (!labd_ring_get(ring, &byte)) {
            rest(device);
            return;
        }
    }
    labd_mark_heard(device);
    labd_receive(device, (char)byte);
}
