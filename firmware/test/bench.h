/* A board in memory for the host tests: time passes by cycles and waits, output is gathered as text. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "labd.h"

#define BENCH_OUTPUT_SIZE 65536u
#define BENCH_LAPS 4u
#define BENCH_UPLOAD 300u
#define BENCH_RECEIVE 64u

struct bench {
    struct labd_device device;
    struct labd_ring ring;
    uint8_t receive[BENCH_RECEIVE];
    uint8_t upload[BENCH_UPLOAD];
    struct labd_lap laps[BENCH_LAPS];
    struct labd_model_memory model;
    uint64_t now_ns;
    uint64_t timer_ns, expired_ns;
    uint64_t slept_ns; /* of sleep, where the counter stands still in it */
    bool timer_set;
    bool counter_stops;
    bool mark;
    uint32_t edges;
    uint32_t waits[5];   /* by rest state */
    uint64_t cycles[8];  /* by phase */
    enum labd_phase entered;
    uint32_t output_length;
    char output[BENCH_OUTPUT_SIZE];
};

/* Power on: a device booted on this board. The bench must outlive it. */
void bench_boot(struct bench *bench, bool energy_build);

/* Put the text on the wire, run until nothing is left of it; what was printed meanwhile. */
const char *bench_say(struct bench *bench, const char *text);

/* The same for bytes of any value. */
const char *bench_say_bytes(struct bench *bench, const uint8_t *bytes, uint32_t length);

#endif
