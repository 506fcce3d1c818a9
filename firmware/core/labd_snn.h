/* The event-driven spiking net: leaky integrate-and-fire layers 20 -> 128 -> 64 -> 12 over 25 frames. */
#ifndef LABD_SNN_H
#define LABD_SNN_H

#include <stdint.h>

#include "labd_meter.h"
#include "labd_task.h"

#define LABD_SNN_LINES (2u * LABD_BANDS) /* one address line a band and direction of change: 0..9 up, 10..19 down */
#define LABD_SNN_HIDDEN_1 128u
#define LABD_SNN_HIDDEN_2 64u

/* Filled by the generator in this order; [presynaptic][postsynaptic], so that one event reads one row. */
struct labd_snn_parameters {
    int8_t first[LABD_SNN_LINES * LABD_SNN_HIDDEN_1];
    int8_t second[LABD_SNN_HIDDEN_1 * LABD_SNN_HIDDEN_2];
    int8_t third[LABD_SNN_HIDDEN_2 * LABD_CLASSES];
};

/* Potentials of the three layers, and the addresses that spiked in the current frame. */
struct labd_snn_scratch {
    int16_t first[LABD_SNN_HIDDEN_1];
    int16_t second[LABD_SNN_HIDDEN_2];
    int16_t third[LABD_CLASSES];
    uint8_t events[LABD_SNN_HIDDEN_1];
};

#define LABD_SNN_SEED 0x5E06u
#define LABD_SNN_SCORE_SHIFT 1u /* two output spikes more double a score */

#define LABD_SNN_LEAK_SHIFT 4u
#define LABD_SNN_FLOOR (-256)
#define LABD_SNN_THRESHOLD_1 32
#define LABD_SNN_THRESHOLD_2 90
#define LABD_SNN_THRESHOLD_3 90

void labd_snn_load(struct labd_snn_parameters *parameters);

/* logits: output spikes of each class. Charges and counts the work in groups of five frames. Returns the checksum of all layers' spikes. */
uint32_t labd_snn_infer(const struct labd_snn_parameters *parameters, struct labd_snn_scratch *scratch, const int8_t input[LABD_INPUT_SIZE],
                        int32_t logits[LABD_CLASSES], struct labd_meter *meter);

#endif
