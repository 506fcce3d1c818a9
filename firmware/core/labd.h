/* The device: state, memory given by the caller, and the two calls a board's main() makes. */
#ifndef LABD_H
#define LABD_H

#include <stdbool.h>
#include <stdint.h>

#include "labd_hal.h"
#include "labd_meter.h"
#include "labd_model.h"
#include "labd_ring.h"
#include "labd_text.h"

/* Variant without extensions, which does what the unmodified MLPerf Tiny references do: waits by polling its UART, prints into a buffer that goes
 * on being sent while the window has begun. For the virtual bench: a stock board to measure. */
#ifndef LABD_STOCK
#define LABD_STOCK 0
#endif

#define LABD_VENDOR (LABD_STOCK ? "unspecified" : "labd")
#define LABD_VERSION "labd 1"
#define LABD_MLPERF_MODEL "kws01"
#define LABD_COMMAND_SIZE 80u /* characters before the terminator, as in the MLPerf Tiny firmware */

enum labd_mode { LABD_MODE_ALWAYS_ON, LABD_MODE_EVENT_SLEEP, LABD_MODE_EVENT_RELOAD };

enum labd_marks { LABD_MARKS_OFF, LABD_MARKS_PULSES, LABD_MARKS_GATE, LABD_MARKS_PHASES };

/* One inference: the instant its event happened, the others in us after that. */
struct labd_lap {
    uint64_t event_us;
    uint32_t awake_us, ready_us, start_us, end_us;
};

/* A pattern in the current (labd_signature.h): 2^order - 1 chips that begin with the register at `seed`. chip_us 0: none. */
struct labd_signature {
    uint32_t chip_us, order, seed;
};

/* Where a pattern lay on the counter: from its first chip to the end of its last. */
struct labd_burnt {
    uint64_t start_us, end_us;
};

/* Everything the core stores in bulk. The arrays stay the board's; the core never allocates. */
struct labd_memory {
    struct labd_ring *receive;
    uint8_t *upload; /* of `db load` */
    uint32_t upload_size;
    struct labd_lap *laps; /* the last lap_count are kept */
    uint32_t lap_count;
    struct labd_model_memory *model;
};

struct labd_board {
    const struct labd_hal *hal;
    struct labd_memory memory;
    bool energy_build; /* EE_CFG_ENERGY_MODE: timestamps are pulses of the mark pin instead of text */
    uint32_t boots;    /* resets counted in memory that survives them; 1 where there is none */
};

struct labd_command {
    char text[LABD_COMMAND_SIZE + 1u];
    uint8_t length;
    bool too_long;
    uint32_t lost_before; /* the ring's loss counter when the last command ended */
};

struct labd_upload {
    uint32_t expected; /* 0: nothing announced since boot or since `workload` */
    uint32_t received;
};

struct labd_device {
    const struct labd_hal *hal;
    struct labd_board board;
    struct labd_text out;
    struct labd_command command;
    struct labd_upload upload;
    struct labd_meter meter;
    struct labd_model model;
    enum labd_mode mode;
    enum labd_rest_state idle_kind; /* how always_on rests */
    enum labd_marks marks;
    uint32_t apart_us; /* least width of the first pulse of marks `phases` */
    bool ready_shown; /* the boot's ready mark stands until somebody says a word */
    uint32_t laps_taken;
    struct labd_signature bracket; /* burnt before and after each program */
    struct labd_burnt burnt[2];    /* the last program's */
};

/* Set everything up, print the boot banner, drop what was received before it. The board's clocks, pins and UART already work. */
void labd_boot(struct labd_device *device, const struct labd_board *board);

/* One turn of the main loop: execute what was received; if there was nothing, rest until the UART receives. Call it for ever. */
void labd_turn(struct labd_device *device);

#endif
