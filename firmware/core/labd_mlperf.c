#include "labd_mlperf.h"

#include <stddef.h>

#include "labd_inference.h"
#include "labd_mark.h"
#include "labd_words.h"

static const int32_t DEFAULT_WARM_UPS = 10; /* the reference's code; its help text says 0 */

static const char *const HELP[] = {
    "labd firmware, MLPerf Tiny device protocol with extensions",
    "",
    "name, profile, help, timestamp, results",
    "db load N         : announce N bytes of input",
    "db HH[HH]*        : hexadecimal bytes until N are in",
    "db print          : print the input bytes",
    "infer [N] [W=10]  : N inferences after W warm-ups",
#if !LABD_STOCK
    "ver, stat [clear], laps, checksum",
    "mode always_on [busy_poll|wfi|clock_gated] | event_sleep | event_reload",
    "workload NAME ACTIVITY SEED; marks off|pulses|gate|phases [US]; idle MS",
    "periodic N PERIOD_US; arm N TIMEOUT_MS [pin|uart]",
    "signature CHIP_US ORDER SEED; bracket CHIP_US ORDER SEED | off",
#endif
};

void labd_do_name(struct labd_device *device, char *words) {
    (void)words;
    labd_put_line(&device->out, "m-name-dut-[", LABD_VENDOR, "]");
}

void labd_do_profile(struct labd_device *device, char *words) {
    (void)words;
    labd_put_line(&device->out, "m-profile-[", "ULPMark for tinyML Firmware V0.0.1", "]");
    labd_put_line(&device->out, "m-model-[", LABD_NET ? LABD_WORKLOADS[0].name : LABD_MLPERF_MODEL, "]");
}

void labd_do_help(struct labd_device *device, char *words) {
    (void)words;
    for (size_t i = 0; i < sizeof HELP / sizeof HELP[0]; i++) {
        labd_put_line(&device->out, HELP[i], "", "");
    }
}

static void put_lap(struct labd_device *device, uint64_t now_ns) {
    labd_put_number_line(&device->out, "m-lap-us-", (uint32_t)(now_ns / 1000u), "");
}

void labd_timestamp(struct labd_device *device) {
    if (!device->board.energy_build) {
        put_lap(device, device->hal->now_ns(device->hal->context));
    } else {
        labd_mark_pulse(device, LABD_PHASE_IDLE);
    }
}

static void put_window_lap(struct labd_device *device, uint64_t now_ns) {
    if (!device->board.energy_build) {
        put_lap(device, now_ns);
    }
}

void labd_do_timestamp(struct labd_device *device, char *words) {
    (void)words;
    labd_timestamp(device);
}

/* Outside the window's edges lies what is not inference: the pulses' hold, and the text of both laps, which the references print where they are
 * taken, so that the first one is on the wire while the CPU works. */
static void run_window(struct labd_device *device, int32_t inferences) {
    labd_laps_restart(device);
    labd_mark_pulse(device, LABD_PHASE_IDLE);
    const uint64_t start_ns = device->hal->now_ns(device->hal->context);
    if (LABD_STOCK) {
        put_window_lap(device, start_ns);
    }
    for (int32_t i = 0; i < inferences; i++) {
        labd_infer_back_to_back(device);
    }
    const uint64_t end_ns = device->hal->now_ns(device->hal->context);
    labd_mark_pulse(device, LABD_PHASE_IDLE);
    if (!LABD_STOCK) {
        put_window_lap(device, start_ns);
    }
    put_window_lap(device, end_ns);
}

static void infer(struct labd_device *device, int32_t inferences, int32_t warm_ups) {
    labd_take_input(device);
    labd_model_load(&device->model, &device->meter);
    labd_put_number_line(&device->out, "m-warmup-start-", (uint64_t)warm_ups, "");
    for (int32_t i = 0; i < warm_ups; i++) {
        labd_model_infer(&device->model, &device->meter);
    }
    labd_put_line(&device->out, "m-warmup-done", "", "");
    labd_put_number_line(&device->out, "m-infer-start-", (uint64_t)inferences, "");
    if (!LABD_STOCK) {
        device->hal->uart_flush(device->hal->context); /* no printing inside the window */
    }
    run_window(device, inferences);
    labd_put_line(&device->out, "m-infer-done", "", "");
    labd_do_results(device, NULL);
}

void labd_do_infer(struct labd_device *device, char *words) {
    const char *first = labd_next_word(&words);
    const char *second = labd_next_word(&words);
    const int32_t inferences = first == NULL ? 1 : labd_leading_number(first);
    const int32_t warm_ups = second == NULL ? DEFAULT_WARM_UPS : labd_leading_number(second);
    if (inferences <= 0) {
        labd_put_line(&device->out, "e-[Inference iterations must be >0]", "", "");
    } else if (warm_ups < 0) {
        labd_put_line(&device->out, "e-[Inference warmup must be >=0]", "", "");
    } else {
        infer(device, inferences, warm_ups);
    }
}

static void put_score(struct labd_device *device, uint16_t thousandths) {
    labd_put_number(&device->out, thousandths / 1000u);
    labd_put(&device->out, ".");
    for (uint16_t unit = 100u; unit > 0u; unit = (uint16_t)(unit / 10u)) {
        labd_put_number(&device->out, thousandths / unit % 10u);
    }
}

void labd_do_results(struct labd_device *device, char *words) {
    (void)words;
    labd_put(&device->out, "m-results-[");
    for (uint32_t i = 0; i < device->model.workload->classes; i++) {
        labd_put(&device->out, i == 0u ? "" : ",");
        put_score(device, device->model.scores[i]);
    }
    labd_put_line(&device->out, "]", "", "");
}
