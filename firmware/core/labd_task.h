/* The task both nets solve: 25 frames of 10 bands in, 12 classes out; and its seeded input data. */
#ifndef LABD_TASK_H
#define LABD_TASK_H

#include <stdint.h>

#define LABD_FRAMES 25u
#define LABD_BANDS 10u
#define LABD_CLASSES 12u
#define LABD_INPUT_SIZE (LABD_FRAMES * LABD_BANDS)

/* Each band steps up or down by 8..24 in `activity_percent` of the frames on average, from zero before the first frame, staying within +-100. */
void labd_task_generate(int8_t input[LABD_INPUT_SIZE], uint32_t activity_percent, uint32_t seed);

#endif
