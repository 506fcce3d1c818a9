/* The workload under test: which net, its input, its memory, and what its last inference gave. */
#ifndef LABD_MODEL_H
#define LABD_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "labd_dnn.h"
#include "labd_snn.h"
#include "labd_task.h"

enum labd_workload { LABD_WORKLOAD_DNN, LABD_WORKLOAD_SNN };

/* What a board may switch off in LABD_REST_SLEEP_MODEL_OFF. Only one net is resident at a time. */
struct labd_model_memory {
    union {
        struct labd_dnn_parameters dnn;
        struct labd_snn_parameters snn;
    } parameters;
    union {
        struct labd_dnn_scratch dnn;
        struct labd_snn_scratch snn;
    } scratch;
};

struct labd_model {
    struct labd_model_memory *memory;
    enum labd_workload workload;
    bool resident;
    int8_t input[LABD_INPUT_SIZE];
    uint16_t scores[LABD_CLASSES]; /* thousandths; zeros before the first inference */
    uint32_t checksum;             /* of the last inference's layer outputs; 0 before the first */
};

void labd_model_init(struct labd_model *model, struct labd_model_memory *memory);

/* Choose a net and make its input data. The parameters are not resident afterwards. */
void labd_model_prepare(struct labd_model *model, enum labd_workload workload, uint32_t activity_percent, uint32_t seed);

/* Copy the parameters to RAM if they are not there; charged as phase load. The seeded generator stands in for the flash image. */
void labd_model_load(struct labd_model *model, struct labd_meter *meter);

/* One inference. The parameters must be resident. */
void labd_model_infer(struct labd_model *model, struct labd_meter *meter);

#endif
