#include "labd_model.h"

#include <string.h>

#include "labd_cost.h"
#include "labd_scores.h"

void labd_model_init(struct labd_model *model, struct labd_model_memory *memory) {
    memset(model, 0, sizeof *model);
    model->memory = memory;
    model->workload = &LABD_WORKLOADS[0];
}

void labd_model_prepare(struct labd_model *model, const struct labd_workload *workload, uint32_t activity_percent, uint32_t seed) {
    workload->make_input(model->input, activity_percent, seed);
    model->workload = workload;
    model->resident = false;
}

void labd_model_load(struct labd_model *model, struct labd_meter *meter) {
    if (model->resident) {
        return;
    }
    labd_enter(meter, LABD_PHASE_LOAD);
    model->workload->load(model->memory);
    model->resident = true;
    labd_work(meter, LABD_PHASE_LOAD, LABD_ACTIVITY_LOAD, model->workload->parameter_bytes / 4u * LABD_CYCLES_PER_LOADED_WORD);
}

void labd_model_infer(struct labd_model *model, struct labd_meter *meter) {
    const struct labd_workload *workload = model->workload;
    int32_t logits[LABD_MOST_CLASSES];
    labd_enter(meter, LABD_PHASE_INFER);
    model->checksum = workload->infer(model->memory, model->input, logits, meter);
    labd_scores(logits, workload->classes, workload->score_shift, model->scores);
    labd_work(meter, LABD_PHASE_INFER, LABD_ACTIVITY_DENSE, workload->classes * LABD_CYCLES_PER_SCORE);
    meter->counters.infer++;
}
