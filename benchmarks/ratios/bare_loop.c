/* The least that fires at planned instants: DESCRIPTOR START_NS PERIOD_NS COUNT SPIN_NS. Prints planned, done (ns) a line, at the end. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int descriptor = atoi(argv[1]);
    int64_t start = atoll(argv[2]), period = atoll(argv[3]), count = atoll(argv[4]), spin = atoll(argv[5]);
    int64_t *done = calloc((size_t)count, sizeof *done);
    struct sched_param priority = {.sched_priority = 49};
    (void)sched_setscheduler(0, SCHED_FIFO, &priority); /* refused: it runs as it may */
    (void)mlockall(MCL_CURRENT | MCL_FUTURE);
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    for (int64_t k = 0; k < count; k++) {
        int64_t at = start + k * period, until = at - spin;
        struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        while (now_ns() < at) {}
        if (write(descriptor, "x", 1) != 1) return 1;
        done[k] = now_ns();
    }
    for (int64_t k = 0; k < count; k++) printf("%lld %lld\n", (long long)(start + k * period), (long long)done[k]);
    return 0;
}
