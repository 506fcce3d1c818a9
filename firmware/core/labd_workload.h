/* The nets that an image holds, and the memory they share: two that are made from seeds, or one that a builder deployed. */
#ifndef LABD_WORKLOAD_H
#define LABD_WORKLOAD_H

#include <stdint.h>

#include "labd_meter.h"

/* An image with a deployed net (net_image.h and net_image.c of its builder) holds that one alone: its memory is what it takes. */
#ifndef LABD_NET
#define LABD_NET 0
#endif

#if LABD_NET
#include "labd_net.h"
#define LABD_MOST_INPUT LABD_NET_INPUT
#define LABD_MOST_CLASSES LABD_NET_CLASSES
#else
#include "labd_dnn.h"
#include "labd_snn.h"
#include "labd_task.h"
#define LABD_MOST_INPUT LABD_INPUT_SIZE
#define LABD_MOST_CLASSES LABD_CLASSES
#endif

/* What a board may switch off in LABD_REST_SLEEP_MODEL_OFF. Only one net is resident at a time. */
struct labd_model_memory {
#if LABD_NET
    struct labd_net_parameters parameters;
    struct labd_net_scratch scratch;
#else
    union {
        struct labd_dnn_parameters dnn;
        struct labd_snn_parameters snn;
    } parameters;
    union {
        struct labd_dnn_scratch dnn;
        struct labd_snn_scratch snn;
    } scratch;
#endif
};

struct labd_workload {
    const char *name;
    uint32_t input_size, classes, parameter_bytes;
    unsigned score_shift; /* labd_scores: so many bits lower, half the score */

    /* activity_percent: share of the input that changes, where the input is made; a deployed net's inputs are samples of its data set, and
     * the seed chooses one. */
    void (*make_input)(int8_t *input, uint32_t activity_percent, uint32_t seed);
    void (*load)(struct labd_model_memory *memory);

    /* Charges and counts the work. Returns the checksum of all layers' outputs. */
    uint32_t (*infer)(struct labd_model_memory *memory, const int8_t *input, int32_t *logits, struct labd_meter *meter);
};

extern const struct labd_workload LABD_WORKLOADS[];
extern const unsigned LABD_WORKLOAD_COUNT;

/* NULL where the image holds no net of this name. */
const struct labd_workload *labd_workload_named(const char *name);

#endif
