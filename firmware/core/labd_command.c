#include "labd_command.h"

#include <stddef.h>

#include "labd_extension.h"
#include "labd_mlperf.h"
#include "labd_program.h"
#include "labd_signature.h"
#include "labd_words.h"

struct entry {
    const char *name;
    void (*run)(struct labd_device *device, char *words);
};

static const struct entry TABLE[] = {
    {"name", labd_do_name},         {"profile", labd_do_profile}, {"help", labd_do_help}, {"timestamp", labd_do_timestamp},
    {"db", labd_do_db},             {"infer", labd_do_infer},     {"results", labd_do_results},
#if !LABD_STOCK
    {"ver", labd_do_ver},           {"mode", labd_do_mode},       {"workload", labd_do_workload},
    {"marks", labd_do_marks},       {"stat", labd_do_stat},       {"laps", labd_do_laps}, {"checksum", labd_do_checksum},
    {"idle", labd_do_idle},         {"periodic", labd_do_periodic}, {"arm", labd_do_arm},
    {"signature", labd_do_signature}, {"bracket", labd_do_bracket}, {"clock", labd_do_clock},
#endif
};

static void dispatch(struct labd_device *device, const char *name, char *words) {
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (labd_same(TABLE[i].name, name)) {
            TABLE[i].run(device, words);
            return;
        }
    }
    labd_put_line(&device->out, "e-[Unknown command: ", name, "]");
}

/* Line ends of a host that sends them, and the zero bytes of a line that came up late. */
static bool is_padding(char character) { return character == '\r' || character == '\n' || character == '\0'; }

static void execute(struct labd_device *device) {
    struct labd_command *command = &device->command;
    while (command->length > 0u && is_padding(command->text[command->length - 1u])) {
        command->length--;
    }
    command->text[command->length] = '\0';
    const uint32_t lost = device->board.memory.receive->lost;
    char *words = command->text;
    const char *name = labd_next_word(&words);
    if (command->too_long) {
        labd_put_line(&device->out, "e-[Command too long]", "", "");
    } else if (lost != command->lost_before) {
        labd_put_line(&device->out, "e-[Receive overflow]", "", "");
    } else if (name == NULL) {
        return; /* a lone terminator crashes the reference firmware; here it is nothing */
    } else {
        dispatch(device, name, words);
    }
    labd_put_line(&device->out, "m-ready", "", "");
}

static void forget(struct labd_device *device) {
    device->command.length = 0;
    device->command.too_long = false;
    device->command.lost_before = device->board.memory.receive->lost;
}

void labd_receive(struct labd_device *device, char character) {
    struct labd_command *command = &device->command;
    if (character == LABD_TERMINATOR) {
        execute(device);
        forget(device);
    } else if (command->length == 0u && is_padding(character)) {
        return;
    } else if (command->length == LABD_COMMAND_SIZE) {
        command->too_long = true;
    } else {
        command->text[command->length++] = character;
    }
}
