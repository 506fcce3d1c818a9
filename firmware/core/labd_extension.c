#include "labd_extension.h"

#include <stddef.h>

#include "labd_cost.h"
#include "labd_mark.h"
#include "labd_words.h"

/* A name's place in its list is its enumerator's value. */
static const char *const MODES[] = {"always_on", "event_sleep", "event_reload", NULL};
static const char *const IDLE_KINDS[] = {"busy_poll", "wfi", "clock_gated", NULL};
static const char *const MARKS[] = {"off", "pulses", "gate", "phases", NULL};
static const uint32_t LONGEST_APART_US = 10000u;

/* -1 when the word is in no place of the list. */
static int find(const char *const *names, const char *word) {
    for (int i = 0; word != NULL && names[i] != NULL; i++) {
        if (labd_same(names[i], word)) {
            return i;
        }
    }
    return -1;
}

static const char *or_empty(const char *word) { return word == NULL ? "" : word; }

static void put_field(struct labd_device *device, const char *name, uint64_t value) {
    labd_put(&device->out, name);
    labd_put_number(&device->out, value);
}

void labd_do_ver(struct labd_device *device, char *words) {
    (void)words;
    labd_put_line(&device->out, "m-ver-[", LABD_VERSION, "]");
}

static void set_mode(struct labd_device *device, int mode, int idle_kind) {
    device->mode = (enum labd_mode)mode;
    labd_put(&device->out, "m-mode-[");
    labd_put(&device->out, MODES[mode]);
    if (device->mode == LABD_MODE_ALWAYS_ON) {
        device->idle_kind = (enum labd_rest_state)idle_kind;
        labd_put(&device->out, " ");
        labd_put(&device->out, IDLE_KINDS[idle_kind]);
    }
    labd_put_line(&device->out, "]", "", "");
}

void labd_do_mode(struct labd_device *device, char *words) {
    const char *name = labd_next_word(&words);
    const char *kind = labd_next_word(&words);
    const int mode = find(MODES, name);
    const int idle_kind = kind == NULL ? (int)LABD_REST_WFI : find(IDLE_KINDS, kind);
    if (mode < 0) {
        labd_put_line(&device->out, "e-[Unknown mode: ", or_empty(name), "]");
    } else if (idle_kind < 0 || (kind != NULL && mode != (int)LABD_MODE_ALWAYS_ON)) {
        labd_put_line(&device->out, "e-[Unknown mode: ", or_empty(kind), "]");
    } else {
        set_mode(device, mode, idle_kind);
    }
}

void labd_do_clock(struct labd_device *device, char *words) {
    const char *word = labd_next_word(&words);
    uint32_t hz;
    if (!labd_number(word, 1u, UINT32_MAX, &hz)) {
        labd_put_line(&device->out, "e-[Clock must be 1..4294967295 Hz]", "", "");
        return;
    }
    device->hal->uart_flush(device->hal->context);
    if (device->hal->clock == NULL || !device->hal->clock(device->hal->context, hz)) {
        labd_put_line(&device->out, "e-[No such clock: ", word, "]");
    } else {
        labd_put_number_line(&device->out, "m-clock-[", hz, "]");
    }
}

static void set_workload(struct labd_device *device, const struct labd_workload *workload, uint32_t activity, uint32_t seed) {
    device->upload.expected = 0;
    device->upload.received = 0;
    labd_model_prepare(&device->model, workload, activity, seed);
    labd_model_load(&device->model, &device->meter);
    labd_put(&device->out, "m-workload-[");
    labd_put(&device->out, workload->name);
    put_field(device, " ", activity);
    put_field(device, " ", seed);
    labd_put_line(&device->out, "]", "", "");
}

void labd_do_workload(struct labd_device *device, char *words) {
    const char *name = labd_next_word(&words);
    const struct labd_workload *workload = labd_workload_named(name);
    uint32_t activity, seed;
    if (workload == NULL) {
        labd_put_line(&device->out, "e-[Unknown workload: ", or_empty(name), "]");
    } else if (!labd_number(labd_next_word(&words), 0u, 100u, &activity)) {
        labd_put_line(&device->out, "e-[Workload activity must be 0..100]", "", "");
    } else if (!labd_number(labd_next_word(&words), 0u, UINT32_MAX, &seed)) {
        labd_put_line(&device->out, "e-[Workload seed must be 0..4294967295]", "", "");
    } else {
        set_workload(device, workload, activity, seed);
    }
}

void labd_do_marks(struct labd_device *device, char *words) {
    const char *name = labd_next_word(&words);
    const int marks = find(MARKS, name);
    if (marks < 0) {
        labd_put_line(&device->out, "e-[Unknown marks: ", or_empty(name), "]");
        return;
    }
    const char *apart = labd_next_word(&words);
    uint32_t apart_us = LABD_APART_US;
    if (apart != NULL && !labd_number(apart, 0u, LONGEST_APART_US, &apart_us)) {
        labd_put_number_line(&device->out, "e-[Marks must be apart 0..", LONGEST_APART_US, " us]");
        return;
    }
    labd_mark_style(device, (enum labd_marks)marks);
    device->apart_us = apart_us;
    labd_put_line(&device->out, "m-marks-[", MARKS[marks], "]");
}

void labd_do_stat(struct labd_device *device, char *words) {
    const char *word = labd_next_word(&words);
    if (word != NULL && !labd_same(word, "clear")) {
        labd_put_line(&device->out, "e-[Unknown stat: ", word, "]");
        return;
    }
    const struct labd_counters *counters = &device->meter.counters;
    put_field(device, "m-stat-[infer=", counters->infer);
    put_field(device, ",mac=", counters->mac);
    put_field(device, ",synop=", counters->synop);
    put_field(device, ",spike=", counters->spike);
    put_field(device, ",neuron_update=", counters->neuron_update);
    put_field(device, ",cycles=", counters->cycles);
    put_field(device, ",wake=", counters->wake);
    put_field(device, ",missed=", counters->missed);
    put_field(device, ",boot=", device->board.boots);
    labd_put_line(&device->out, "]", "", "");
    if (word != NULL) {
        labd_meter_clear(&device->meter); /* after the reply: read and clear in one command */
    }
}

static void put_lap(struct labd_device *device, uint32_t index) {
    const struct labd_lap *lap = &device->board.memory.laps[index % device->board.memory.lap_count];
    put_field(device, "m-phase-[", index);
    put_field(device, ",", lap->event_us);
    put_field(device, ",", lap->event_us + lap->awake_us);
    put_field(device, ",", lap->event_us + lap->ready_us);
    put_field(device, ",", lap->event_us + lap->start_us);
    put_field(device, ",", lap->event_us + lap->end_us);
    labd_put_line(&device->out, "]", "", "");
}

void labd_do_laps(struct labd_device *device, char *words) {
    (void)words;
    const uint32_t taken = device->laps_taken;
    const uint32_t kept = device->board.memory.lap_count;
    for (uint32_t i = taken > kept ? taken - kept : 0u; i < taken; i++) {
        put_lap(device, i);
    }
}

void labd_do_checksum(struct labd_device *device, char *words) {
    (void)words;
    labd_put(&device->out, "m-checksum-[");
    labd_put_hex(&device->out, device->model.checksum, 8u);
    labd_put_line(&device->out, "]", "", "");
}
