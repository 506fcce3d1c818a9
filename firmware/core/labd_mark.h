/* The MARK pin in its four styles; docs/reference/dut-marks.md draws them. */
#ifndef LABD_MARK_H
#define LABD_MARK_H

#include "labd.h"

/* Choose the style and bring the pin to its idle level: high for pulses, else low. */
void labd_mark_style(struct labd_device *device, enum labd_marks marks);

/* From the end of the boot the pin is high, until the first character is received; never in an energy build. */
void labd_mark_ready(struct labd_device *device);
void labd_mark_heard(struct labd_device *device);

/* Pulses: one falling edge, held, in `phase`. Other styles: nothing. */
void labd_mark_pulse(struct labd_device *device, enum labd_phase phase);

/* Gate and phases: the level of one inference. */
void labd_mark_gate(struct labd_device *device, bool level);

/* Phases: high from the first code after rest, at `since_ns`, until the parameters are resident, and for apart_us at least. */
void labd_mark_waking(struct labd_device *device);
void labd_mark_awake(struct labd_device *device, uint64_t since_ns);

#endif
