#include "labd_inference.h"

#include "labd_cost.h"
#include "labd_mark.h"

static uint64_t now_ns(const struct labd_device *device) { return device->hal->now_ns(device->hal->context); }

static uint32_t after_us(uint64_t later_ns, uint64_t event_us) {
    const uint64_t later_us = later_ns / 1000u;
    return (uint32_t)(later_us > event_us ? later_us - event_us : 0u);
}

void labd_laps_restart(struct labd_device *device) { device->laps_taken = 0; }

static struct labd_lap *next_lap(struct labd_device *device) {
    const uint32_t index = device->laps_taken % device->board.memory.lap_count;
    device->laps_taken++;
    return &device->board.memory.laps[index];
}

static void gated_inference(struct labd_device *device, struct labd_lap *lap) {
    lap->start_us = after_us(now_ns(device), lap->event_us);
    labd_mark_gate(device, true);
    labd_model_infer(&device->model, &device->meter);
    labd_mark_gate(device, false);
    lap->end_us = after_us(now_ns(device), lap->event_us);
}

void labd_infer_back_to_back(struct labd_device *device) {
    struct labd_lap *lap = next_lap(device);
    *lap = (struct labd_lap){.event_us = now_ns(device) / 1000u};
    gated_inference(device, lap);
}

/* Event modes only. The lap has ready where it is; the pin of style `phases` waits for what is missing to a pulse that an instrument sees. */
static void wake_up(struct labd_device *device, struct labd_lap *lap, bool slept) {
    const uint64_t since_ns = now_ns(device);
    labd_mark_waking(device);
    labd_work(&device->meter, LABD_PHASE_WAKE, LABD_ACTIVITY_WAKE, slept ? LABD_CYCLES_WAKE : 0u);
    labd_model_load(&device->model, &device->meter);
    lap->ready_us = after_us(now_ns(device), lap->event_us);
    labd_mark_awake(device, since_ns);
}

void labd_infer_event(struct labd_device *device, const struct labd_event *event) {
    const bool always_on = device->mode == LABD_MODE_ALWAYS_ON;
    struct labd_lap *lap = next_lap(device);
    /* A counter that stands still in sleep has not come to the deadline yet: the event is then when code ran. */
    *lap = (struct labd_lap){.event_us = (event->event_ns < event->awake_ns ? event->event_ns : event->awake_ns) / 1000u};
    lap->awake_us = after_us(event->awake_ns, lap->event_us);
    lap->ready_us = lap->awake_us;
    if (!always_on) {
        wake_up(device, lap, event->slept);
        labd_pause(&device->meter, LABD_PHASE_WAKE, LABD_CYCLES_READY); /* in every style, so that the style does not change the energy */
    }
    labd_mark_pulse(device, always_on ? LABD_PHASE_IDLE : LABD_PHASE_WAKE);
    gated_inference(device, lap);
    labd_mark_pulse(device, always_on ? LABD_PHASE_IDLE : LABD_PHASE_TAIL);
}
