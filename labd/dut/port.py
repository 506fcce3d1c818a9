"""Opens a serial port with pyserial, for this process alone."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass

import serial

from labd.dut.errors import PortFailure
from labd.host import keep_lines_on_close


@dataclass(frozen=True, slots=True)
class PortSettings:
    """port: a device path. baud: 115200 for most performance builds, 921600 for ad01, 9600 for stock energy builds.

    dtr, rts: their level from the first moment on; opening a port otherwise toggles them, which resets many boards.
    """

    port: str
    baud: int = 115200
    dtr: bool = True
    rts: bool = True


def open_port(settings: PortSettings, *, read_s: float) -> serial.Serial:
    """8N1, no flow control. Works on a pseudo-terminal too, which has no modem lines.

    read_s: longest that a read waits for its bytes. Raises PortFailure.
    """
    if not settings.port:
        raise PortFailure("no serial port is given: links.<name>.port in the bench file, for example /dev/ttyACM0")
    port = serial.Serial()
    port.port = settings.port
    port.baudrate = settings.baud
    port.exclusive = True
    port.dtr = settings.dtr
    port.rts = settings.rts
    port.timeout = read_s
    try:
        port.open()
    except serial.SerialException as error:
        raise PortFailure(f"{settings.port}: {_why(error)}") from error
    except (OSError, ValueError) as error:
        raise PortFailure(f"{settings.port}: cannot be opened at {settings.baud} baud: {error}") from error
    with suppress(io.UnsupportedOperation):  # Windows has a handle instead
        keep_lines_on_close(port.fileno())
    _hand_over_at_once(port)
    return port


def _hand_over_at_once(port: serial.Serial) -> None:
    """An FTDI adapter keeps what it received for 16 ms, in which a line of an upload is sent and answered; Linux can ask for 1 ms. Others
    have no such timer, or no such call, and hand over at once."""
    with suppress(AttributeError, NotImplementedError, OSError, ValueError):
        port.set_low_latency_mode(True)


def _why(error: serial.SerialException) -> str:
    text = str(error)
    if "lock" in text:
        return "is in use by another program"
    if "No such file" in text:
        return "there is no such port; is the board plugged in?"
    if "Permission denied" in text:
        return "permission denied; add yourself to the group that owns it (dialout on Debian)"
    return f"cannot be opened: {text}"
