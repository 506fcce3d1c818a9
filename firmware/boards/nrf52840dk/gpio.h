/* Pins of an nRF52840: Product Specification, chapters GPIO and GPIOTE. A pin is a number: 32 times its port, plus its place there. */
#ifndef GPIO_H
#define GPIO_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_0_PIN(n) (n)
#define PORT_1_PIN(n) (32u + (n))

enum gpio_pull { PULL_NONE = 0, PULL_DOWN = 1, PULL_UP = 3 };
enum gpio_sense { SENSE_NONE = 0, SENSE_HIGH = 2, SENSE_LOW = 3 };

void gpio_output(uint32_t pin, bool level);
void gpio_set(uint32_t pin, bool level);

/* An input whose level `sense` sets the pin's latch and, with the other pins so far at rest, raises GPIOTE's port event. */
void gpio_input(uint32_t pin, enum gpio_pull pull, enum gpio_sense sense);

/* Whether it met its sense since it was cleared. */
bool gpio_latched(uint32_t pin);
void gpio_clear_latch(uint32_t pin);

#endif
