/* A deployed net: layers of integers that a builder trained and wrote as C arrays, run layer by layer, or spike by spike. */
#ifndef LABD_NET_H
#define LABD_NET_H

#include <stdint.h>

#include "labd_meter.h"
#include "net_image.h" /* the builder's: its sizes, below */

/* LABD_NET_NAME "..."        as `workload` and plans call it
 * LABD_NET_INPUT             bytes of an input
 * LABD_NET_CLASSES           numbers that the last layer gives, at most 65
 * LABD_NET_SCORE_SHIFT
 * LABD_NET_LAYERS
 * LABD_NET_PARAMETERS        bytes of weights and biases, a multiple of four
 * LABD_NET_ACTIVATION        most activations of a layer, its input included; 1 of a spiking net
 * LABD_NET_NEURONS           all neurons of a spiking net, else 1
 * LABD_NET_WIDEST            most addresses that can spike at once (of inputs or of a layer, at most 256), else 1 */

enum labd_net_kind { LABD_NET_QUANTISED, LABD_NET_RATE, LABD_NET_LATENCY };

enum labd_layer_kind { LABD_LAYER_DENSE, LABD_LAYER_FILTER };

/* Activations are [row][column][channel]; a dense layer has them all as inputs. Weights of weight_bits (8, 4: two a byte, the lower half first,
 * 1: +1 or -1, the lowest bit first) without gaps: [output][tap][input] of a 3x3 filter with padding 1, [output][input] of a dense layer, but
 * [input][output] in a spiking net, where one event reads one row. Spiking layers are dense. */
struct labd_net_layer {
    enum labd_layer_kind kind;
    uint8_t weight_bits;
    uint8_t stride;
    uint8_t shift;         /* activation = sum * multiplier / 2^shift, rounded half up, 0..127; the last layer's sums stay as they are */
    uint16_t multiplier;
    uint16_t rows, columns; /* of a filter's input */
    uint16_t inputs, outputs; /* channels of a filter, neurons of a dense layer */
    uint32_t weights;       /* where they begin in the parameters */
    uint32_t biases;        /* int32, lowest byte first, one an output; a spiking net has none */
    int32_t threshold;      /* of spiking neurons; the last layer's have none and gather */
};

struct labd_net {
    enum labd_net_kind kind;
    uint8_t layer_count;
    uint8_t steps;      /* of a spiking net */
    uint8_t leak_shift; /* a potential loses 1 / 2^leak_shift of itself a step */
    uint8_t levels;     /* the largest input, which spikes in every step (rate) or in the first one (latency) */
    const struct labd_net_layer *layers;
    const uint8_t *parameters;
    const int8_t *samples; /* inputs whose work is about the mean of the data set's */
    uint32_t sample_count;
};

struct labd_net_parameters {
    uint8_t bytes[LABD_NET_PARAMETERS];
};

struct labd_net_scratch {
    int8_t ping[LABD_NET_ACTIVATION];
    int8_t pong[LABD_NET_ACTIVATION];
    int32_t potentials[LABD_NET_NEURONS];
    uint8_t events[LABD_NET_WIDEST];
};

/* The one of this image, from net_image.c. */
extern const struct labd_net labd_net;

/* Charges and counts the work layer by layer, of a spiking net step by step. Returns the checksum of all layers' outputs. */
uint32_t labd_net_infer(const struct labd_net *net, const uint8_t *parameters, struct labd_net_scratch *scratch, const int8_t *input, int32_t *logits,
                        struct labd_meter *meter);

/* Weight number `index` of a layer. */
int32_t labd_net_weight(const uint8_t *weights, unsigned bits, uint32_t index);

uint32_t labd_net_infer_spiking(const struct labd_net *net, const uint8_t *parameters, struct labd_net_scratch *scratch, const int8_t *input,
                                int32_t *logits, struct labd_meter *meter);

#endif
