/* Counters of the work done, and the one place where work is charged to the board. */
#ifndef LABD_METER_H
#define LABD_METER_H

#include "labd_hal.h"

struct labd_counters {
    uint64_t infer;
    uint64_t mac;
    uint64_t synop;
    uint64_t spike;
    uint64_t neuron_update;
    uint64_t cycles; /* by the cost model */
    uint64_t wake;   /* returns from a sleep state */
    uint64_t missed; /* deadlines that passed while still busy */
};

struct labd_meter {
    const struct labd_hal *hal;
    struct labd_counters counters;
};

void labd_meter_init(struct labd_meter *meter, const struct labd_hal *hal);
void labd_meter_clear(struct labd_meter *meter);

/* Code of `phase` begins. */
void labd_enter(const struct labd_meter *meter, enum labd_phase phase);

/* Charge work that has run. Zero cycles charge nothing. */
void labd_work(struct labd_meter *meter, enum labd_phase phase, uint8_t activity, uint32_t cycles);

/* Count operations of an inference that have run, and charge them: to the board's engine where it has one for them, else to the core, by the
 * cost model. bits: of a weight. activity: of the core. */
void labd_operate(struct labd_meter *meter, enum labd_operation operation, uint8_t bits, uint32_t count, uint8_t activity);

/* Let cycles pass that no work fills. */
void labd_pause(struct labd_meter *meter, enum labd_phase phase, uint32_t cycles);

#endif
