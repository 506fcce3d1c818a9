#include "labd_snn.h"

#include <string.h>

#include "labd_checksum.h"
#include "labd_cost.h"
#include "labd_random.h"

#define GROUP_FRAMES 5u
#define BITMAP_WORDS (LABD_SNN_HIDDEN_1 / 32u)

struct layer {
    const int8_t *weights;
    int16_t *potential;
    unsigned neurons;
    int16_t threshold;
    unsigned leak_owed; /* frames since the potentials were last brought up to date */
};

struct work {
    uint32_t synops, spikes, updates, frames, words;
};

/* The leak rounds towards minus infinity for either sign, written so that no shift of a negative number is needed. */
static int16_t leaked(int16_t potential) {
    const int v = potential;
    const int round_up = (1 << LABD_SNN_LEAK_SHIFT) - 1;
    const int leak = v >= 0 ? v >> LABD_SNN_LEAK_SHIFT : -((-v + round_up) >> LABD_SNN_LEAK_SHIFT);
    return (int16_t)(v - leak);
}

/* Lazy: a layer nobody talks to is not touched; the leak it owes is paid when the next event arrives. With reset to zero and a leak towards
 * zero no neuron can cross its threshold meanwhile, so the spikes are those of a net that leaks in every frame. */
static void pay_leak(struct layer *layer) {
    for (; layer->leak_owed > 0u; layer->leak_owed--) {
        for (unsigned i = 0; i < layer->neurons; i++) {
            layer->potential[i] = leaked(layer->potential[i]);
        }
    }
}

/* At most 128 rows of -64..63 on top of a potential within floor..threshold: fits 16 bits. */
static void integrate(struct layer *layer, const uint8_t *events, unsigned count) {
    for (unsigned e = 0; e < count; e++) {
        const int8_t *row = &layer->weights[events[e] * layer->neurons];
        for (unsigned i = 0; i < layer->neurons; i++) {
            layer->potential[i] = (int16_t)(layer->potential[i] + row[i]);
        }
    }
}

/* Overwrites events with the addresses that fired, returns how many. */
static unsigned fire(struct layer *layer, uint8_t *events) {
    unsigned count = 0;
    for (unsigned i = 0; i < layer->neurons; i++) {
        if (layer->potential[i] >= layer->threshold) {
            layer->potential[i] = 0;
            events[count++] = (uint8_t)i;
        } else if (layer->potential[i] < LABD_SNN_FLOOR) {
            layer->potential[i] = LABD_SNN_FLOOR;
        }
    }
    return count;
}

static unsigned run_layer(struct layer *layer, uint8_t *events, unsigned count, struct work *work) {
    layer->leak_owed++;
    if (count == 0u) {
        return 0u;
    }
    pay_leak(layer);
    integrate(layer, events, count);
    const unsigned spikes = fire(layer, events);
    work->synops += count * layer->neurons;
    work->updates += layer->neurons;
    work->spikes += spikes;
    return spikes;
}

/* Signed changes against the frame before; against zero for the first. */
static unsigned encode(const int8_t *input, unsigned frame, uint8_t *events) {
    unsigned count = 0;
    for (unsigned band = 0; band < LABD_BANDS; band++) {
        const int before = frame == 0u ? 0 : input[(frame - 1u) * LABD_BANDS + band];
        const int now = input[frame * LABD_BANDS + band];
        if (now != before) {
            events[count++] = (uint8_t)(now > before ? band : LABD_BANDS + band);
        }
    }
    return count;
}

static uint32_t checksum_spikes(uint32_t sum, const uint8_t *events, unsigned count, unsigned neurons, struct work *work) {
    uint32_t bitmap[BITMAP_WORDS] = {0};
    const unsigned words = (neurons + 31u) / 32u;
    for (unsigned e = 0; e < count; e++) {
        bitmap[events[e] / 32u] |= UINT32_C(1) << (events[e] % 32u);
    }
    for (unsigned i = 0; i < words; i++) {
        sum = labd_checksum_word(sum, bitmap[i]);
    }
    work->words += words;
    return sum;
}

static void charge(struct labd_meter *meter, struct work *work) {
    meter->counters.synop += work->synops;
    meter->counters.spike += work->spikes;
    meter->counters.neuron_update += work->updates;
    labd_work(meter, LABD_PHASE_INFER, LABD_ACTIVITY_SPIKING,
              work->synops * LABD_CYCLES_PER_SYNOP + work->updates * LABD_CYCLES_PER_NEURON_UPDATE + work->frames * LABD_CYCLES_PER_FRAME +
                  work->words * LABD_CYCLES_PER_CHECKSUM_WORD);
    memset(work, 0, sizeof *work);
}

static void fill(struct labd_random *random, int8_t *weights, size_t count) {
    for (size_t i = 0; i < count; i++) {
        weights[i] = (int8_t)labd_random_signed(random, 7u);
    }
}

void labd_snn_load(struct labd_snn_parameters *parameters) {
    struct labd_random random;
    labd_random_seed(&random, LABD_SNN_SEED);
    fill(&random, parameters->first, sizeof parameters->first);
    fill(&random, parameters->second, sizeof parameters->second);
    fill(&random, parameters->third, sizeof parameters->third);
}

uint32_t labd_snn_infer(const struct labd_snn_parameters *parameters, struct labd_snn_scratch *scratch, const int8_t input[LABD_INPUT_SIZE],
                        int32_t logits[LABD_CLASSES], struct labd_meter *meter) {
    struct layer layers[] = {
        {parameters->first, scratch->first, LABD_SNN_HIDDEN_1, LABD_SNN_THRESHOLD_1, 0},
        {parameters->second, scratch->second, LABD_SNN_HIDDEN_2, LABD_SNN_THRESHOLD_2, 0},
        {parameters->third, scratch->third, LABD_CLASSES, LABD_SNN_THRESHOLD_3, 0},
    };
    struct work work = {0};
    uint32_t sum = LABD_CHECKSUM_START;
    memset(scratch, 0, sizeof *scratch);
    memset(logits, 0, LABD_CLASSES * sizeof logits[0]);
    for (unsigned frame = 0; frame < LABD_FRAMES; frame++) {
        unsigned count = encode(input, frame, scratch->events);
        for (unsigned i = 0; i < sizeof layers / sizeof layers[0]; i++) {
            count = run_layer(&layers[i], scratch->events, count, &work);
            sum = checksum_spikes(sum, scratch->events, count, layers[i].neurons, &work);
        }
        for (unsigned e = 0; e < count; e++) {
            logits[scratch->events[e]]++;
        }
        work.frames++;
        if (work.frames == GROUP_FRAMES) {
            charge(meter, &work);
        }
    }
    return sum;
}
