#include "gpio.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define PORT(pin) (0x50000000u + (pin) / 32u * 0x300u)
#define BIT(pin) (UINT32_C(1) << (pin) % 32u)
#define OUT_SET 0x508u
#define OUT_CLEAR 0x50Cu
#define LATCH 0x520u
#define CONFIGURATION(pin) REGISTER(PORT(pin) + 0x700u + 4u * ((pin) % 32u))
#define OUTPUT 0x3u /* direction out, input buffer off */

void gpio_set(uint32_t pin, bool level) { REGISTER(PORT(pin) + (level ? OUT_SET : OUT_CLEAR)) = BIT(pin); }

void gpio_output(uint32_t pin, bool level) {
    gpio_set(pin, level);
    CONFIGURATION(pin) = OUTPUT;
}

/* Two stores: the input buffer must be on before SENSE is, or the latch is set for nothing (nRF52840 errata, anomaly 210). */
void gpio_input(uint32_t pin, enum gpio_pull pull, enum gpio_sense sense) {
    CONFIGURATION(pin) = (uint32_t)pull << 2;
    CONFIGURATION(pin) = (uint32_t)pull << 2 | (uint32_t)sense << 16;
}

bool gpio_latched(uint32_t pin) { return (REGISTER(PORT(pin) + LATCH) & BIT(pin)) != 0u; }

void gpio_clear_latch(uint32_t pin) { REGISTER(PORT(pin) + LATCH) = BIT(pin); }
