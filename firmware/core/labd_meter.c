#include "labd_meter.h"

#include <stddef.h>
#include <string.h>

#include "labd_cost.h"

void labd_meter_init(struct labd_meter *meter, const struct labd_hal *hal) {
    meter->hal = hal;
    labd_meter_clear(meter);
}

void labd_meter_clear(struct labd_meter *meter) { memset(&meter->counters, 0, sizeof meter->counters); }

void labd_enter(const struct labd_meter *meter, enum labd_phase phase) {
    if (meter->hal->enter != NULL) {
        meter->hal->enter(meter->hal->context, phase);
    }
}

void labd_work(struct labd_meter *meter, enum labd_phase phase, uint8_t activity, uint32_t cycles) {
    if (cycles == 0u) {
        return;
    }
    meter->counters.cycles += cycles;
    meter->hal->work(meter->hal->context, phase, activity, cycles);
}

static uint32_t cycles_of(enum labd_operation operation, uint8_t bits) {
    switch (operation) {
    case LABD_OPERATION_MAC:
        return bits == 8u ? LABD_CYCLES_PER_MAC : bits == 4u ? LABD_CYCLES_PER_MAC_4 : LABD_CYCLES_PER_MAC_1;
    case LABD_OPERATION_SYNOP:
        return bits == 8u ? LABD_CYCLES_PER_SYNOP : bits == 4u ? LABD_CYCLES_PER_SYNOP_4 : LABD_CYCLES_PER_SYNOP_1;
    case LABD_OPERATION_UPDATE:
    default:
        return LABD_CYCLES_PER_NEURON_UPDATE;
    }
}

void labd_operate(struct labd_meter *meter, enum labd_operation operation, uint8_t bits, uint32_t count, uint8_t activity) {
    struct labd_counters *counters = &meter->counters;
    uint64_t *counter = operation == LABD_OPERATION_MAC ? &counters->mac : operation == LABD_OPERATION_SYNOP ? &counters->synop : &counters->neuron_update;
    *counter += count;
    if (count == 0u) {
        return;
    }
    if (meter->hal->operate == NULL || !meter->hal->operate(meter->hal->context, LABD_PHASE_INFER, operation, bits, count)) {
        labd_work(meter, LABD_PHASE_INFER, activity, count * cycles_of(operation, bits));
    }
}

void labd_pause(struct labd_meter *meter, enum labd_phase phase, uint32_t cycles) {
    meter->counters.cycles += cycles;
    meter->hal->pause(meter->hal->context, phase, cycles);
}
