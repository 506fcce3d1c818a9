/* The host tests of the firmware core: all cases, then the totals and the RAM that the core asks of a board. */
#include <stdio.h>

#include "cases.h"
#include "check.h"
#include "labd.h"

int main(void) {
    ring_cases();
    text_cases();
    word_cases();
    random_cases();
    net_cases();
    device_cases();
    fuzz_cases();
    printf("struct labd_device %zu bytes, model memory %zu bytes, one lap %zu bytes\n", sizeof(struct labd_device), sizeof(struct labd_model_memory),
           sizeof(struct labd_lap));
    return check_report();
}
