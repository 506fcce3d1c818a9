#include "cases.h"
#include "check.h"
#include "labd_ring.h"

static void a_new_ring_is_empty(void) {
    uint8_t bytes[4], byte = 0;
    struct labd_ring ring;
    labd_ring_init(&ring, bytes, sizeof bytes);
    CHECK_EQUAL(labd_ring_free(&ring), 3);
    CHECK(!labd_ring_get(&ring, &byte));
}

static void bytes_come_out_in_order_however_often_the_ring_wraps(void) {
    uint8_t bytes[4], byte = 0, next_in = 0, next_out = 0;
    struct labd_ring ring;
    labd_ring_init(&ring, bytes, sizeof bytes);
    for (int i = 0; i < 1000; i++) {
        for (int n = i % 3; n >= 0; n--) {
            CHECK(labd_ring_put(&ring, next_in++));
        }
        while (labd_ring_get(&ring, &byte)) {
            CHECK_EQUAL(byte, next_out);
            next_out++;
        }
    }
    CHECK_EQUAL(next_out, next_in);
    CHECK_EQUAL(ring.lost, 0);
}

static void a_full_ring_refuses_counts_and_keeps_what_it_has(void) {
    uint8_t bytes[4], byte = 0;
    struct labd_ring ring;
    labd_ring_init(&ring, bytes, sizeof bytes);
    for (uint8_t i = 0; i < 10; i++) {
        CHECK_EQUAL(labd_ring_put(&ring, i), i < 3);
    }
    CHECK_EQUAL(ring.lost, 7);
    CHECK_EQUAL(labd_ring_free(&ring), 0);
    CHECK(labd_ring_get(&ring, &byte));
    CHECK_EQUAL(byte, 0);
}

void ring_cases(void) {
    RUN(a_new_ring_is_empty);
    RUN(bytes_come_out_in_order_however_often_the_ring_wraps);
    RUN(a_full_ring_refuses_counts_and_keeps_what_it_has);
}
