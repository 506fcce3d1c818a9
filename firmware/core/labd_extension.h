/* labd's own settings and counters; the programs are in labd_program.h. */
#ifndef LABD_EXTENSION_H
#define LABD_EXTENSION_H

#include "labd.h"

void labd_do_ver(struct labd_device *device, char *words);
void labd_do_mode(struct labd_device *device, char *words);
void labd_do_clock(struct labd_device *device, char *words);
void labd_do_workload(struct labd_device *device, char *words);
void labd_do_marks(struct labd_device *device, char *words);
void labd_do_stat(struct labd_device *device, char *words);
void labd_do_laps(struct labd_device *device, char *words);
void labd_do_checksum(struct labd_device *device, char *words);

#endif
