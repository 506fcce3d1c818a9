#include "labd_dnn.h"

#include <stddef.h>

#include "labd_checksum.h"
#include "labd_cost.h"
#include "labd_random.h"

/* One 3x3 filter an output channel, padding 1. A single input channel feeds all outputs; otherwise channel feeds channel. */
struct filter {
    unsigned rows, columns, channels_in; /* of the input */
    unsigned channels, stride;
    unsigned shift;
};

static const struct filter FILTER_1 = {LABD_FRAMES, LABD_BANDS, 1u, LABD_DNN_NARROW, 2u, 7u};
static const struct filter FILTER_2 = {LABD_DNN_ROWS, LABD_DNN_COLUMNS, LABD_DNN_NARROW, LABD_DNN_NARROW, 1u, 7u};
static const struct filter FILTER_3 = {LABD_DNN_ROWS, LABD_DNN_COLUMNS, LABD_DNN_WIDE, LABD_DNN_WIDE, 1u, 7u};

static const unsigned MATRIX_2_SHIFT = 8u;
static const unsigned MATRIX_3_SHIFT = 9u;

/* Rectify, divide by 2^shift rounding half up, saturate: the quantised activation. */
static int8_t activation(int32_t sum, unsigned shift) {
    if (sum <= 0) {
        return 0;
    }
    const int32_t scaled = (sum + (1 << (shift - 1u))) >> shift;
    return (int8_t)(scaled > 127 ? 127 : scaled);
}

/* Adds the taps that fall inside the input, returns how many did. */
static unsigned filter_at(const struct filter *f, const int8_t *input, const int8_t *taps, unsigned row, unsigned column, unsigned channel,
                          int32_t *sum) {
    const unsigned from = f->channels_in == 1u ? 0u : channel;
    unsigned count = 0;
    for (unsigned tap = 0; tap < 9u; tap++) {
        const unsigned y = row * f->stride + tap / 3u; /* one more than the input's row: padding 1 */
        const unsigned x = column * f->stride + tap % 3u;
        if (y >= 1u && y <= f->rows && x >= 1u && x <= f->columns) {
            *sum += (int32_t)input[((y - 1u) * f->columns + (x - 1u)) * f->channels_in + from] * taps[tap];
            count++;
        }
    }
    return count;
}

static uint32_t filter_layer(const struct filter *f, const int8_t *input, const int8_t *weights, const int32_t *biases, int8_t *output) {
    uint32_t macs = 0;
    for (unsigned place = 0; place < LABD_DNN_PLACES; place++) {
        for (unsigned channel = 0; channel < f->channels; channel++) {
            int32_t sum = biases[channel];
            macs += filter_at(f, input, &weights[channel * 9u], place / LABD_DNN_COLUMNS, place % LABD_DNN_COLUMNS, channel, &sum);
            output[place * f->channels + channel] = activation(sum, f->shift);
        }
    }
    return macs;
}

static int32_t dot(const int8_t *a, const int8_t *b, unsigned length, int32_t sum) {
    for (unsigned i = 0; i < length; i++) {
        sum += (int32_t)a[i] * b[i];
    }
    return sum;
}

static uint32_t pointwise_layer(unsigned inputs, unsigned shift, const int8_t *input, const int8_t *weights, const int32_t *biases, int8_t *output) {
    for (unsigned place = 0; place < LABD_DNN_PLACES; place++) {
        for (unsigned channel = 0; channel < LABD_DNN_WIDE; channel++) {
            const int32_t sum = dot(&input[place * inputs], &weights[channel * inputs], inputs, biases[channel]);
            output[place * LABD_DNN_WIDE + channel] = activation(sum, shift);
        }
    }
    return LABD_DNN_PLACES * LABD_DNN_WIDE * inputs;
}

/* Activations are not negative, so the integer mean is the same in every language. */
static void pool_layer(const int8_t *input, int8_t *output) {
    for (unsigned channel = 0; channel < LABD_DNN_WIDE; channel++) {
        int32_t sum = 0;
        for (unsigned place = 0; place < LABD_DNN_PLACES; place++) {
            sum += input[place * LABD_DNN_WIDE + channel];
        }
        output[channel] = (int8_t)(sum / (int32_t)LABD_DNN_PLACES);
    }
}

static uint32_t dense_layer(const int8_t *input, const int8_t *weights, const int32_t *biases, int32_t *logits) {
    for (unsigned i = 0; i < LABD_CLASSES; i++) {
        logits[i] = dot(input, &weights[i * LABD_DNN_WIDE], LABD_DNN_WIDE, biases[i]);
    }
    return LABD_CLASSES * LABD_DNN_WIDE;
}

static void fill_bytes(struct labd_random *random, int8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (int8_t)labd_random_signed(random, 8u);
    }
}

static void fill_biases(struct labd_random *random, int32_t *biases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        biases[i] = labd_random_signed(random, 11u);
    }
}

void labd_dnn_load(struct labd_dnn_parameters *parameters) {
    struct labd_dnn_weights *weights = &parameters->weights;
    struct labd_dnn_biases *biases = &parameters->biases;
    struct labd_random random;
    labd_random_seed(&random, LABD_DNN_SEED);
    fill_bytes(&random, weights->filter_1, sizeof weights->filter_1);
    fill_bytes(&random, weights->filter_2, sizeof weights->filter_2);
    fill_bytes(&random, weights->matrix_2, sizeof weights->matrix_2);
    fill_bytes(&random, weights->filter_3, sizeof weights->filter_3);
    fill_bytes(&random, weights->matrix_3, sizeof weights->matrix_3);
    fill_bytes(&random, weights->matrix_4, sizeof weights->matrix_4);
    fill_biases(&random, biases->filter_1, LABD_DNN_NARROW);
    fill_biases(&random, biases->filter_2, LABD_DNN_NARROW);
    fill_biases(&random, biases->matrix_2, LABD_DNN_WIDE);
    fill_biases(&random, biases->filter_3, LABD_DNN_WIDE);
    fill_biases(&random, biases->matrix_3, LABD_DNN_WIDE);
    fill_biases(&random, biases->matrix_4, LABD_CLASSES);
}

struct pass {
    struct labd_meter *meter;
    uint32_t sum;
};

static void charge(struct pass *pass, uint8_t power, uint32_t macs, uint32_t outputs, uint32_t words) {
    pass->meter->counters.mac += macs;
    labd_work(pass->meter, LABD_PHASE_INFER, power,
              macs * LABD_CYCLES_PER_MAC + outputs * LABD_CYCLES_PER_OUTPUT + words * LABD_CYCLES_PER_CHECKSUM_WORD);
}

static void finish_layer(struct pass *pass, uint8_t power, uint32_t macs, const int8_t *output, uint32_t outputs) {
    pass->sum = labd_checksum_bytes(pass->sum, output, outputs);
    charge(pass, power, macs, outputs, outputs / 4u);
}

static void finish_logits(struct pass *pass, uint32_t macs, const int32_t *logits) {
    for (unsigned i = 0; i < LABD_CLASSES; i++) {
        pass->sum = labd_checksum_word(pass->sum, (uint32_t)logits[i]);
    }
    charge(pass, LABD_ACTIVITY_DENSE, macs, LABD_CLASSES, LABD_CLASSES);
}

uint32_t labd_dnn_infer(const struct labd_dnn_parameters *parameters, struct labd_dnn_scratch *scratch, const int8_t input[LABD_INPUT_SIZE],
                        int32_t logits[LABD_CLASSES], struct labd_meter *meter) {
    const struct labd_dnn_weights *w = &parameters->weights;
    const struct labd_dnn_biases *b = &parameters->biases;
    struct pass pass = {meter, LABD_CHECKSUM_START};
    uint32_t macs = filter_layer(&FILTER_1, input, w->filter_1, b->filter_1, scratch->ping);
    finish_layer(&pass, LABD_ACTIVITY_FILTER, macs, scratch->ping, LABD_DNN_PLACES * LABD_DNN_NARROW);
    macs = filter_layer(&FILTER_2, scratch->ping, w->filter_2, b->filter_2, scratch->pong);
    finish_layer(&pass, LABD_ACTIVITY_FILTER, macs, scratch->pong, LABD_DNN_PLACES * LABD_DNN_NARROW);
    macs = pointwise_layer(LABD_DNN_NARROW, MATRIX_2_SHIFT, scratch->pong, w->matrix_2, b->matrix_2, scratch->ping);
    finish_layer(&pass, LABD_ACTIVITY_POINTWISE, macs, scratch->ping, LABD_DNN_PLACES * LABD_DNN_WIDE);
    macs = filter_layer(&FILTER_3, scratch->ping, w->filter_3, b->filter_3, scratch->pong);
    finish_layer(&pass, LABD_ACTIVITY_FILTER, macs, scratch->pong, LABD_DNN_PLACES * LABD_DNN_WIDE);
    macs = pointwise_layer(LABD_DNN_WIDE, MATRIX_3_SHIFT, scratch->pong, w->matrix_3, b->matrix_3, scratch->ping);
    finish_layer(&pass, LABD_ACTIVITY_POINTWISE, macs, scratch->ping, LABD_DNN_PLACES * LABD_DNN_WIDE);
    pool_layer(scratch->ping, scratch->pong);
    finish_layer(&pass, LABD_ACTIVITY_DENSE, 0u, scratch->pong, LABD_DNN_WIDE);
    finish_logits(&pass, dense_layer(scratch->pong, w->matrix_4, b->matrix_4, logits), logits);
    return pass.sum;
}
