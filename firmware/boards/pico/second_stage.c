/* The first 256 bytes of flash: the boot ROM copies them to the end of SRAM, checks their sum and jumps there (RP2040 data sheet 2.8.1.3).
 *
 * They let flash be read with the one command that every chip has (03h, one data line; 4.10.13), copy the program into SRAM and start it.
 * Position-independent, without a stack.
 */
#include <stdint.h>

extern uint32_t image_load[], image_start[], image_end[];

void entry(void);
void second_stage(void);

#define SSI "0x18000000"
#define SSI_COMMAND "0x180000F4"
#define EEPROM_READ_32_BITS "0x001F0300"         /* CTRLR0: frames of 32 bits, read mode 3, one line */
#define COMMAND_03H_ADDRESS_24_BITS "0x03000218" /* SPI_CTRLR0: 8 bits of command, 6 times 4 of address */

__attribute__((section(".boot2"), naked, used)) void second_stage(void) {
    __asm volatile("ldr r0, =" SSI "\n"
                   "movs r1, #0\n"
                   "str r1, [r0, #0x08]\n" /* SSIENR: off while it is set up */
                   "movs r2, #4\n"
                   "str r2, [r0, #0x14]\n" /* BAUDR: a quarter of the core's clock, which the ring oscillator gives here */
                   "ldr r2, =" EEPROM_READ_32_BITS "\n"
                   "str r2, [r0, #0x00]\n"
                   "str r1, [r0, #0x04]\n" /* CTRLR1: one frame */
                   "ldr r3, =" SSI_COMMAND "\n"
                   "ldr r2, =" COMMAND_03H_ADDRESS_24_BITS "\n"
                   "str r2, [r3]\n"
                   "movs r1, #1\n"
                   "str r1, [r0, #0x08]\n"
                   "ldr r0, =image_load\n"
                   "ldr r1, =image_start\n"
                   "ldr r2, =image_end\n"
                   "1: ldmia r0!, {r3}\n"
                   "stmia r1!, {r3}\n"
                   "cmp r1, r2\n"
                   "blo 1b\n"
                   "ldr r0, =entry\n"
                   "bx r0\n"
                   ".ltorg\n");
}
