#include "chip.h"

#include "registers.h"

#define VECTORS 42u /* 16 of the core, 26 of the chip */

void entry(void);

extern uint32_t bss_start[], bss_end[], stack_top[];

/* Nothing can be done here: a debugger sees where it stopped. */
static void on_fault(void) {
    for (;;) {
        __asm volatile("bkpt 0");
    }
}

static void start_program(void) {
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *word = 0;
    }
    chip_start();
    (void)main();
}

typedef void (*handler)(void);

__attribute__((section(".vectors"), used)) static const handler vectors[VECTORS] = {
    (handler)stack_top,
    start_program,
    on_fault,
    on_fault,
    [16 + IRQ_TIMER_0] = on_timer_event,
    [16 + IRQ_TIMER_1] = on_timer_timeout,
    [16 + IRQ_IO_BANK0] = on_pins,
    [16 + IRQ_UART0] = on_uart,
};

/* First in memory: the boot ROM jumps to the lowest address of an image that it has loaded into SRAM (2.8.5). */
__attribute__((section(".entry"), naked, used)) void entry(void) {
    __asm volatile("ldr r0, =%c0\n"
                   "ldr r1, =%1\n"
                   "str r1, [r0]\n"
                   "ldmia r1!, {r2, r3}\n"
                   "msr msp, r2\n"
                   "bx r3\n"
                   ".ltorg\n" ::"i"(PPB_VTOR),
                   "i"(vectors));
}

static void release(uint32_t blocks) {
    CLEAR_BITS(RESETS_RESET) = blocks;
    while ((RESETS_DONE & blocks) != blocks) {
    }
}

_Static_assert(BOARD_CLOCK_HZ == 125000000u, "the PLL's dividers below");

/* 12 MHz crystal times 125 / (6 * 2): the values of 2.18.2. */
static void start_clocks(void) {
    XOSC_STARTUP = 47u; /* 1 ms at 12 MHz, in 256 cycles (2.16.3) */
    XOSC_CTRL = 0x00FABAA0u;
    while ((XOSC_STATUS & XOSC_STABLE) == 0u) {
    }
    CLK_REF_CTRL = CLK_REF_XOSC;
    while ((CLK_REF_SELECTED & (1u << CLK_REF_XOSC)) == 0u) {
    }
    CLK_SYS_CTRL = CLK_SYS_REF; /* the boot ROM may have left it on the USB's PLL, and the other source may be changed unused only (2.15.3.2) */
    while ((CLK_SYS_SELECTED & (1u << CLK_SYS_REF)) == 0u) {
    }
    SET_BITS(RESETS_RESET) = RESET_USB | RESET_PLL_USB;
    release(RESET_PLL_SYS);
    PLL_SYS_CS = 1u;
    PLL_SYS_FBDIV = 125u;
    CLEAR_BITS(PLL_SYS_PWR) = PLL_PWR_PD | PLL_PWR_VCOPD;
    while ((PLL_SYS_CS & PLL_LOCK) == 0u) {
    }
    PLL_SYS_PRIM = 6u << 16 | 2u << 12;
    CLEAR_BITS(PLL_SYS_PWR) = PLL_PWR_POSTDIVPD;
    CLK_SYS_CTRL = CLK_SYS_AUX;
    while ((CLK_SYS_SELECTED & (1u << CLK_SYS_AUX)) == 0u) {
    }
    CLK_PERI_CTRL = CLK_PERI_ENABLE;
    WATCHDOG_TICK = TICK_ENABLE | 12u; /* the timer's microsecond */
}

static void start_pins(void) {
    SIO_OUT_CLEAR = 1u << PIN_MARK;
    SIO_OE_SET = 1u << PIN_MARK;
    PAD(PIN_UART_TX) = PAD_PULL_UP;
    PAD(PIN_UART_RX) = PAD_PULL_UP;
    PAD(PIN_TRIG) = PAD_PULL_DOWN;
    PAD(PIN_MARK) = PAD_PULL_DOWN;
    IO_CTRL(PIN_UART_TX) = FUNCTION_UART;
    IO_CTRL(PIN_UART_RX) = FUNCTION_UART;
    IO_CTRL(PIN_TRIG) = FUNCTION_SIO;
    IO_CTRL(PIN_MARK) = FUNCTION_SIO;
}

/* Without FIFOs a byte interrupts when it is there, not when four are or 32 bit times have passed. */
static void start_uart(void) {
    const uint32_t divisor_64 = (BOARD_CLOCK_HZ * 4u + LABD_BAUD / 2u) / LABD_BAUD; /* of 16 baud, in 1/64 (4.2.3.2.1) */
    UART_IBRD = divisor_64 >> 6;
    UART_FBRD = divisor_64 & 63u;
    UART_LCR_H = UART_8N1_NO_FIFO;
    UART_CR = UART_ENABLE_BOTH_WAYS;
    UART_IMSC = UART_RECEIVE_INTERRUPT;
}

void chip_start(void) {
    NVIC_ICER = ~0u; /* what the boot ROM was interrupted by has no vector here */
    NVIC_ICPR = ~0u;
    start_clocks();
    release(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0);
    start_pins();
    start_uart();
    TIMER_INTE = 3u;
    NVIC_ISER = 1u << IRQ_TIMER_0 | 1u << IRQ_TIMER_1 | 1u << IRQ_IO_BANK0 | 1u << IRQ_UART0;
}

/* Two instructions a round, three cycles from SRAM; no division, which would take longer than a short pause. */
void chip_spin(unsigned cycles) {
    __asm volatile("1: sub %0, #3\n"
                   "bhi 1b\n"
                   : "+l"(cycles)
                   :
                   : "cc");
}
