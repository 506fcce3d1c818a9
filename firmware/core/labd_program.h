/* The programs a device runs on its own: rest, device-paced inferences, inferences on an outside event. */
#ifndef LABD_PROGRAM_H
#define LABD_PROGRAM_H

#include "labd.h"

void labd_do_idle(struct labd_device *device, char *words);
void labd_do_periodic(struct labd_device *device, char *words);
void labd_do_arm(struct labd_device *device, char *words);

#endif
