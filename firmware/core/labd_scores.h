/* What a net's last layer gives, as scores. */
#ifndef LABD_SCORES_H
#define LABD_SCORES_H

#include <stdint.h>

/* Scores in thousandths that sum to at most 1000, of 1 to 65 classes: a softmax of base 2, one power for each 2^shift that a logit lies below
 * the best, linear in between. The order of the logits is kept as far as thousandths show it. */
void labd_scores(const int32_t *logits, uint32_t classes, unsigned shift, uint16_t *scores);

#endif
