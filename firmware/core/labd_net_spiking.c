#include "labd_workload.h"

#if LABD_NET

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "labd_checksum.h"
#include "labd_cost.h"

#define FLOOR (-32768)

struct layer {
    const struct labd_net_layer *is;
    const uint8_t *weights;
    int32_t *potentials;
    bool gathers; /* the last one: its potentials are the logits */
};

/* The leak rounds away from zero, written so that no negative number is shifted: whatever is there reaches zero. */
static int32_t leaked(int32_t potential, unsigned shift) {
    const int32_t round_up = (1 << shift) - 1;
    return potential >= 0 ? potential - ((potential + round_up) >> shift) : potential + ((-potential + round_up) >> shift);
}

/* Rate: an input v of `levels` spikes v times in `levels` steps, evenly. Latency: once, the earlier the larger it is; 0 never. */
static bool spikes_now(const struct labd_net *net, int32_t value, int32_t step) {
    const int32_t levels = net->levels;
    if (value <= 0) {
        return false;
    }
    if (net->kind == LABD_NET_RATE) {
        return value * (step + 1) / levels != value * step / levels;
    }
    return step == (levels - value) * (net->steps - 1) / levels;
}

static uint32_t encode(const struct labd_net *net, const int8_t *input, int32_t step, uint8_t *events) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < LABD_NET_INPUT; i++) {
        if (spikes_now(net, input[i] < (int8_t)net->levels ? input[i] : net->levels, step)) {
            events[count++] = (uint8_t)i;
        }
    }
    return count;
}

static void integrate(const struct layer *layer, const uint8_t *events, uint32_t count) {
    for (uint32_t e = 0; e < count; e++) {
        const uint32_t first = (uint32_t)events[e] * layer->is->outputs;
        for (uint32_t i = 0; i < layer->is->outputs; i++) {
            layer->potentials[i] += labd_net_weight(layer->weights, layer->is->weight_bits, first + i);
        }
    }
}

/* Overwrites events with the addresses that fired, returns how many. */
static uint32_t fire(const struct layer *layer, uint8_t *events) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < layer->is->outputs; i++) {
        if (layer->potentials[i] >= layer->is->threshold) {
            layer->potentials[i] = 0;
            events[count++] = (uint8_t)i;
        } else if (layer->potentials[i] < FLOOR) {
            layer->potentials[i] = FLOOR;
        }
    }
    return count;
}

static uint32_t checksum_spikes(uint32_t sum, const uint8_t *events, uint32_t count, uint32_t neurons) {
    uint32_t bitmap[8] = {0};
    for (uint32_t e = 0; e < count; e++) {
        bitmap[events[e] / 32u] |= UINT32_C(1) << (events[e] % 32u);
    }
    for (uint32_t i = 0; i < (neurons + 31u) / 32u; i++) {
        sum = labd_checksum_word(sum, bitmap[i]);
    }
    return sum;
}

/* One layer, one step: its neurons leak, take the events, fire. A layer nobody talks to owes its leak until it is talked to. */
static uint32_t run_layer(const struct labd_net *net, const struct layer *layer, uint8_t *owed, uint8_t *events, uint32_t count,
                          struct labd_meter *meter) {
    (*owed)++;
    if (count == 0u) {
        return 0u;
    }
    for (; *owed > 0u && !layer->gathers; (*owed)--) {
        for (uint32_t i = 0; i < layer->is->outputs; i++) {
            layer->potentials[i] = leaked(layer->potentials[i], net->leak_shift);
        }
    }
    integrate(layer, events, count);
    const uint32_t spikes = layer->gathers ? 0u : fire(layer, events);
    meter->counters.spike += spikes;
    labd_operate(meter, LABD_OPERATION_SYNOP, layer->is->weight_bits, count * layer->is->outputs, LABD_ACTIVITY_SPIKING);
    labd_operate(meter, LABD_OPERATION_UPDATE, 32u, layer->gathers ? 0u : layer->is->outputs, LABD_ACTIVITY_SPIKING);
    return spikes;
}

uint32_t labd_net_infer_spiking(const struct labd_net *net, const uint8_t *parameters, struct labd_net_scratch *scratch, const int8_t *input,
                                int32_t *logits, struct labd_meter *meter) {
    uint8_t owed[LABD_NET_LAYERS] = {0};
    uint32_t sum = LABD_CHECKSUM_START;
    memset(scratch, 0, sizeof *scratch);
    for (int32_t step = 0; step < net->steps; step++) {
        uint32_t count = encode(net, input, step, scratch->events), neuron = 0, words = 0;
        for (uint32_t i = 0; i < net->layer_count; i++) {
            const struct labd_net_layer *is = &net->layers[i];
            const struct layer layer = {is, &parameters[is->weights], &scratch->potentials[neuron], i + 1u == net->layer_count};
            count = run_layer(net, &layer, &owed[i], scratch->events, count, meter);
            if (!layer.gathers) {
                sum = checksum_spikes(sum, scratch->events, count, is->outputs);
                words += (is->outputs + 31u) / 32u;
            }
            neuron += is->outputs;
        }
        labd_work(meter, LABD_PHASE_INFER, LABD_ACTIVITY_SPIKING,
                  LABD_CYCLES_PER_STEP + LABD_NET_INPUT * LABD_CYCLES_PER_CODED_INPUT + words * LABD_CYCLES_PER_CHECKSUM_WORD);
    }
    for (uint32_t i = 0; i < LABD_NET_CLASSES; i++) {
        logits[i] = scratch->potentials[LABD_NET_NEURONS - LABD_NET_CLASSES + i];
        sum = labd_checksum_word(sum, (uint32_t)logits[i]);
    }
    return sum;
}

#else

typedef int labd_net_spiking_is_left_out; /* a file without a declaration is no C */

#endif
