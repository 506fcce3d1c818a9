"""Wake-up and trigger-to-marker latency of an emulated RP2040 against the emulator's own pin log."""
