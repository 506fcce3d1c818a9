#include "labd_scores.h"

/* 16 doublings, and a share of at most 2^16 times 1000, of up to 65 classes, still fits 32 bits. */
#define SCORE_BITS 16u

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

void labd_scores(const int32_t *logits, uint32_t classes, unsigned shift, uint16_t *scores) {
    int32_t best = logits[0];
    uint32_t sum = 0;
    for (uint32_t i = 1; i < classes; i++) {
        best = logits[i] > best ? logits[i] : best;
    }
    for (uint32_t i = 0; i < classes; i++) {
        sum += share(best - logits[i], shift);
    }
    for (uint32_t i = 0; i < classes; i++) {
        scores[i] = (uint16_t)(share(best - logits[i], shift) * 1000u / sum);
    }
}
