"""A serial port for drivers that do not talk VISA: opened for this program alone, bytes read as they are, every failure a named error."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import serial
from numpy.typing import NDArray
from serial.tools import list_ports

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, OutOfRangeError, ReplyError

QUIET_S = 0.05  # nothing for this long: nothing was left
CHUNK = 1 << 16
LONGEST_TEXT = 16384
# Straight from the descriptor into the caller's buffer; Windows has neither `readv` nor a `select` for ports, pyserial copies there.
_STRAIGHT = sys.platform != "win32"


def open_serial(resource: str, timeout_s: float = 2.0, *, baud: int = 115200, exclusive: bool = True) -> SerialLink:
    """Open a port: a device (`/dev/ttyACM0`, `COM3`) or VISA's name of one (`ASRL/dev/ttyACM0::INSTR`, `ASRL3::INSTR`).

    timeout_s: of one exchange. exclusive: nobody else may have it open (on Windows nobody ever may). Raises NotConnectedError.
    """
    device = port_of(resource)
    # POSIX: False would take another one's lock off, None asks for none
    sole = True if exclusive else None
    try:
        port = serial.Serial(device, baud, timeout=timeout_s, write_timeout=timeout_s, exclusive=sole)
    except (serial.SerialException, ValueError, OSError) as error:
        raise NotConnectedError(f"{resource}: could not be opened: {_one_line(error)}") from error
    return SerialLink(port, resource, timeout_s)


def port_of(resource: str) -> str:
    """The device behind a VISA name; any other text is the device itself. Raises OutOfRangeError for a VISA name of another interface.

    `ASRL3::INSTR` is COM3 (VPP-4.3, table 4.3.1); on other systems a number says nothing of a device, so the device is written out.
    """
    match = re.fullmatch(r"ASRL(.+?)(?:::INSTR)?", resource, flags=re.IGNORECASE)
    if match is not None:
        return f"COM{match[1]}" if match[1].isdigit() else match[1]
    if "::" in resource:
        raise OutOfRangeError(f"{resource} is no serial port, right would be /dev/ttyACM0, COM3 or ASRL/dev/ttyACM0::INSTR")
    return resource


class SerialLink:
    """One open port, used from one thread. Every method raises NotConnectedError when the device has gone."""

    def __init__(self, port: Any, resource: str, timeout_s: float, *, straight: bool = _STRAIGHT) -> None:
        self.resource = resource
        self.timeout_s = timeout_s
        self._port = port
        self._straight = straight

    @property
    def usb_serial(self) -> str:
        """Serial number of the USB device behind the port, empty where it has none."""
        device = os.path.realpath(self._port.name)
        found = (p.serial_number for p in list_ports.comports() if os.path.realpath(p.device) == device)
        return next(found, None) or ""

    def send(self, data: bytes) -> None:
        """Raises LinkTimeoutError when the device does not take them."""
        with self._named(f"sending {data[:8].hex(' ')}"):
            self._port.write(data)

    def waiting(self) -> int:
        """Bytes that have come and are not read yet."""
        with self._named("asking what has come"):
            return int(self._port.in_waiting)

    def available(self, most: int = CHUNK, *, wait_s: float = 0.0) -> NDArray[np.uint8]:
        """What has come, at most `most` bytes, in a buffer of its own; empty when nothing came within wait_s."""
        into = np.empty(most, np.uint8)
        return into[: self._into(into, wait_s)]

    def exactly(self, count: int, *, timeout_s: float | None = None) -> NDArray[np.uint8]:
        """`count` bytes. Raises LinkTimeoutError saying how many came."""
        into = np.empty(count, np.uint8)
        filled, end_s = 0, time.monotonic() + self._limit(timeout_s)
        while filled < count:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise LinkTimeoutError(f"{self.resource}: {filled} of {count} bytes came before the deadline")
            filled += self._into(into[filled:], left_s)
        return into

    def until(self, end: bytes, *, timeout_s: float | None = None) -> bytes:
        """Everything up to and with `end`. Raises LinkTimeoutError, ReplyError when `end` does not come within 16 KiB."""
        found = bytearray()
        end_s = time.monotonic() + self._limit(timeout_s)
        while not found.endswith(end):
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise LinkTimeoutError(f"{self.resource}: no {end!r} within {self._limit(timeout_s):g} s, {len(found)} bytes came")
            if len(found) >= LONGEST_TEXT:
                raise ReplyError(f"{self.resource}: no {end!r} in {LONGEST_TEXT} bytes")
            found += self.available(1, wait_s=left_s).tobytes()
        return bytes(found)

    def discard(self, *, most_s: float | None = None) -> int:
        """Throw away what comes until nothing came for a while; how many bytes it was.

        Raises LinkTimeoutError when the device does not stop talking.
        """
        thrown, end_s = 0, time.monotonic() + self._limit(most_s)
        while count := len(self.available(wait_s=QUIET_S)):
            thrown += count
            if time.monotonic() > end_s:
                raise LinkTimeoutError(f"{self.resource}: it does not stop talking within {self._limit(most_s):g} s")
        return thrown

    def close(self) -> None:
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()

    def _limit(self, timeout_s: float | None) -> float:
        return self.timeout_s if timeout_s is None else timeout_s

    def _into(self, into: NDArray[np.uint8], wait_s: float) -> int:
        """Up to len(into) bytes, 0 when none came in time."""
        with self._named("reading"):
            if sys.platform != "win32" and self._straight:
                return self._read_straight(into, wait_s)
            self._port.timeout = wait_s
            ready = max(1, min(len(into), self._port.in_waiting))
            return int(self._port.readinto(into[:ready].data))

    if sys.platform != "win32":

        def _read_straight(self, into: NDArray[np.uint8], wait_s: float) -> int:
            if not select.select([self._port.fileno()], [], [], wait_s)[0]:
                return 0
            try:
                count = os.readv(self._port.fileno(), [into.data])
            except BlockingIOError:
                return 0
            if not count:  # readable, and nothing to read: it has gone
                raise serial.SerialException("the device has gone, or somebody else reads from it")
            return count

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except serial.SerialTimeoutException as error:
            raise LinkTimeoutError(f"{self.resource}: {doing} did not end within {self.timeout_s:g} s") from error
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial's for a port that is closed already
            raise NotConnectedError(f"{self.resource}: {doing} failed: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
