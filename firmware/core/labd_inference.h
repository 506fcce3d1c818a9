/* One inference with its marks and its lap. */
#ifndef LABD_INFERENCE_H
#define LABD_INFERENCE_H

#include "labd.h"

/* What woke the device for an inference. */
struct labd_event {
    uint64_t event_ns; /* when it happened, as far as the device can know */
    uint64_t awake_ns; /* when code ran */
    bool slept;        /* clocks were off in between */
};

/* Copy a complete upload to the net's input; an upload of another size is reported and the input left as it was. */
void labd_take_input(struct labd_device *device);

void labd_laps_restart(struct labd_device *device);

/* Inside the `infer` command: no wake-up, no pulses of its own. */
void labd_infer_back_to_back(struct labd_device *device);

/* The whole sequence of an event up to the end of its inference: wake, load, ready, infer. */
void labd_infer_event(struct labd_device *device, const struct labd_event *event);

#endif
