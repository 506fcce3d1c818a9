/* The command line: bytes gathered up to the terminator, then looked up in one table. */
#ifndef LABD_COMMAND_H
#define LABD_COMMAND_H

#include "labd.h"

#define LABD_TERMINATOR '%'

/* Take one received character; executes the command, and answers m-ready, when it was the terminator. */
void labd_receive(struct labd_device *device, char character);

#endif
