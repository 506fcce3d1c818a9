#include "labd_workload.h"

#if LABD_NET

#include "labd_checksum.h"
#include "labd_cost.h"

int32_t labd_net_weight(const uint8_t *weights, unsigned bits, uint32_t index) {
    if (bits == 8u) {
        const int32_t value = weights[index];
        return value < 128 ? value : value - 256;
    }
    if (bits == 4u) {
        const int32_t value = (weights[index / 2u] >> (4u * (index & 1u))) & 15;
        return value < 8 ? value : value - 16;
    }
    return ((weights[index / 8u] >> (index & 7u)) & 1) != 0 ? 1 : -1;
}

static int32_t bias_at(const uint8_t *bytes) {
    const uint32_t word = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return word <= (uint32_t)INT32_MAX ? (int32_t)word : -(int32_t)~word - 1;
}

/* Rectify, scale rounding half up, saturate. A sum of 2^22 times a multiplier of 2^16 needs 64 bits. */
static int8_t activation(int32_t sum, const struct labd_net_layer *layer) {
    if (sum <= 0) {
        return 0;
    }
    const int64_t scaled = ((int64_t)sum * layer->multiplier + ((int64_t)1 << (layer->shift - 1u))) >> layer->shift;
    return (int8_t)(scaled > 127 ? 127 : scaled);
}

/* Adds one tap's products over the input channels. */
static int32_t tap_sum(const struct labd_net_layer *layer, const uint8_t *weights, uint32_t first, const int8_t *input) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < layer->inputs; i++) {
        sum += (int32_t)input[i] * labd_net_weight(weights, layer->weight_bits, first + i);
    }
    return sum;
}

/* The taps that fall inside the input; adds how many products that were. */
static int32_t filter_at(const struct labd_net_layer *layer, const uint8_t *weights, const int8_t *input, uint32_t place, uint32_t output,
                         uint32_t *macs) {
    const uint32_t columns_out = (layer->columns + layer->stride - 1u) / layer->stride;
    int32_t sum = 0;
    for (uint32_t tap = 0; tap < 9u; tap++) {
        const uint32_t y = place / columns_out * layer->stride + tap / 3u; /* one more than the input's row: padding 1 */
        const uint32_t x = place % columns_out * layer->stride + tap % 3u;
        if (y >= 1u && y <= layer->rows && x >= 1u && x <= layer->columns) {
            const int8_t *at = &input[((y - 1u) * layer->columns + (x - 1u)) * layer->inputs];
            sum += tap_sum(layer, weights, (output * 9u + tap) * layer->inputs, at);
            *macs += layer->inputs;
        }
    }
    return sum;
}

static uint32_t places(const struct labd_net_layer *layer) {
    if (layer->kind == LABD_LAYER_DENSE) {
        return 1u;
    }
    return ((layer->rows + layer->stride - 1u) / layer->stride) * ((layer->columns + layer->stride - 1u) / layer->stride);
}

/* output NULL: the last layer, whose sums go to logits. Returns how many products there were. */
static uint32_t run_layer(const struct labd_net_layer *layer, const uint8_t *parameters, const int8_t *input, int8_t *output, int32_t *logits) {
    const uint8_t *weights = &parameters[layer->weights];
    const uint32_t count = places(layer);
    uint32_t macs = 0;
    for (uint32_t place = 0; place < count; place++) {
        for (uint32_t i = 0; i < layer->outputs; i++) {
            int32_t sum = bias_at(&parameters[layer->biases + 4u * i]);
            if (layer->kind == LABD_LAYER_FILTER) {
                sum += filter_at(layer, weights, input, place, i, &macs);
            } else {
                sum += tap_sum(layer, weights, i * layer->inputs, input);
                macs += layer->inputs;
            }
            if (output == NULL) {
                logits[i] = sum;
            } else {
                output[place * layer->outputs + i] = activation(sum, layer);
            }
        }
    }
    return macs;
}

static uint32_t infer_quantised(const struct labd_net *net, const uint8_t *parameters, struct labd_net_scratch *scratch, const int8_t *input,
                                int32_t *logits, struct labd_meter *meter) {
    uint32_t sum = LABD_CHECKSUM_START;
    const int8_t *from = input;
    for (uint32_t i = 0; i < net->layer_count; i++) {
        const struct labd_net_layer *layer = &net->layers[i];
        int8_t *to = i + 1u == net->layer_count ? NULL : i % 2u == 0u ? scratch->ping : scratch->pong;
        const uint8_t power = layer->kind == LABD_LAYER_FILTER ? LABD_ACTIVITY_FILTER : LABD_ACTIVITY_DENSE;
        const uint32_t macs = run_layer(layer, parameters, from, to, logits);
        const uint32_t outputs = places(layer) * layer->outputs;
        if (to == NULL) {
            for (uint32_t k = 0; k < outputs; k++) {
                sum = labd_checksum_word(sum, (uint32_t)logits[k]);
            }
        } else {
            sum = labd_checksum_bytes(sum, to, outputs);
        }
        labd_operate(meter, LABD_OPERATION_MAC, layer->weight_bits, macs, power);
        labd_work(meter, LABD_PHASE_INFER, power, outputs * LABD_CYCLES_PER_OUTPUT + outputs / 4u * LABD_CYCLES_PER_CHECKSUM_WORD);
        from = to;
    }
    return sum;
}

uint32_t labd_net_infer(const struct labd_net *net, const uint8_t *parameters, struct labd_net_scratch *scratch, const int8_t *input, int32_t *logits,
                        struct labd_meter *meter) {
    return net->kind == LABD_NET_QUANTISED ? infer_quantised(net, parameters, scratch, input, logits, meter)
                                           : labd_net_infer_spiking(net, parameters, scratch, input, logits, meter);
}

#else

typedef int labd_net_is_left_out; /* a file without a declaration is no C */

#endif
