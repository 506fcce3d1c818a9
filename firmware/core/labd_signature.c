#include "labd_signature.h"

#include <stddef.h>

#include "labd_words.h"

static const uint32_t QUIET_CHIPS = 4u; /* before and after the pattern: what was before, and the pattern itself, settle there */
static const uint32_t SHORTEST_CHIP_US = 20u;
static const uint32_t LONGEST_CHIP_US = 1000000u;
static const uint32_t LOWEST_ORDER = 5u;
static const uint32_t HIGHEST_ORDER = 10u;

/* Galois masks of primitive polynomials of degree 5 to 10: x^5+x^3+1, x^6+x^5+1, x^7+x^6+1, x^8+x^6+x^5+x^4+1, x^9+x^5+1, x^10+x^7+1
 * (P. Alfke, Xilinx XAPP 052, table 3). */
static const uint16_t MASKS[] = {0x14u, 0x30u, 0x60u, 0xB8u, 0x110u, 0x240u};

/* Busy until the timer, or resting until it: both end at an expiry of the counter, so no work's length moves an edge. */
static void hold(const struct labd_device *device, bool busy) {
    const struct labd_hal *hal = device->hal;
    const enum labd_rest_state state = busy ? LABD_REST_BUSY_POLL : LABD_REST_WFI; /* sleep would cost a wake-up at each chip */
    while (hal->wait(hal->context, state, LABD_EVENT_TIMER, LABD_PHASE_IDLE, LABD_NO_TIMEOUT).events == 0u) {
    }
}

static void hold_on(const struct labd_device *device, bool busy, uint32_t chips, uint32_t chip_us) {
    (void)device->hal->timer_at(device->hal->context, chips * chip_us, true);
    hold(device, busy);
}

/* Chips alike follow each other without an interrupt between them. */
static void burn_chips(const struct labd_device *device, const struct labd_signature *signature) {
    const uint32_t mask = MASKS[signature->order - LOWEST_ORDER];
    uint32_t state = signature->seed;
    bool busy = (state & 1u) != 0u;
    uint32_t alike = 0;
    for (uint32_t left = (UINT32_C(1) << signature->order) - 1u; left > 0u; left--) {
        const bool chip = (state & 1u) != 0u;
        if (chip != busy) {
            hold_on(device, busy, alike, signature->chip_us);
            busy = chip;
            alike = 0;
        }
        alike++;
        state = (state >> 1) ^ (chip ? mask : 0u);
    }
    hold_on(device, busy, alike, signature->chip_us);
}

static struct labd_burnt burn(const struct labd_device *device, const struct labd_signature *signature) {
    const uint32_t quiet_us = QUIET_CHIPS * signature->chip_us;
    const uint64_t now_us = device->hal->timer_at(device->hal->context, quiet_us, false) / 1000u;
    hold(device, false);
    burn_chips(device, signature);
    hold_on(device, false, QUIET_CHIPS, signature->chip_us);
    const uint64_t start_us = now_us + quiet_us;
    return (struct labd_burnt){start_us, start_us + ((UINT32_C(1) << signature->order) - 1u) * (uint64_t)signature->chip_us};
}

static void put_burnt(struct labd_device *device, const struct labd_burnt *burnt) {
    labd_put(&device->out, "m-signature-[");
    labd_put_number(&device->out, burnt->start_us);
    labd_put(&device->out, ",");
    labd_put_number(&device->out, burnt->end_us);
    labd_put_line(&device->out, "]", "", "");
}

/* False, with the refusal printed, for words that are no pattern. */
static bool read_signature(struct labd_device *device, const char *chip, char *words, struct labd_signature *signature) {
    if (!labd_number(chip, SHORTEST_CHIP_US, LONGEST_CHIP_US, &signature->chip_us)) {
        labd_put_line(&device->out, "e-[Signature chip must be 20..1000000 us]", "", "");
        return false;
    }
    if (!labd_number(labd_next_word(&words), LOWEST_ORDER, HIGHEST_ORDER, &signature->order)) {
        labd_put_line(&device->out, "e-[Signature order must be 5..10]", "", "");
        return false;
    }
    if (!labd_number(labd_next_word(&words), 1u, (UINT32_C(1) << signature->order) - 1u, &signature->seed)) {
        labd_put_number_line(&device->out, "e-[Signature seed must be 1..", (UINT32_C(1) << signature->order) - 1u, "]");
        return false;
    }
    return true;
}

void labd_do_signature(struct labd_device *device, char *words) {
    struct labd_signature signature = {0};
    const char *chip = labd_next_word(&words);
    if (!read_signature(device, chip, words, &signature)) {
        return;
    }
    labd_put_line(&device->out, "m-signature-start", "", "");
    device->hal->uart_flush(device->hal->context);
    const struct labd_burnt burnt = burn(device, &signature);
    put_burnt(device, &burnt);
}

void labd_do_bracket(struct labd_device *device, char *words) {
    struct labd_signature signature = {0};
    const char *chip = labd_next_word(&words);
    if (chip != NULL && labd_same(chip, "off")) {
        device->bracket.chip_us = 0;
        labd_put_line(&device->out, "m-bracket-[off]", "", "");
        return;
    }
    if (!read_signature(device, chip, words, &signature)) {
        return;
    }
    device->bracket = signature;
    labd_put(&device->out, "m-bracket-[");
    labd_put_number(&device->out, signature.chip_us);
    labd_put(&device->out, " ");
    labd_put_number(&device->out, signature.order);
    labd_put_number_line(&device->out, " ", signature.seed, "]");
}

static bool asked_for(const struct labd_device *device) { return device->bracket.chip_us != 0u; }

void labd_bracket_open(struct labd_device *device) {
    if (asked_for(device)) {
        device->burnt[0] = burn(device, &device->bracket);
    }
}

void labd_bracket_close(struct labd_device *device) {
    if (asked_for(device)) {
        device->burnt[1] = burn(device, &device->bracket);
    }
}

void labd_bracket_report(struct labd_device *device) {
    for (size_t i = 0; asked_for(device) && i < sizeof device->burnt / sizeof device->burnt[0]; i++) {
        put_burnt(device, &device->burnt[i]);
    }
}
