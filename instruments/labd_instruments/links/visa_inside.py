"""What of pyvisa-py's own parts a VISA link touches, each a private API (seen in 0.7.2 to 0.8.1): without them it is slower, not wrong."""

from __future__ import annotations

import contextlib
import select
import socket
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyvisa.resources import MessageBasedResource

QUIET_S = 0.1  # nothing for this long: nothing was left
CHUNK = 1 << 20  # measured: 20 kB chunks halve the rate, one chunk for everything is slower again

CLASS_IN, INITIATE_CLEAR, CHECK_CLEAR_STATUS, SUCCESS, PENDING = 0xA1, 5, 6, 0x01, 0x02  # USBTMC 1.0, tables 15 and 16


def low_level_session(session: MessageBasedResource) -> Any:
    """The session object of pyvisa-py behind a resource, or None."""
    try:
        return session.visalib.sessions[session.session]  # type: ignore[attr-defined]
    except (AttributeError, KeyError):
        return None


def is_socket(low: Any) -> bool:
    return isinstance(getattr(low, "interface", None), socket.socket) and isinstance(getattr(low, "_pending_buffer", None), bytearray)


def no_delay(low: Any) -> None:
    """Without it, a write before a query costs 40 ms on a SOCKET (Nagle's algorithm waits for a delayed acknowledge)."""
    with contextlib.suppress(AttributeError, OSError):
        low.interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def closed(low: Any) -> bool:
    """By the other side: pyvisa-py waits its time-out out there (0.8.1, tcpip.py)."""
    try:
        return bool(select.select([low.interface], [], [], 0)[0]) and low.interface.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):  # it is closed here too
        return True


def empty(low: Any, most_s: float) -> None:
    """Take what has come. pyvisa-py's own clear never ends on a connection that the other side has closed (0.8.1, tcpip.py).

    Raises ConnectionResetError then, TimeoutError for an instrument that does not stop talking.
    """
    low._pending_buffer.clear()
    end_s = time.monotonic() + most_s
    while select.select([low.interface], [], [], QUIET_S)[0]:
        if not low.interface.recv(CHUNK):
            raise ConnectionResetError("the instrument closed the connection")
        if time.monotonic() > end_s:
            raise TimeoutError(f"it does not stop talking within {most_s:g} s")


def receive(low: Any, into: NDArray[np.uint8], wait_s: float) -> int:
    """Up to len(into) bytes straight from the socket, what the session has already read first; 0 when none came in time."""
    pending: bytearray = low._pending_buffer
    if pending:
        taken = min(len(pending), len(into))
        into[:taken] = np.frombuffer(bytes(pending[:taken]), np.uint8)
        del pending[:taken]
        return taken
    readable, _, _ = select.select([low.interface], [], [], wait_s)
    if not readable:
        return 0
    received: int = low.interface.recv_into(into.data)
    if received == 0:
        raise ConnectionResetError("the instrument closed the connection")
    return received


def is_usbtmc(low: Any) -> bool:
    return all(hasattr(getattr(low, "interface", None), name) for name in ("usb_dev", "usb_intf", "usb_recv_ep", "usb_send_ep"))


def clear_usbtmc(low: Any, most_s: float) -> None:
    """Clear input and output of a USBTMC instrument, which pyvisa-py cannot (0.8.1, usb.py has no clear): USBTMC 1.0, 4.2.1.6 and 4.2.1.7.

    Raises ConnectionError where it refuses, TimeoutError where it does not come to an end, and what pyusb raises.
    """
    usb = low.interface
    device, number, wait_ms = usb.usb_dev, usb.usb_intf.bInterfaceNumber, max(1, round(most_s * 1000))
    if device.ctrl_transfer(CLASS_IN, INITIATE_CLEAR, 0, number, 1, wait_ms)[0] != SUCCESS:
        raise ConnectionError("the instrument refuses a clear")
    end_s = time.monotonic() + most_s
    while (status := device.ctrl_transfer(CLASS_IN, CHECK_CLEAR_STATUS, 0, number, 2, wait_ms))[0] == PENDING:
        if status[1] & 1:  # it holds data that has to be read first
            usb.usb_recv_ep.read(usb.usb_recv_ep.wMaxPacketSize, wait_ms)
        if time.monotonic() > end_s:
            raise TimeoutError(f"it is not cleared within {most_s:g} s")
    usb.usb_send_ep.clear_halt()


def hang_up(low: Any) -> None:
    """End the connections of a session that is to be closed without a word to the other side.

    A VXI-11 link is given back with a call that would wait 5 s for an answer from nobody; on an ended connection it fails at once, in the
    way that pyvisa-py's close expects (0.8.1, tcpip.py and rpc.py).
    """
    for end in _sockets(low):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def close_sockets(low: Any) -> None:
    """What a close that failed half way has left open."""
    for end in _sockets(low):
        end.close()


def close_forgotten(error: BaseException) -> None:
    """Close the sockets of a session that could not be opened.

    pyvisa-py (0.8.1: tcpip.py, hislip.py, rpc.py) lets go of them where they are, in the frames that its error has come through; they
    would stay open for as long as somebody keeps the error.
    """
    for frame in _frames(error):
        if frame.f_globals.get("__name__", "").startswith("pyvisa_py"):
            for value in list(frame.f_locals.values()):
                close_sockets(value)


def _frames(error: BaseException | None) -> Iterator[Any]:
    while error is not None:
        yield from (frame for frame, _ in traceback.walk_tb(error.__traceback__))
        error = error.__cause__ or error.__context__


def _sockets(holder: Any) -> Iterator[socket.socket]:
    """A socket, those that an object has, or that its `interface` has (HiSLIP has two, VXI-11 one)."""
    for one in (holder, getattr(holder, "interface", None)):
        if isinstance(one, socket.socket):
            yield one
        else:
            yield from (held for held in list(getattr(one, "__dict__", {}).values()) if isinstance(held, socket.socket))
