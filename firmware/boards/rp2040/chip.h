/* The chip under the HAL: clocks, pins and interrupts brought up once, and the vectors that main.c fills. */
#ifndef CHIP_H
#define CHIP_H

#define PIN_UART_TX 0u /* GPIO numbers; a Pico has them at pads 1, 2, 4 and 5 */
#define PIN_UART_RX 1u
#define PIN_TRIG 2u
#define PIN_MARK 3u

#ifndef LABD_BAUD
#define LABD_BAUD 115200u
#endif

/* Crystal, PLL (BOARD_CLOCK_HZ, a macro of the board's build), timer tick, pins, UART and interrupts. The trigger's interrupt is left off. */
void chip_start(void);

/* At least `cycles`, to three. */
void chip_spin(unsigned cycles);

int main(void);
void on_timer_event(void);
void on_timer_timeout(void);
void on_pins(void);
void on_uart(void);

#endif
