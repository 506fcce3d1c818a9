#include "labd_task.h"

#include "labd_random.h"

#define LEVEL_LIMIT 100

/* 16 doublings, and 12 shares of at most 2^16 times 1000 still fit 32 bits. */
#define SCORE_BITS 16u

static int step(struct labd_random *random, int level) {
    int delta = 8 + (int)(labd_random_draw(random) % 17u);
    if ((labd_random_draw(random) & 1u) != 0u) {
        delta = -delta;
    }
    const int moved = level + delta;
    return moved < -LEVEL_LIMIT || moved > LEVEL_LIMIT ? level - delta : moved;
}

void labd_task_generate(int8_t input[LABD_INPUT_SIZE], uint32_t activity_percent, uint32_t seed) {
    struct labd_random random;
    int level[LABD_BANDS] = {0};
    labd_random_seed(&random, seed);
    for (unsigned i = 0; i < LABD_INPUT_SIZE; i++) {
        const unsigned band = i % LABD_BANDS;
        if (labd_random_draw(&random) % 100u < activity_percent) {
            level[band] = step(&random, level[band]);
        }
        input[i] = (int8_t)level[band];
    }
}

/* 2^(SCORE_BITS - below_best / 2^shift), straight lines between whole powers. */
static uint32_t share(int32_t below_best, unsigned shift) {
    const uint32_t halvings = (uint32_t)below_best >> shift;
    const uint32_t rest = (uint32_t)below_best & ((UINT32_C(1) << shift) - 1u);
    if (halvings > SCORE_BITS) {
        return 0u;
    }
    const uint32_t power = UINT32_C(1) << (SCORE_BITS - halvings);
    return power - ((power / 2u * rest) >> shift);
}

void labd_task_scores(const int32_t logits[LABD_CLASSES], unsigned shift, uint16_t scores[LABD_CLASSES]) {
    int32_t best = logits[0];
    uint32_t sum = 0;
    for (unsigned i = 1; i < LABD_CLASSES; i++) {
        best = logits[i] > best ? logits[i] : best;
    }
    for (unsigned i = 0; i < LABD_CLASSES; i++) {
        sum += share(best - logits[i], shift);
    }
    for (unsigned i = 0; i < LABD_CLASSES; i++) {
        scores[i] = (uint16_t)(share(best - logits[i], shift) * 1000u / sum);
    }
}
