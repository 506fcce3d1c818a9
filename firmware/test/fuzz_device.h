/* Arbitrary bytes to a device on a scripted board: for libFuzzer (`make fuzz`), which wants this name, and for the host tests. */
#ifndef FUZZ_DEVICE_H
#define FUZZ_DEVICE_H

#include <stddef.h>
#include <stdint.h>

/* Aborts where something is wrong; always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
