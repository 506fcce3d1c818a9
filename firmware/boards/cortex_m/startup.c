/* Vectors and reset of any ARMv6-M to ARMv8-M core: every interrupt of the board goes to board_interrupt with its number. */
#include <stdint.h>

#include "board.h"
#include "systick.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SCB_ICSR 0xE000ED04u
#define SCB_VTOR 0xE000ED08u
#define NVIC_CLEAR_ENABLE 0xE000E180u
#define NVIC_CLEAR_PENDING 0xE000E280u
#define SYSTEM_EXCEPTIONS 16u
#define INTERRUPTS 128u /* more than any board here has; ARMv7-M Architecture Reference Manual B1.5.3: the table is aligned to its size */

extern uint32_t image_stack_end[], image_data[], image_data_end[], image_bss[], image_bss_end[];
extern const uint32_t image_data_load[];

void image_reset(void);
int main(void);

/* A fault: nothing that is left to do can be trusted. The host sees a device that says no more. */
static void stop(void) {
    for (;;) {
    }
}

static void interrupted(void) { board_interrupt((REGISTER(SCB_ICSR) & 0x1FFu) - SYSTEM_EXCEPTIONS); }

struct vectors {
    const void *stack;
    void (*exceptions[SYSTEM_EXCEPTIONS - 1u])(void);
    void (*interrupts[INTERRUPTS])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = image_stack_end,
    .exceptions = {image_reset, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, systick_interrupt},
    .interrupts = {[0 ... INTERRUPTS - 1u] = interrupted},
};

/* A bootloader may have left its own vectors, and interrupts on. */
static void take_over(void) {
    REGISTER(SCB_VTOR) = (uint32_t)&vectors;
    for (uint32_t word = 0; word < INTERRUPTS / 32u; word++) {
        REGISTER(NVIC_CLEAR_ENABLE + 4u * word) = 0xFFFFFFFFu;
        REGISTER(NVIC_CLEAR_PENDING + 4u * word) = 0xFFFFFFFFu;
    }
}

void image_reset(void) {
    take_over();
    const uint32_t *from = image_data_load;
    for (uint32_t *to = image_data; to < image_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = image_bss; to < image_bss_end;) {
        *to++ = 0;
    }
    main();
    stop();
}
