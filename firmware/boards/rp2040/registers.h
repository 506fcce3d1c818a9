/* The registers of the RP2040 that this port uses, by the names and offsets of its data sheet (sections in the comments).
 * A register of the APB peripherals has aliases: +0x2000 sets the bits written, +0x3000 clears them (2.1.2). */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SET_BITS(address) REGISTER((address) + 0x2000u)
#define CLEAR_BITS(address) REGISTER((address) + 0x3000u)

/* 2.4.8: system control block and interrupt controller of the core. */
#define PPB_VTOR 0xE000ED08u
#define PPB_SCR REGISTER(0xE000ED10u)
#define SCR_SLEEPDEEP (1u << 2)
#define NVIC_ISER REGISTER(0xE000E100u)
#define NVIC_ICER REGISTER(0xE000E180u)
#define NVIC_ICPR REGISTER(0xE000E280u)
#define IRQ_TIMER_0 0u
#define IRQ_TIMER_1 1u
#define IRQ_IO_BANK0 13u
#define IRQ_UART0 20u

/* 2.14: resets. */
#define RESETS_RESET 0x4000C000u
#define RESETS_DONE REGISTER(0x4000C008u)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_PLL_USB (1u << 13)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)
#define RESET_USB (1u << 24)

/* 2.15: clocks. */
#define CLK_REF_CTRL REGISTER(0x40008030u)
#define CLK_REF_SELECTED REGISTER(0x40008038u)
#define CLK_SYS_CTRL REGISTER(0x4000803Cu)
#define CLK_SYS_SELECTED REGISTER(0x40008044u)
#define CLK_PERI_CTRL REGISTER(0x40008048u)
#define CLK_SLEEP_EN0 REGISTER(0x400080A8u)
#define CLK_SLEEP_EN1 REGISTER(0x400080ACu)
#define CLK_REF_XOSC 2u
#define CLK_SYS_REF 0u
#define CLK_SYS_AUX 1u /* from the system PLL */
#define CLK_PERI_ENABLE (1u << 11)

/* 2.16: crystal oscillator; 2.18: phase locked loop. */
#define XOSC_CTRL REGISTER(0x40024000u)
#define XOSC_STATUS REGISTER(0x40024004u)
#define XOSC_STARTUP REGISTER(0x4002400Cu)
#define XOSC_STABLE (1u << 31)
#define PLL_SYS_CS REGISTER(0x40028000u)
#define PLL_SYS_PWR 0x40028004u
#define PLL_SYS_FBDIV REGISTER(0x40028008u)
#define PLL_SYS_PRIM REGISTER(0x4002800Cu)
#define PLL_LOCK (1u << 31)
#define PLL_PWR_PD (1u << 0)
#define PLL_PWR_POSTDIVPD (1u << 3)
#define PLL_PWR_VCOPD (1u << 5)

/* 2.19: pins. */
#define IO_CTRL(pin) REGISTER(0x40014004u + 8u * (pin))
#define IO_INTR(pin) REGISTER(0x400140F0u + 4u * ((pin) / 8u))
#define IO_INTE(pin) (0x40014100u + 4u * ((pin) / 8u))
#define IO_INTS(pin) REGISTER(0x40014120u + 4u * ((pin) / 8u))
#define EDGE_LOW(pin) (4u << 4u * ((pin) % 8u))
#define EDGE_HIGH(pin) (8u << 4u * ((pin) % 8u))
#define PAD(pin) REGISTER(0x4001C004u + 4u * (pin))
#define PAD_PULL_DOWN 0x56u /* input on, Schmitt trigger, 4 mA */
#define PAD_PULL_UP 0x5Au
#define FUNCTION_UART 2u
#define FUNCTION_SIO 5u
#define SIO_OUT_SET REGISTER(0xD0000014u)
#define SIO_OUT_CLEAR REGISTER(0xD0000018u)
#define SIO_OE_SET REGISTER(0xD0000024u)

/* 4.2: UART0, an Arm PL011. */
#define UART_DR REGISTER(0x40034000u)
#define UART_FR REGISTER(0x40034018u)
#define UART_IBRD REGISTER(0x40034024u)
#define UART_FBRD REGISTER(0x40034028u)
#define UART_LCR_H REGISTER(0x4003402Cu)
#define UART_CR REGISTER(0x40034030u)
#define UART_IMSC REGISTER(0x40034038u)
#define UART_RIS REGISTER(0x4003403Cu)
#define UART_ICR REGISTER(0x40034044u)
#define UART_BUSY (1u << 3)
#define UART_RECEIVE_EMPTY (1u << 4)
#define UART_TRANSMIT_FULL (1u << 5)
#define UART_RECEIVE_INTERRUPT (1u << 4)
#define UART_8N1_NO_FIFO 0x60u
#define UART_ENABLE_BOTH_WAYS 0x301u
#define UART_ENABLE_SENDING 0x101u

/* 4.6: timer, 64 bits of microseconds. An alarm fires when the lower half equals it. */
#define TIMER_ALARM(n) REGISTER(0x40054010u + 4u * (n))
#define TIMER_ARMED REGISTER(0x40054020u)
#define TIMER_RAWH REGISTER(0x40054024u)
#define TIMER_RAWL REGISTER(0x40054028u)
#define TIMER_INTR REGISTER(0x40054034u)
#define TIMER_INTE REGISTER(0x40054038u)
#define TIMER_INTF 0x4005403Cu

/* 4.7: watchdog. The boot ROM reads scratch registers 4 to 7 alone (2.8.1.1); the others are nobody's. */
#define WATCHDOG_SCRATCH(n) REGISTER(0x4005800Cu + 4u * (n))
#define WATCHDOG_TICK REGISTER(0x4005802Cu)
#define TICK_ENABLE (1u << 9)

#endif
