#include "labd_workload.h"

#include <stddef.h>
#include <string.h>

#if LABD_NET

static void make_sample(int8_t *input, uint32_t activity_percent, uint32_t seed) {
    (void)activity_percent;
    memcpy(input, &labd_net.samples[seed % labd_net.sample_count * LABD_NET_INPUT], LABD_NET_INPUT);
}

static void load_net(struct labd_model_memory *memory) { memcpy(memory->parameters.bytes, labd_net.parameters, LABD_NET_PARAMETERS); }

static uint32_t infer_net(struct labd_model_memory *memory, const int8_t *input, int32_t *logits, struct labd_meter *meter) {
    return labd_net_infer(&labd_net, memory->parameters.bytes, &memory->scratch, input, logits, meter);
}

const struct labd_workload LABD_WORKLOADS[] = {
    {LABD_NET_NAME, LABD_NET_INPUT, LABD_NET_CLASSES, LABD_NET_PARAMETERS, LABD_NET_SCORE_SHIFT, make_sample, load_net, infer_net},
};

#else

static void load_dnn(struct labd_model_memory *memory) { labd_dnn_load(&memory->parameters.dnn); }

static uint32_t infer_dnn(struct labd_model_memory *memory, const int8_t *input, int32_t *logits, struct labd_meter *meter) {
    return labd_dnn_infer(&memory->parameters.dnn, &memory->scratch.dnn, input, logits, meter);
}

static void load_snn(struct labd_model_memory *memory) { labd_snn_load(&memory->parameters.snn); }

static uint32_t infer_snn(struct labd_model_memory *memory, const int8_t *input, int32_t *logits, struct labd_meter *meter) {
    return labd_snn_infer(&memory->parameters.snn, &memory->scratch.snn, input, logits, meter);
}

const struct labd_workload LABD_WORKLOADS[] = {
    {"dnn", LABD_INPUT_SIZE, LABD_CLASSES, sizeof(struct labd_dnn_parameters), LABD_DNN_SCORE_SHIFT, labd_task_generate, load_dnn, infer_dnn},
    {"snn", LABD_INPUT_SIZE, LABD_CLASSES, sizeof(struct labd_snn_parameters), LABD_SNN_SCORE_SHIFT, labd_task_generate, load_snn, infer_snn},
};

#endif

const unsigned LABD_WORKLOAD_COUNT = sizeof LABD_WORKLOADS / sizeof LABD_WORKLOADS[0];

const struct labd_workload *labd_workload_named(const char *name) {
    for (unsigned i = 0; name != NULL && i < LABD_WORKLOAD_COUNT; i++) {
        if (strcmp(LABD_WORKLOADS[i].name, name) == 0) {
            return &LABD_WORKLOADS[i];
        }
    }
    return NULL;
}
