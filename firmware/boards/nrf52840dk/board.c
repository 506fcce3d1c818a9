/* nRF52840 (Cortex-M4), as in Nordic's product specification v1.7: nRF52840-DK, Arduino Nano 33 BLE. The pins are the board's (board.toml).
 *
 * TRIG: rising edge, pulled down. UART0 (the one without EasyDMA), 115200 Bd. Counter: TIMER0 at 16 MHz from the 32 MHz crystal, and its alarm
 * in WFI, where SysTick stands. Retained sleep is System ON idle in low-power mode: all RAM kept, crystal, TIMER0 and UART off, ended by RTC0,
 * which carries the counter on, at 32.768 kHz from a crystal. Code goes on when the 32 MHz crystal is stable again. `clock_gated` is WFI too.
 */
#include "board.h"
#include "gpio.h"
#include "port.h"
#include "slow_clock.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define CLOCK_START_HIGH 0x40000000u
#define CLOCK_STOP_HIGH 0x40000004u
#define CLOCK_START_LOW 0x40000008u
#define CLOCK_HIGH_STATE 0x4000040Cu
#define HIGH_RUNS_ON_CRYSTAL 0x10001u
#define CLOCK_LOW_SOURCE 0x40000518u
#define LOW_SOURCE_CRYSTAL 1u
#define POWER_LOW_POWER 0x4000007Cu
#define POWER_DCDC 0x40000578u
#define USBD_ENABLE 0x40027500u
#define USBD_PULL_UP 0x40027504u

#define UART_START_RX 0x40002000u
#define UART_STOP_RX 0x40002004u
#define UART_START_TX 0x40002008u
#define UART_STOP_TX 0x4000200Cu
#define UART_RECEIVED 0x40002108u
#define UART_SENT 0x4000211Cu
#define UART_LISTEN 0x40002304u
#define UART_IGNORE 0x40002308u
#define UART_ERRORS 0x40002480u
#define UART_OVERRUN 1u
#define UART_ENABLE 0x40002500u
#define UART_PIN_TX 0x4000250Cu
#define UART_PIN_RX 0x40002514u
#define UART_RX 0x40002518u
#define UART_TX 0x4000251Cu
#define UART_BAUD 0x40002524u
#define UART_ON 4u
#define UART_RECEIVED_INTERRUPT 0x4u
#define BAUD_115200 0x01D7E000u

#define GPIOTE_PORT 0x4000617Cu
#define GPIOTE_INTERRUPTS 0x40006304u
#define GPIOTE_PORT_INTERRUPT 0x80000000u

#define TIMER_START 0x40008000u
#define TIMER_STOP 0x40008004u
#define TIMER_CLEAR 0x4000800Cu
#define TIMER_SHUTDOWN 0x40008010u
#define TIMER_CAPTURE 0x40008040u
#define TIMER_ALARM 0x40008144u
#define TIMER_INTERRUPTS 0x40008304u
#define TIMER_BITS 0x40008508u
#define TIMER_PRESCALER 0x40008510u
#define TIMER_CAPTURED 0x40008540u
#define TIMER_DUE 0x40008544u
#define TIMER_ALARM_INTERRUPT 0x20000u
#define TIMER_32_BITS 3u

#define RTC_HZ 32768u
#define RTC_START 0x4000B000u
#define RTC_COMPARED 0x4000B140u
#define RTC_INTERRUPTS 0x4000B304u
#define RTC_COUNTER 0x4000B504u
#define RTC_COMPARE 0x4000B540u
#define RTC_COMPARE_INTERRUPT 0x10000u
#define RTC_BITS 0xFFFFFFu

#define INTERRUPT_UART 2u
#define INTERRUPT_GPIOTE 6u
#define INTERRUPT_TIMER 8u
#define INTERRUPT_RTC 11u

#define LONGEST_SLEEP_NS UINT64_C(60000000000)
#define SHORTEST_SLEEP_NS UINT64_C(1000000) /* the crystal alone takes a third of that to start */

/* An event that is cleared takes a moment to leave the NVIC (Peripheral interface, interrupt clearing): it is read back. */
static void acknowledge(uint32_t event) {
    REGISTER(event) = 0;
    (void)REGISTER(event);
}

static uint32_t before; /* ticks counted before TIMER0 was started anew */
static enum gpio_sense awaited = SENSE_HIGH;

/* --- clocks */

static void start_crystal(void) {
    REGISTER(CLOCK_START_HIGH) = 1;
    while ((REGISTER(CLOCK_HIGH_STATE) & HIGH_RUNS_ON_CRYSTAL) != HIGH_RUNS_ON_CRYSTAL) {
    }
}

/* The slow clock runs on its RC oscillator until its crystal is stable, and changes over by itself (CLOCK, LFCLK controller). */
static void start_clocks(void) {
    REGISTER(POWER_DCDC) = USES_DCDC;
    REGISTER(POWER_LOW_POWER) = 1;
    start_crystal();
    REGISTER(CLOCK_LOW_SOURCE) = LOW_SOURCE_CRYSTAL;
    REGISTER(CLOCK_START_LOW) = 1;
}

static uint32_t timer(void) {
    REGISTER(TIMER_CAPTURE) = 1;
    return REGISTER(TIMER_CAPTURED);
}

static void start_timer(void) {
    REGISTER(TIMER_CLEAR) = 1;
    REGISTER(TIMER_START) = 1;
}

/* Errata, anomaly 78: STOP alone leaves a current on. */
static void stop_timer(void) {
    REGISTER(TIMER_STOP) = 1;
    REGISTER(TIMER_SHUTDOWN) = 1;
}

static void start_counters(void) {
    REGISTER(TIMER_BITS) = TIMER_32_BITS;
    REGISTER(TIMER_PRESCALER) = 0;
    REGISTER(TIMER_INTERRUPTS) = TIMER_ALARM_INTERRUPT;
    start_timer();
    REGISTER(RTC_INTERRUPTS) = RTC_COMPARE_INTERRUPT;
    REGISTER(RTC_START) = 1;
}

/* --- pins */

static void start_pins(void) {
    static const uint32_t low[] = {MARK_PIN, PINS_LOW};
    for (uint32_t i = 0; i < sizeof low / sizeof *low; i++) {
        gpio_output(low[i], false);
    }
    gpio_output(UART_TX_PIN, true); /* its level while the UART is off */
    gpio_input(UART_RX_PIN, PULL_UP, SENSE_NONE);
    gpio_input(TRIG_PIN, PULL_DOWN, awaited);
    REGISTER(GPIOTE_PORT) = 0;
    REGISTER(GPIOTE_INTERRUPTS) = GPIOTE_PORT_INTERRUPT;
}

static void switch_uart_on(void) {
    REGISTER(UART_ENABLE) = UART_ON;
    REGISTER(UART_START_RX) = 1;
    REGISTER(UART_START_TX) = 1;
}

static void start_uart(void) {
    REGISTER(UART_PIN_TX) = UART_TX_PIN;
    REGISTER(UART_PIN_RX) = UART_RX_PIN;
    REGISTER(UART_BAUD) = BAUD_115200;
    REGISTER(UART_LISTEN) = UART_RECEIVED_INTERRUPT;
    switch_uart_on();
}

void board_start(void) {
    REGISTER(USBD_PULL_UP) = 0; /* a boot loader may have used them */
    REGISTER(USBD_ENABLE) = 0;
    start_clocks();
    start_counters();
    start_pins();
    start_uart();
    port_enable_interrupt(INTERRUPT_UART);
    port_enable_interrupt(INTERRUPT_GPIOTE);
    port_enable_interrupt(INTERRUPT_TIMER);
    port_enable_interrupt(INTERRUPT_RTC);
}

uint32_t board_counter(void) { return before + timer(); }

void board_show(uint8_t shown) { gpio_set(MARK_PIN, (shown & 0x40u) != 0u); }

/* Waits until it has left, not only for room: what follows may switch the UART off. */
void board_send(uint8_t byte) {
    REGISTER(UART_SENT) = 0;
    REGISTER(UART_TX) = byte;
    while (REGISTER(UART_SENT) == 0u) {
    }
}

/* The interrupt is a level: as long as a byte has no room it would come again and again. The next byte's event comes after this one is read. */
void board_receive(void) {
    while (REGISTER(UART_RECEIVED) != 0u && port_has_room()) {
        acknowledge(UART_RECEIVED);
        if ((REGISTER(UART_ERRORS) & UART_OVERRUN) != 0u) {
            REGISTER(UART_ERRORS) = UART_OVERRUN;
            port_lost();
        }
        port_received((uint8_t)REGISTER(UART_RX));
    }
    REGISTER(REGISTER(UART_RECEIVED) != 0u ? UART_IGNORE : UART_LISTEN) = UART_RECEIVED_INTERRUPT;
}

/* --- rest */

/* Never so near that the counter may have passed it before it is set. */
void board_alarm(uint64_t delay_ns) {
    const uint32_t ticks = (uint32_t)(delay_ns * (BOARD_COUNTER_HZ / 1000000u) / 1000u);
    REGISTER(TIMER_ALARM) = 0;
    REGISTER(TIMER_DUE) = timer() + (ticks < 64u ? 64u : ticks);
}

static void set_sleep_alarm(uint32_t now, uint32_t ticks) {
    REGISTER(RTC_COMPARED) = 0;
    REGISTER(RTC_COMPARE) = (now + ticks) & RTC_BITS;
}

static void listen_for_an_edge(void) {
    REGISTER(UART_STOP_RX) = 1;
    REGISTER(UART_STOP_TX) = 1;
    REGISTER(UART_ENABLE) = 0;
    gpio_clear_latch(UART_RX_PIN);
    gpio_input(UART_RX_PIN, PULL_UP, SENSE_LOW);
}

/* A byte that woke is lost, and has passed by now: the crystal takes longer. */
static void listen_for_bytes(void) {
    gpio_input(UART_RX_PIN, PULL_UP, SENSE_NONE);
    switch_uart_on();
}

void board_sleep(uint64_t delay_ns) {
    static struct slow_clock slow = {BOARD_COUNTER_HZ / 1024u, RTC_HZ / 1024u, 0};
    if (delay_ns < SHORTEST_SLEEP_NS) {
        port_rest(delay_ns);
        return;
    }
    const uint64_t longest = delay_ns < LONGEST_SLEEP_NS ? delay_ns : LONGEST_SLEEP_NS;
    const uint32_t now = REGISTER(RTC_COUNTER);
    before += timer();
    stop_timer();
    listen_for_an_edge();
    set_sleep_alarm(now, (uint32_t)(longest * RTC_HZ / UINT64_C(1000000000)));
    REGISTER(CLOCK_STOP_HIGH) = 1;
    __asm volatile("dsb\n wfi" ::: "memory");
    start_crystal();
    before += slow_clock_missed(&slow, (REGISTER(RTC_COUNTER) - now) & RTC_BITS, 0);
    start_timer();
    listen_for_bytes();
}

/* --- interrupts */

/* The port event is the or of all pins at their sense: TRIG's is turned round at each edge, so that a TRIG that stays high hides no other. */
static void look_at_pins(void) {
    if (gpio_latched(TRIG_PIN)) {
        if (awaited == SENSE_HIGH) {
            port_triggered();
        }
        awaited = awaited == SENSE_HIGH ? SENSE_LOW : SENSE_HIGH;
        gpio_input(TRIG_PIN, PULL_DOWN, awaited);
        gpio_clear_latch(TRIG_PIN);
    }
    if (gpio_latched(UART_RX_PIN)) {
        gpio_clear_latch(UART_RX_PIN);
        port_heard();
    }
}

void board_interrupt(uint32_t number) {
    switch (number) {
    case INTERRUPT_UART:
        board_receive();
        break;
    case INTERRUPT_GPIOTE:
        acknowledge(GPIOTE_PORT);
        look_at_pins();
        break;
    case INTERRUPT_TIMER:
        acknowledge(TIMER_ALARM);
        break;
    case INTERRUPT_RTC:
        acknowledge(RTC_COMPARED);
        break;
    default:
        break;
    }
}
