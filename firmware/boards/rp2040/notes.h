/* What the program tells whoever watches the chip, in registers that nobody else reads: the emulator's runner, or a debugger.
 *
 * Watchdog scratch registers 0 to 3 keep what is written and do nothing (data sheet 4.7; the boot ROM uses 4 to 7). A note costs the five
 * cycles of its store on a real chip as well, so the same image runs on both.
 */
#ifndef NOTES_H
#define NOTES_H

#include <stdint.h>

#include "labd_hal.h"
#include "registers.h"

#define NOTE_FLUSHING (1u << 31)

/* What the cycles since the note before were spent on. */
static inline void note_spent(enum labd_phase phase, uint32_t activity) { WATCHDOG_SCRATCH(0) = (uint32_t)phase | activity << 8; }

/* The rest that begins, as it stands in a WAIT request. */
static inline void note_rest(enum labd_rest_state state, uint32_t events, enum labd_phase phase) {
    WATCHDOG_SCRATCH(1) = (uint32_t)state | events << 8 | (uint32_t)phase << 16;
}

/* The program waits for the UART's last byte. */
static inline void note_flushing(void) { WATCHDOG_SCRATCH(1) = NOTE_FLUSHING; }

/* The memory that LABD_REST_SLEEP_MODEL_OFF gives up. An RP2040 cannot switch off so small a part of its SRAM: there it keeps its contents. */
static inline void note_model_memory(const void *start, uint32_t length) {
    WATCHDOG_SCRATCH(2) = (uint32_t)start;
    WATCHDOG_SCRATCH(3) = length;
}

#endif
