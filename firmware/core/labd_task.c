#include "labd_task.h"

#include "labd_random.h"

#define LEVEL_LIMIT 100

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
