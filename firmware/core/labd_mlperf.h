/* The commands of the MLPerf Tiny device protocol. */
#ifndef LABD_MLPERF_H
#define LABD_MLPERF_H

#include "labd.h"

/* `words`: the rest of the command line. */
void labd_do_name(struct labd_device *device, char *words);
void labd_do_profile(struct labd_device *device, char *words);
void labd_do_help(struct labd_device *device, char *words);
void labd_do_timestamp(struct labd_device *device, char *words);
void labd_do_db(struct labd_device *device, char *words);
void labd_do_infer(struct labd_device *device, char *words);
void labd_do_results(struct labd_device *device, char *words);

/* Performance build: the counter as text. Energy build: one pulse, if the mark style is pulses. */
void labd_timestamp(struct labd_device *device);

#endif
