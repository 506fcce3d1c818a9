"""A PyVISA session that reads binary blocks at the speed of the wire and turns every failure into one named error."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyvisa
from numpy.typing import NDArray
from pyvisa import constants
from pyvisa.resources import MessageBasedResource

from labd_instruments.errors import InstrumentError, LinkTimeoutError, NotConnectedError, ReplyError
from labd_instruments.links.link import block_length, native

QUIET_S = 0.1  # nothing for this long: nothing was left
CHUNK = 1 << 20  # measured: 20 kB chunks halve the rate, one chunk for everything is slower again
STALE_LINES = 64  # lines of old replies thrown away before `resync` gives up
IDENTITY = "*IDN?"


def open_link(resource: str, timeout_s: float = 2.0, *, backend: str = "@py") -> VisaLink:
    """Open a session and ask `*IDN?`, because pyvisa-py opens a SOCKET on a closed port without complaint.

    timeout_s: of each exchange. Raises NotConnectedError (nobody there, bad resource name) or LinkTimeoutError (no answer).
    """
    link = VisaLink(_open_resource(resource, timeout_s, backend), resource, timeout_s)
    try:
        link.greet()
    except BaseException:
        link.close()
        raise
    return link


def warm_up(*, backend: str = "@py") -> None:
    """Load the VISA library, which takes a while the first time."""
    pyvisa.ResourceManager(backend)


def interfaces(*, backend: str = "@py") -> tuple[list[str], list[str]]:
    """Kinds of VISA resources that can be opened here, and those whose packages are missing."""
    said: Any = pyvisa.ResourceManager(backend).visalib.get_debug_info()
    kinds = {name: str(state).startswith("Available") for name, state in said.items() if name.endswith((" INSTR", " SOCKET"))}
    return [name for name, there in kinds.items() if there], [name for name, there in kinds.items() if not there]


def _open_resource(resource: str, timeout_s: float, backend: str) -> MessageBasedResource:
    try:
        opened = pyvisa.ResourceManager(backend).open_resource(resource, open_timeout=round(timeout_s * 1000))
    except Exception as error:  # pyvisa-py raises a bare Exception for a connection it could not make
        raise NotConnectedError(f"{resource}: cannot be opened: {_one_line(error)}") from error
    if not isinstance(opened, MessageBasedResource):
        opened.close()
        raise NotConnectedError(f"{resource}: is no message based VISA resource")
    return opened


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class VisaLink:
    """One VISA session. `identity` is the reply to `*IDN?` at opening. Never uses service requests (SRQ)."""

    def __init__(self, session: MessageBasedResource, resource: str, timeout_s: float) -> None:
        self.resource = resource
        self.timeout_s = timeout_s
        self.identity = ""
        self._visa = session
        self._stale = False
        self._visa.write_termination = "\n"
        self._visa.read_termination = "\n"
        self._visa.timeout = timeout_s * 1000
        self._low = _low_level_session(session)
        _no_delay(self._low)

    def greet(self) -> None:
        """Ask who is there, which is also the check that anybody is."""
        self.identity = self.query(IDENTITY)

    def write(self, command: str) -> None:
        with self._named(command):
            self._visa.write(command)

    def query(self, command: str) -> str:
        self._settle()
        self.write(command)
        with self._named(command):
            return self._visa.read().strip()

    def read_definite_block(self, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        deadline = self._deadline(timeout_s)
        with self._binary("a definite length block"):
            head = self._exactly(2, deadline).tobytes()
            digits = _header_digits(head, self.resource)
            length = block_length(self._exactly(digits, deadline).tobytes())
            body = self._exactly(length, deadline)
            self._terminator(deadline)
            return native(body, dtype)

    def read_indefinite_block(self, n_values: int, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        deadline = self._deadline(timeout_s)
        with self._binary(f"an indefinite block of {n_values} values"):
            head = self._exactly(2, deadline).tobytes()
            if head != b"#0":
                raise ReplyError(f"{self.resource}: an indefinite block begins with #0, got {head!r}")
            body = self._exactly(n_values * np.dtype(dtype).itemsize, deadline)
            self._terminator(deadline)
            return native(body, dtype)

    def resync(self) -> None:
        """Clear the input, then ask `*IDN?` until a line ends in the known identity; older replies are dropped.

        Raises LinkTimeoutError when the identity does not come back.
        """
        with self._named("clear"), contextlib.suppress(NotImplementedError):
            if _is_socket(self._low):
                _empty(self._low, self.timeout_s)
            else:
                self._drain()
                self._visa.clear()
        self._stale = False
        self.write(IDENTITY)
        for _ in range(STALE_LINES):
            with self._named(IDENTITY):
                line = self._visa.read_raw().decode("latin-1").strip()
            if self.identity and line.endswith(self.identity):
                return
            self.identity = self.identity or line
        self._stale = True
        raise LinkTimeoutError(f"{self.resource}: question and answer do not match again after a time-out")

    def _drain(self) -> None:
        """Take late answers off a HiSLIP session: pyvisa-py (0.8.1, hislip.py) takes the next message for the answer to its clear, where
        IVI-6.1, 4.12 tells a client to drop what comes before that."""
        if not getattr(self._low, "attrs", {}).get(constants.ResourceAttribute.tcpip_is_hislip):
            return
        self._visa.timeout = QUIET_S * 1000
        end_s = time.monotonic() + self.timeout_s
        try:
            while time.monotonic() < end_s:
                self._visa.read_raw()
        except pyvisa.VisaIOError as error:
            if error.error_code != constants.StatusCode.error_timeout:
                raise
        finally:
            self._visa.timeout = self.timeout_s * 1000

    def close(self) -> None:
        with contextlib.suppress(pyvisa.Error, OSError):
            self._visa.close()

    def _settle(self) -> None:
        if self._stale:
            self.resync()

    def _deadline(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except pyvisa.VisaIOError as error:
            self._stale = True
            closed = _is_socket(self._low) and _closed(self._low)
            if error.error_code == constants.StatusCode.error_timeout and not closed:
                raise LinkTimeoutError(f"{self.resource}: no answer to {doing} within {self.timeout_s:g} s") from error
            why = "the instrument closed the connection" if closed else _one_line(error)
            raise NotConnectedError(f"{self.resource}: {doing} failed: {why}") from error
        except InstrumentError:
            raise
        except Exception as error:  # pyvisa-py lets EOFError, RuntimeError and what its RPC has of its own through
            self._stale = True
            raise NotConnectedError(f"{self.resource}: {doing} failed: {_one_line(error)}") from error

    @contextlib.contextmanager
    def _binary(self, doing: str) -> Iterator[None]:
        """With the termination character off: data is full of 0x0A, at each of which a stock read would stop."""
        self._visa.read_termination = None
        try:
            with self._named(doing):
                yield
        except ReplyError:
            self._stale = True  # the rest of it would answer the next question
            raise
        finally:
            with contextlib.suppress(pyvisa.Error, OSError):
                self._visa.read_termination = "\n"
                self._visa.timeout = self.timeout_s * 1000

    def _exactly(self, count: int, deadline: float) -> NDArray[np.uint8]:
        """`count` bytes in an aligned buffer of their own."""
        into = np.empty(count, np.uint8)
        filled = 0
        while filled < count:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self._stale = True
                raise LinkTimeoutError(f"{self.resource}: {filled} of {count} bytes of a block came before its deadline")
            filled += self._some(into[filled : filled + CHUNK], min(left_s, self.timeout_s))
        return into

    def _some(self, into: NDArray[np.uint8], wait_s: float) -> int:
        if _is_socket(self._low):
            return _receive(self._low, into, wait_s)
        self._visa.timeout = max(1.0, wait_s * 1000)
        # to the end of the message at most: pyvisa-py (0.8.1, hislip.py) reads nothing behind it for ever, without a time-out
        data = self._visa.read_bytes(len(into), chunk_size=CHUNK, break_on_termchar=True)
        into[: len(data)] = np.frombuffer(data, np.uint8)
        return len(data)

    def _terminator(self, deadline: float) -> None:
        """Take the line feed behind a block; a byte left behind would answer the next question."""
        end = self._exactly(1, deadline).tobytes()
        if end != b"\n":
            raise ReplyError(f"{self.resource}: a block ends with a line feed, got {end!r}")


def _header_digits(head: bytes, resource: str) -> int:
    if head[:1] != b"#" or not head[1:].isdigit() or head == b"#0":
        raise ReplyError(f"{resource}: a definite length block begins with # and a digit 1 to 9, got {head!r}")
    return int(head[1:])


def _low_level_session(session: MessageBasedResource) -> Any:
    """The session object of pyvisa-py behind a resource, or None: private API (seen in pyvisa-py 0.7.2 to 0.8.1), never relied upon."""
    try:
        return session.visalib.sessions[session.session]  # type: ignore[attr-defined]
    except (AttributeError, KeyError):
        return None


def _is_socket(low: Any) -> bool:
    return isinstance(getattr(low, "interface", None), socket.socket) and isinstance(getattr(low, "_pending_buffer", None), bytearray)


def _no_delay(low: Any) -> None:
    """Without it, a write before a query costs 40 ms on a SOCKET (Nagle's algorithm waits for a delayed acknowledge)."""
    with contextlib.suppress(AttributeError, OSError):
        low.interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _closed(low: Any) -> bool:
    """By the other side: pyvisa-py waits its time-out out there (0.8.1, tcpip.py)."""
    try:
        return bool(select.select([low.interface], [], [], 0)[0]) and low.interface.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):  # it is closed here too
        return True


def _empty(low: Any, most_s: float) -> None:
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


def _receive(low: Any, into: NDArray[np.uint8], wait_s: float) -> int:
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
