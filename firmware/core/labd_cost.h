/* The cost model: CPU cycles charged for counted work, used where the code itself takes no board time (the host build).
 *
 * Origin. The figures are declared, not measured on a board: they describe a Cortex-M4 class core at 64 MHz running this C without SIMD
 * instructions. Order of magnitude from instruction counts of the same two nets under an emulator: 7.9 Cortex-M3 instructions per MAC in the
 * convolutional net and about 10 per synaptic operation in the spiking net, its neuron updates included. A Cortex-M0+ model with cycle counts
 * (RP2040, flash and SRAM without wait states) gave about twice that. On silicon nobody reads this file's figures as time: `work` does nothing
 * there, and only the `cycles` counter of `stat%` shows them.
 */
#ifndef LABD_COST_H
#define LABD_COST_H

/* dnn: 131600 MAC x 7 + 8320 outputs x 4 + checksums = 0.97 M cycles = 15.1 ms at 64 MHz. */
#define LABD_CYCLES_PER_MAC 7u
#define LABD_CYCLES_PER_OUTPUT 4u /* bias, requantise, store */

/* snn at 10 % activity: about 27 k synops x 12 + 3.3 k updates x 24 + 25 frames x 300 = 0.41 M cycles = 6.4 ms at 64 MHz. */
#define LABD_CYCLES_PER_SYNOP 12u          /* load weight, load and store state, add, loop */
#define LABD_CYCLES_PER_NEURON_UPDATE 24u  /* owed leak, floor, threshold, reset */
#define LABD_CYCLES_PER_FRAME 300u         /* deltas of ten bands, event list, layer calls */

/* Deployed nets: weights narrower than a byte have to be taken apart, a binary one is added or subtracted without a multiplication. */
#define LABD_CYCLES_PER_MAC_4 8u
#define LABD_CYCLES_PER_MAC_1 6u
#define LABD_CYCLES_PER_SYNOP_4 13u
#define LABD_CYCLES_PER_SYNOP_1 12u
#define LABD_CYCLES_PER_STEP 150u       /* layer calls and event lists of one time step */
#define LABD_CYCLES_PER_CODED_INPUT 6u  /* a step looks at every input once */

#define LABD_CYCLES_PER_CHECKSUM_WORD 5u
#define LABD_CYCLES_PER_SCORE 60u /* one division */

/* Parameters come from serial flash read on one data line at half the CPU clock: 32 bits x 2 cycles a word. */
#define LABD_CYCLES_PER_LOADED_WORD 64u

/* Restoring clocks after sleep: 1 ms at 64 MHz (PLL lock, flash wake-up, peripherals). */
#define LABD_CYCLES_WAKE 64000u

/* Between ready and the start of the inference: 0.5 ms at 64 MHz, so that the two edges of mark style `phases` can be told apart. */
#define LABD_CYCLES_READY 32000u

/* Share of the nominal dynamic current, in percent, that each kind of work draws: declared, so that layers differ in a current trace. */
#define LABD_ACTIVITY_WAKE 55u
#define LABD_ACTIVITY_LOAD 65u
#define LABD_ACTIVITY_FILTER 85u
#define LABD_ACTIVITY_POINTWISE 100u
#define LABD_ACTIVITY_DENSE 70u
#define LABD_ACTIVITY_SPIKING 80u

/* The tail of an event: results kept, waiting for a possible follow-up. */
#define LABD_TAIL_US 5000u

/* How long a falling-edge pulse stays low: MLPerf asks for at least 1 us; 20 us is two samples of a 100 kSa/s analyzer. */
#ifndef LABD_PULSE_HOLD_CYCLES
#define LABD_PULSE_HOLD_CYCLES 1280u
#endif

/* How wide the first pulse of mark style `phases` is at least where the host does not say: three samples at 50 kSa/s. A wake-up without clocks
 * to restore or parameters to load takes microseconds. */
#define LABD_APART_US 60u

#endif
