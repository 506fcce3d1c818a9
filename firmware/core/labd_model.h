/* The workload under test: which net, its input, its memory, and what its last inference gave. */
#ifndef LABD_MODEL_H
#define LABD_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "labd_workload.h"

struct labd_model {
    struct labd_model_memory *memory;
    const struct labd_workload *workload;
    bool resident;
    int8_t input[LABD_MOST_INPUT];
    uint16_t scores[LABD_MOST_CLASSES]; /* thousandths; zeros before the first inference */
    uint32_t checksum;                  /* of the last inference's layer outputs; 0 before the first */
};

void labd_model_init(struct labd_model *model, struct labd_model_memory *memory);

/* Choose a net and make its input data. The parameters are not resident afterwards. */
void labd_model_prepare(struct labd_model *model, const struct labd_workload *workload, uint32_t activity_percent, uint32_t seed);

/* Copy the parameters to RAM if they are not there; charged as phase load. For the seeded nets the generator stands in for the flash image. */
void labd_model_load(struct labd_model *model, struct labd_meter *meter);

/* One inference. The parameters must be resident. */
void labd_model_infer(struct labd_model *model, struct labd_meter *meter);

#endif
