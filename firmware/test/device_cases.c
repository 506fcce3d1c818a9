#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "cases.h"
#include "check.h"

static struct bench bench;

static void boots_print_the_banner_of_their_build(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench.output, "m-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n");
    CHECK(bench.mark); /* ready, until somebody speaks */
    (void)bench_say(&bench, "name%");
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

static void a_board_with_one_clock_refuses_another(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "clock 1000000%"), "e-[No such clock: 1000000]\r\nm-ready\r\n");
}

static void laps_hold_within_a_burst_where_the_counter_stands_still_in_sleep(void) {
    bench_boot(&bench, false);
    bench.counter_stops = true;
    (void)bench_say(&bench, "mode event_sleep%periodic 3 60000%");
    unsigned long long event = 0, awake = 0, ready = 0, start = 0, end = 0, before = 0;
    const char *lap = bench_say(&bench, "laps%");
    for (unsigned k = 0; k < 3u; k++) {
        unsigned seen = 0;
        CHECK_EQUAL(sscanf(lap, "m-phase-[%u,%llu,%llu,%llu,%llu,%llu]", &seen, &event, &awake, &ready, &start, &end), 6);
        CHECK_EQUAL(seen, k);
        CHECK_EQUAL(awake, event);
        CHECK(awake < ready && ready < start && end - start > 10000u && end - start < 20000u);
        CHECK(k == 0u || event - before < 40000u); /* of a period of 60 ms */
        before = event;
        lap = strchr(lap, '\n') + 1;
    }
}

static void an_arming_nobody_triggers_times_out(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "arm 7 20 pin%arm 7 20 uart%"),
               "m-arm-start-7\r\nm-arm-done-0\r\nm-ready\r\nm-arm-start-7\r\nm-arm-done-0\r\nm-ready\r\n");
}

static void a_signature_alternates_busy_and_quiet_and_ends_on_the_counter(void) {
    bench_boot(&bench, false);
    const uint64_t before_us = bench.now_ns / 1000u + 100u; /* the start line's flush */
    CHECK(strstr(bench_say(&bench, "signature 50 5 1%"), "m-signature-start\r\nm-signature-[") != NULL);
    CHECK_EQUAL(bench.waits[LABD_REST_BUSY_POLL], 8); /* an m-sequence of order 5 has 16 runs, half of them busy */
    CHECK_EQUAL(bench.now_ns / 1000u - before_us, (4u + 31u + 4u) * 50u);
}

static void a_bracket_stands_around_each_program_until_it_is_off(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "bracket 20 5 1%"), "m-bracket-[20 5 1]\r\nm-ready\r\n");
    const char *said = bench_say(&bench, "periodic 1 60000%");
    CHECK(strstr(said, "m-periodic-start-1\r\nm-signature-[") != NULL);
    CHECK(strstr(said, "]\r\nm-signature-[") != NULL);
    CHECK(strstr(said, "]\r\nm-periodic-done-1-missed-0\r\nm-ready\r\n") != NULL);
    CHECK_EQUAL(bench.waits[LABD_REST_BUSY_POLL], 16);
    (void)bench_say(&bench, "bracket off%");
    CHECK_TEXT(bench_say(&bench, "idle 1%"), "m-idle-start\r\nm-idle-done\r\nm-ready\r\n");
}

static void patterns_out_of_bounds_are_refused(void) {
    bench_boot(&bench, false);
    CHECK_TEXT(bench_say(&bench, "signature 19 5 1%"), "e-[Signature chip must be 20..1000000 us]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "signature 20 4 1%"), "e-[Signature order must be 5..10]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "signature 20 5 0%"), "e-[Signature seed must be 1..31]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "bracket 20 10 1024%"), "e-[Signature seed must be 1..1023]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "bracket%"), "e-[Signature chip must be 20..1000000 us]\r\nm-ready\r\n");
    CHECK_TEXT(bench_say(&bench, "idle 1%"), "m-idle-start\r\nm-idle-done\r\nm-ready\r\n");
}

void device_cases(void) {
    RUN(boots_print_the_banner_of_their_build);
    RUN(lost_bytes_spoil_the_command_they_were_part_of_and_no_other);
    RUN(the_board_decides_how_large_an_upload_may_be);
    RUN(the_board_decides_how_many_laps_are_kept);
    RUN(boots_are_reported_and_not_cleared);
    RUN(periodic_events_rest_in_the_states_of_their_mode);
    RUN(a_board_with_one_clock_refuses_another);
    RUN(laps_hold_within_a_burst_where_the_counter_stands_still_in_sleep);
    RUN(an_arming_nobody_triggers_times_out);
    RUN(a_signature_alternates_busy_and_quiet_and_ends_on_the_counter);
    RUN(a_bracket_stands_around_each_program_until_it_is_off);
    RUN(patterns_out_of_bounds_are_refused);
}
