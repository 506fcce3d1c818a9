#include <string.h>

#include "bench.h"
#include "cases.h"
#include "check.h"
#include "labd_random.h"
#include "labd_scores.h"

static void draws_are_the_same_everywhere(void) {
    struct labd_random random;
    labd_random_seed(&random, 1u);
    /* By the definition, in another language: mix(mix(1) + k * 0x9E3779B9). */
    CHECK_EQUAL(labd_random_draw(&random), 0x50653BEDu);
    CHECK_EQUAL(labd_random_draw(&random), 0xCC56A2EBu);
}

static void signed_draws_fill_their_range(void) {
    struct labd_random random;
    int32_t low = 0, high = 0;
    labd_random_seed(&random, 5u);
    for (int i = 0; i < 20000; i++) {
        const int32_t drawn = labd_random_signed(&random, 8u);
        low = drawn < low ? drawn : low;
        high = drawn > high ? drawn : high;
    }
    CHECK_EQUAL(low, -128);
    CHECK_EQUAL(high, 127);
}

void random_cases(void) {
    RUN(draws_are_the_same_everywhere);
    RUN(signed_draws_fill_their_range);
}

static void generated_input_stays_in_range_and_changes_as_often_as_asked(void) {
    int8_t input[LABD_INPUT_SIZE];
    unsigned changes = 0;
    for (uint32_t seed = 0; seed < 100; seed++) {
        labd_task_generate(input, 30u, seed);
        for (unsigned i = 0; i < LABD_INPUT_SIZE; i++) {
            const int before = i < LABD_BANDS ? 0 : input[i - LABD_BANDS];
            CHECK(input[i] >= -100 && input[i] <= 100);
            changes += input[i] != before;
        }
    }
    CHECK(changes > 7000u && changes < 8000u); /* 7500 +- 7 standard deviations */
}

static void scores_keep_the_order_and_the_sum(void) {
    const int32_t extreme[LABD_CLASSES] = {-2000000, 2000000, 1, 2, 3, 1900000, -1, 0, 7, 2000000, 5, 6};
    uint16_t scores[LABD_CLASSES];
    uint32_t sum = 0;
    labd_scores(extreme, LABD_CLASSES, 11u, scores);
    for (unsigned i = 0; i < LABD_CLASSES; i++) {
        sum += scores[i];
    }
    CHECK(sum <= 1000u);
    CHECK_EQUAL(scores[1], scores[9]);
    CHECK(scores[1] > scores[5]);
    const int32_t equal[LABD_CLASSES] = {0};
    labd_scores(equal, LABD_CLASSES, 0u, scores);
    CHECK_EQUAL(scores[0], 83);
    CHECK_EQUAL(scores[11], 83);
}

/* The sanitizers watch for overflow while inputs drive all sums to their ends. */
static void extreme_inputs_overflow_nothing(void) {
    static struct bench bench;
    const int8_t levels[][2] = {{127, 127}, {-128, -128}, {127, -128}, {-128, 127}, {0, 127}, {0, -128}};
    bench_boot(&bench, false);
    for (unsigned workload = 0; workload < LABD_WORKLOAD_COUNT; workload++) {
        for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++) {
            struct labd_model *model = &bench.device.model;
            labd_model_prepare(model, &LABD_WORKLOADS[workload], 0u, 0u);
            labd_model_load(model, &bench.device.meter);
            for (unsigned k = 0; k < LABD_INPUT_SIZE; k++) {
                model->input[k] = levels[i][k / LABD_BANDS % 2u];
            }
            labd_model_infer(model, &bench.device.meter);
            const uint32_t first = model->checksum;
            labd_model_infer(model, &bench.device.meter);
            CHECK_EQUAL(model->checksum, first);
        }
    }
}

static void the_nets_do_the_documented_work(void) {
    static struct bench bench;
    bench_boot(&bench, false);
    struct labd_meter *meter = &bench.device.meter;
    labd_model_infer(&bench.device.model, meter);
    CHECK_EQUAL(meter->counters.mac, 131600);
    labd_model_prepare(&bench.device.model, labd_workload_named("snn"), 0u, 1u);
    labd_model_load(&bench.device.model, meter);
    labd_model_infer(&bench.device.model, meter);
    CHECK_EQUAL(meter->counters.synop, 0);
    CHECK_EQUAL(meter->counters.spike, 0);
    CHECK_EQUAL(meter->counters.infer, 2);
}

void net_cases(void) {
    RUN(generated_input_stays_in_range_and_changes_as_often_as_asked);
    RUN(scores_keep_the_order_and_the_sum);
    RUN(extreme_inputs_overflow_nothing);
    RUN(the_nets_do_the_documented_work);
}
