#include "labd_meter.h"

#include <stddef.h>
#include <string.h>

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
