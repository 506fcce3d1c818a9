#include <string.h>

#include "bench.h"
#include "cases.h"
#include "check.h"

static struct bench bench;

static void boots_print_the_banner_of_their_build(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench.output, "m-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n");
    CHECK(!bench.mark);
    bench_boot(&bench, true);
    CHECK_TEXT(bench.output, "m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n");
    CHECK(bench.mark);
    CHECK_EQUAL(bench.edges, 3); /* to idle, fall, rise */
}

static void lost_bytes_spoil_the_command_they_were_part_of_and_no_other(void) {
    bench_boot(&bench, false);
    for (unsigned i = 0; i < 2u * BENCH_RECEIVE; i++) {
        (void)labd_ring_put(&bench.ring, 'x');
    }
    CHECK_TEXT(bench_say(&bench, "x%"), "e-[Receive overflow]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "ver%"), "m-ver-[labd 1]\r\nm-ready\r\n");
}

static void the_board_decides_how_large_an_upload_may_be(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "db load 300%"), "m-[Expecting 300 bytes]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "db load 301%"), "Supplied buffer size 301 exceeds maximum of 300\nm-ready\r\n");
}

static void the_board_decides_how_many_laps_are_kept(void) {
    bench_boot(&bench, false);
    (void)bench_say(&bench, "infer 6 0%");
    const char *laps = bench_say(&bench, "laps%");
    CHECK(strncmp(laps, "m-phase-[2,", 11u) == 0);
    CHECK(strstr(laps, "m-phase-[5,") != NULL);
    CHECK(strstr(laps, "m-phase-[6,") == NULL);
}

static void boots_are_reported_and_not_cleared(void) {
    bench_boot(&bench, false);
    CHECK(strstr(bench_say(&bench, "stat clear%"), ",boot=3]") != NULL);
    CHECK(strstr(bench_say(&bench, "stat%"), ",boot=3]") != NULL);
}

static void periodic_events_rest_in_the_states_of_their_mode(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "mode event_reload%periodic 4 60000%"),
               "m-mode-[event_reload]\r\nm-ready\r\nm-periodic-start-4\r\nm-periodic-done-4-missed-0\r\nm-ready\r\n");
    CHECK_EQUAL(bench.waits[LABD_REST_SLEEP_MODEL_OFF], 5);
    CHECK_EQUAL(bench.waits[LABD_REST_SLEEP_RETAINED], 0);
    CHECK_EQUAL(bench.device.meter.counters.wake, 5);
}

static void an_arming_nobody_triggers_times_out(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "arm 7 20 pin%arm 7 20 uart%"),
               "m-arm-start-7\r\nm-arm-done-0\r\nm-ready\r\nm-arm-start-7\r\nm-arm-done-0\r\nm-ready\r\n");
}

void device_cases(void) {
    RUN(boots_print_the_banner_of_their_build);
    RUN(lost_bytes_spoil_the_command_they_were_part_of_and_no_other);
    RUN(the_board_decides_how_large_an_upload_may_be);
    RUN(the_board_decides_how_many_laps_are_kept);
    RUN(boots_are_reported_and_not_cleared);
    RUN(periodic_events_rest_in_the_states_of_their_mode);
    RUN(an_arming_nobody_triggers_times_out);
}
