/* What a Cortex-M board gives the shared port: its clock, a free-running counter, its pins and its UART. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks, pins, counter and UART running, interrupts of TRIG and the UART's receiver enabled in the board's blocks and in the NVIC. */
void board_start(void);

/* Free-running up at BOARD_COUNTER_HZ (a macro of the board's build), 32 bits, read from one register. */
uint32_t board_counter(void);

/* Bits 0..2: phase, 3..5: rest state (7: code runs), 6: MARK, 7: changes with every call. Where only MARK is a pin: that one. One store, so
 * that who looks sees all of it change at once, and bit 7 last. */
void board_show(uint8_t shown);

/* One byte; waits for room. */
void board_send(uint8_t byte);

/* Hand over what the UART has received (port_received, port_lost), while the port has room for it (port_has_room). */
void board_receive(void);

/* End a rest after so many nanoseconds, or earlier: an interrupt that wakes WFI. Boards whose SysTick runs in WFI use systick_alarm. */
void board_alarm(uint64_t delay_ns);

/* Sleep, interrupts masked, as deep as all RAM is kept, until an interrupt is pending or `delay_ns` have passed; earlier is no harm. Clocks,
 * counter and UART are right again before it returns. A board that has no such state leaves this to the port: WFI. */
void board_sleep(uint64_t delay_ns);

/* An interrupt of the board's own. It acknowledges first, then takes what is there (board_receive, port_triggered): the other way round
 * loses what comes in between. */
void board_interrupt(uint32_t number);

#endif
