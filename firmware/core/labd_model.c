#include "labd_model.h"

#include <string.h>

#include "labd_cost.h"

void labd_model_init(struct labd_model *model, struct labd_model_memory *memory) {
    memset(model, 0, sizeof *model);
    model->memory = memory;
}

void labd_model_prepare(struct labd_model *model, enum labd_workload workload, uint32_t activity_percent, uint32_t seed) {
    labd_task_generate(model->input, activity_percent, seed);
    model->workload = workload;
    model->resident = false;
}

void labd_model_load(struct labd_model *model, struct labd_meter *meter) {
    uint32_t bytes;
    if (model->resident) {
        return;
    }
    labd_enter(meter, LABD_PHASE_LOAD);
    if (model->workload == LABD_WORKLOAD_DNN) {
        labd_dnn_load(&model->memory->parameters.dnn);
        bytes = sizeof model->memory->parameters.dnn;
    } else {
        labd_snn_load(&model->memory->parameters.snn);
        bytes = sizeof model->memory->parameters.snn;
    }
    model->resident = true;
    labd_work(meter, LABD_PHASE_LOAD, LABD_ACTIVITY_LOAD, bytes / 4u * LABD_CYCLES_PER_LOADED_WORD);
}

void labd_model_infer(struct labd_model *model, struct labd_meter *meter) {
    struct labd_model_memory *memory = model->memory;
    int32_t logits[LABD_CLASSES];
    unsigned shift;
    labd_enter(meter, LABD_PHASE_INFER);
    if (model->workload == LABD_WORKLOAD_DNN) {
        model->checksum = labd_dnn_infer(&memory->parameters.dnn, &memory->scratch.dnn, model->input, logits, meter);
        shift = LABD_DNN_SCORE_SHIFT;
    } else {
        model->checksum = labd_snn_infer(&memory->parameters.snn, &memory->scratch.snn, model->input, logits, meter);
        shift = LABD_SNN_SCORE_SHIFT;
    }
    labd_task_scores(logits, shift, model->scores);
    labd_work(meter, LABD_PHASE_INFER, LABD_ACTIVITY_DENSE, LABD_CLASSES * LABD_CYCLES_PER_SCORE);
    meter->counters.infer++;
}
