#include "labd_mark.h"

#include "labd_cost.h"

static void set(struct labd_device *device, bool level) { device->hal->mark(device->hal->context, level); }

void labd_mark_style(struct labd_device *device, enum labd_marks marks) {
    device->marks = marks;
    device->apart_us = LABD_APART_US;
    set(device, marks == LABD_MARKS_PULSES);
}

void labd_mark_ready(struct labd_device *device) {
    /* Falling edges are MLPerf Tiny's timestamps in an energy build: one more would be one too many. */
    if (device->marks != LABD_MARKS_PULSES) {
        device->ready_shown = true;
        set(device, true);
    }
}

void labd_mark_heard(struct labd_device *device) {
    if (device->ready_shown) {
        device->ready_shown = false;
        set(device, false);
    }
}

void labd_mark_pulse(struct labd_device *device, enum labd_phase phase) {
    if (device->marks == LABD_MARKS_PULSES) {
        set(device, false);
        device->hal->pause(device->hal->context, phase, LABD_PULSE_HOLD_CYCLES);
        set(device, true);
    }
}

void labd_mark_gate(struct labd_device *device, bool level) {
    if (device->marks == LABD_MARKS_GATE || device->marks == LABD_MARKS_PHASES) {
        set(device, level);
    }
}

void labd_mark_waking(struct labd_device *device) {
    if (device->marks == LABD_MARKS_PHASES) {
        set(device, true);
    }
}

void labd_mark_awake(struct labd_device *device, uint64_t since_ns) {
    const struct labd_hal *hal = device->hal;
    if (device->marks != LABD_MARKS_PHASES) {
        return;
    }
    while (hal->now_ns(hal->context) - since_ns < device->apart_us * UINT64_C(1000)) {
        hal->pause(hal->context, LABD_PHASE_WAKE, LABD_PULSE_HOLD_CYCLES / 4u);
    }
    set(device, false);
}
