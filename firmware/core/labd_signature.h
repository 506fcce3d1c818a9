/* A known pattern in the supply current: a maximal-length sequence of busy and quiet chips, by which a host finds the device's counter in a
 * record of the current. docs/reference/dut-protocol.md tells the pattern. */
#ifndef LABD_SIGNATURE_H
#define LABD_SIGNATURE_H

#include "labd.h"

void labd_do_signature(struct labd_device *device, char *words);
void labd_do_bracket(struct labd_device *device, char *words);

/* Where `bracket` asks for it: burn the pattern. Nothing is printed meanwhile. */
void labd_bracket_open(struct labd_device *device);
void labd_bracket_close(struct labd_device *device);

/* Where `bracket` asks for it: one line a pattern, first the opening one. */
void labd_bracket_report(struct labd_device *device);

#endif
