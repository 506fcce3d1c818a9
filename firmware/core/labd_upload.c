/* The `db` command: uploading the input as hexadecimal text. */
#include <stddef.h>
#include <string.h>

#include "labd_inference.h"
#include "labd_mlperf.h"
#include "labd_words.h"

static void announce(struct labd_device *device, const char *count) {
    const int32_t bytes = count == NULL ? 0 : labd_leading_number(count);
    if (count == NULL) {
        labd_put_line(&device->out, "e-[Command 'db load' requires the # of bytes]", "", "");
    } else if (bytes <= 0) {
        labd_put_line(&device->out, "e-[Command 'db load' must be >0 bytes]", "", "");
    } else if ((uint32_t)bytes > device->board.memory.upload_size) {
        /* Text as in the reference, without e- and with a bare line feed; but here nothing stays half set. */
        device->upload.expected = 0;
        device->upload.received = 0;
        labd_put(&device->out, "Supplied buffer size ");
        labd_put_number(&device->out, (uint64_t)bytes);
        labd_put(&device->out, " exceeds maximum of ");
        labd_put_number(&device->out, device->board.memory.upload_size);
        labd_put(&device->out, "\n");
    } else {
        device->upload.expected = (uint32_t)bytes;
        device->upload.received = 0;
        labd_put_number_line(&device->out, "m-[Expecting ", (uint64_t)bytes, " bytes]");
    }
}

static void print_bytes(struct labd_device *device) {
    const uint32_t count = device->upload.expected;
    for (uint32_t i = 0; i < count; i++) {
        const bool last_of_line = i % 8u == 7u || i + 1u == count;
        labd_put(&device->out, i % 8u == 0u ? "m-buffer-" : "");
        labd_put_hex(&device->out, device->board.memory.upload[i], 2u);
        labd_put(&device->out, last_of_line ? "\r\n" : "-");
    }
    labd_put(&device->out, count % 8u == 0u ? "" : "\r\n");
}

static bool upload_pending(const struct labd_device *device) { return device->upload.received < device->upload.expected; }

/* Bytes before a bad digit stay, as in the reference: after any error an upload starts again with `db load`. */
static void take_hex(struct labd_device *device, const char *digits) {
    while (*digits != '\0' && upload_pending(device)) {
        const int high = labd_hex_digit(digits[0]);
        const int low = labd_hex_digit(digits[1]);
        if (high < 0 || low < 0) {
            const char pair[3] = {digits[0], digits[1], '\0'};
            labd_put_line(&device->out, "e-[Invalid hex digit '", pair, "']");
            return;
        }
        device->board.memory.upload[device->upload.received++] = (uint8_t)(high << 4 | low);
        digits += 2;
    }
    if (!upload_pending(device)) {
        labd_put_line(&device->out, "m-load-done", "", ""); /* further digits of this line are dropped */
    }
}

static void load_hex(struct labd_device *device, const char *digits) {
    if (strlen(digits) % 2u != 0u) {
        labd_put_line(&device->out, "e-[Insufficent number of hex digits]", "", ""); /* spelt as in the reference */
    } else if (!upload_pending(device)) {
        /* The reference would write past the announced size here. */
        labd_put_line(&device->out, "e-[Command 'db' has no load in progress]", "", "");
    } else {
        take_hex(device, digits);
    }
}

void labd_do_db(struct labd_device *device, char *words) {
    const char *subcommand = labd_next_word(&words);
    if (subcommand == NULL) {
        labd_put_line(&device->out, "e-[Command 'db' requires a subcommand]", "", "");
    } else if (labd_same(subcommand, "load")) {
        announce(device, labd_next_word(&words));
    } else if (labd_same(subcommand, "print")) {
        print_bytes(device);
    } else {
        load_hex(device, subcommand);
    }
}

void labd_take_input(struct labd_device *device) {
    const uint32_t size = device->model.workload->input_size;
    if (device->upload.expected == 0u) {
        return; /* the seeded input of `workload` */
    }
    if (device->upload.received == size) {
        for (uint32_t i = 0; i < size; i++) {
            const int value = device->board.memory.upload[i];
            device->model.input[i] = (int8_t)(value < 128 ? value : value - 256);
        }
        return;
    }
    labd_put(&device->out, "Input db has ");
    labd_put_number(&device->out, device->upload.received);
    labd_put(&device->out, " elemented, expected ");
    labd_put_number(&device->out, size);
    labd_put(&device->out, "\n");
}
