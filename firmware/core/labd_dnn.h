/* The int8 convolutional net: 3x3 filters, depthwise separable blocks, average pool, dense; 131600 MAC an inference. */
#ifndef LABD_DNN_H
#define LABD_DNN_H

#include <stdint.h>

#include "labd_meter.h"
#include "labd_task.h"

#define LABD_DNN_ROWS 13u
#define LABD_DNN_COLUMNS 5u
#define LABD_DNN_PLACES (LABD_DNN_ROWS * LABD_DNN_COLUMNS)
#define LABD_DNN_NARROW 16u
#define LABD_DNN_WIDE 32u

/* Filled by the generator in this order. Filters are [output channel][tap], matrices [output][input]. */
struct labd_dnn_weights {
    int8_t filter_1[LABD_DNN_NARROW * 9u]; /* 1 -> 16, stride 2 */
    int8_t filter_2[LABD_DNN_NARROW * 9u]; /* depthwise */
    int8_t matrix_2[LABD_DNN_WIDE * LABD_DNN_NARROW];
    int8_t filter_3[LABD_DNN_WIDE * 9u]; /* depthwise */
    int8_t matrix_3[LABD_DNN_WIDE * LABD_DNN_WIDE];
    int8_t matrix_4[LABD_CLASSES * LABD_DNN_WIDE];
};

struct labd_dnn_biases {
    int32_t filter_1[LABD_DNN_NARROW];
    int32_t filter_2[LABD_DNN_NARROW];
    int32_t matrix_2[LABD_DNN_WIDE];
    int32_t filter_3[LABD_DNN_WIDE];
    int32_t matrix_3[LABD_DNN_WIDE];
    int32_t matrix_4[LABD_CLASSES];
};

struct labd_dnn_parameters {
    struct labd_dnn_weights weights;
    struct labd_dnn_biases biases;
};

/* Activations as [row][column][channel]. */
struct labd_dnn_scratch {
    int8_t ping[LABD_DNN_PLACES * LABD_DNN_WIDE];
    int8_t pong[LABD_DNN_PLACES * LABD_DNN_WIDE];
};

#define LABD_DNN_SEED 0x0D28u
#define LABD_DNN_SCORE_SHIFT 11u

void labd_dnn_load(struct labd_dnn_parameters *parameters);

/* Charges and counts the work layer by layer. Returns the checksum of all layers' outputs. */
uint32_t labd_dnn_infer(const struct labd_dnn_parameters *parameters, struct labd_dnn_scratch *scratch, const int8_t input[LABD_INPUT_SIZE],
                        int32_t logits[LABD_CLASSES], struct labd_meter *meter);

#endif
