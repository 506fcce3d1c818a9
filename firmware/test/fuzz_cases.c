#include <string.h>

#include "bench.h"
#include "cases.h"
#include "check.h"
#include "fuzz_device.h"
#include "labd_random.h"

#define RAW_BYTES 200000u
#define LINES 3000u
#define SCRIPTED 1000u

static struct bench bench;

static uint32_t below(struct labd_random *random, uint32_t limit) { return labd_random_draw(random) % limit; }

static bool ends_in_ready(void) {
    static const char READY[] = "m-ready\r\n";
    const uint32_t size = sizeof READY - 1u;
    return bench.output_length >= size && strcmp(&bench.output[bench.output_length - size], READY) == 0;
}

/* The device answers sense after any nonsense. */
static void check_alive(void) {
    (void)bench_say(&bench, "%");
    CHECK_TEXT(bench_say(&bench, "ver%"), "m-ver-[labd 1]\r\nm-ready\r\n");
}

static void random_bytes_never_stop_the_parser(void) {
    struct labd_random random;
    labd_random_seed(&random, 20240601u);
    bench_boot(&bench, false);
    for (uint32_t i = 0; i < RAW_BYTES / 100u; i++) {
        uint8_t bytes[100];
        for (unsigned k = 0; k < sizeof bytes; k++) {
            bytes[k] = below(&random, 20u) == 0u ? '%' : (uint8_t)labd_random_draw(&random);
        }
        (void)bench_say_bytes(&bench, bytes, sizeof bytes);
    }
    check_alive();
}

static const char *const WORDS[] = {
    "name", "profile", "help", "timestamp", "db", "load", "print", "infer", "results", "ver", "mode", "always_on", "event_sleep", "event_reload",
    "busy_poll", "wfi", "clock_gated", "workload", "dnn", "snn", "marks", "off", "pulses", "gate", "phases", "stat", "clear", "laps", "checksum",
    "idle", "periodic", "arm", "pin", "uart", "signature", "bracket", "20", "5", "0", "1", "2", "3", "-1", "250", "00", "0aFf", "zz", "012", "1x", "", "\r\n", "\xFF\xFE",
};

static void random_lines_of_known_words_are_each_answered(void) {
    struct labd_random random;
    labd_random_seed(&random, 7u);
    bench_boot(&bench, true);
    for (uint32_t i = 0; i < LINES; i++) {
        char line[200] = "x";
        line[0] = '\0';
        for (uint32_t n = 1u + below(&random, 5u); n > 0u; n--) {
            strcat(line, WORDS[below(&random, sizeof WORDS / sizeof WORDS[0])]);
            strcat(line, " ");
        }
        const bool empty = strspn(line, " \r\n") == strlen(line);
        strcat(line, "%");
        (void)bench_say(&bench, line);
        CHECK(empty || ends_in_ready());
        CHECK(bench.device.upload.received <= bench.device.upload.expected);
        CHECK(bench.device.upload.expected <= BENCH_UPLOAD);
    }
    check_alive();
}

/* What `make fuzz` does for minutes with coverage to guide it, here for a moment and without. */
static void a_scripted_board_and_random_bytes_break_nothing(void) {
    struct labd_random random;
    labd_random_seed(&random, 5u);
    for (uint32_t i = 0; i < SCRIPTED; i++) {
        uint8_t bytes[300];
        const uint32_t length = below(&random, sizeof bytes);
        uint32_t at = 0;
        while (at < length) {
            const char *word = WORDS[below(&random, sizeof WORDS / sizeof WORDS[0])];
            for (; *word != '\0' && at < length; word++) {
                bytes[at++] = (uint8_t)*word;
            }
            if (at < length) {
                bytes[at++] = below(&random, 3u) == 0u ? (uint8_t)'%' : below(&random, 8u) == 0u ? (uint8_t)labd_random_draw(&random) : (uint8_t)' ';
            }
        }
        if (length > 1u) {
            bytes[0] = (uint8_t)below(&random, 4u);
            bytes[1] = (uint8_t)below(&random, 30u);
        }
        CHECK(LLVMFuzzerTestOneInput(bytes, length) == 0);
    }
}

void fuzz_cases(void) {
    RUN(a_scripted_board_and_random_bytes_break_nothing);
    RUN(random_bytes_never_stop_the_parser);
    RUN(random_lines_of_known_words_are_each_answered);
}
