"""A PyVISA session that reads binary blocks at the speed of the wire and turns every failure into one named error."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyvisa
from numpy.typing import NDArray
from pyvisa import constants
from pyvisa.resources import MessageBasedResource

from labd_instruments.errors import InstrumentError, LinkTimeoutError, NotConnectedError, ReplyError, WrongInstrumentError
from labd_instruments.links import visa_inside as inside
from labd_instruments.links.link import block_length, native
from labd_instruments.links.visa_inside import CHUNK, QUIET_S

STALE_LINES = 64  # lines of old replies thrown away before `resync` gives up
IDENTITY = "*IDN?"
BUSES = ("USB", "GPIB")
ON_THE_WIRE = ("SOCKET", "HiSLIP", "VXI-11")
"""Every driver that has this link is tried with its virtual instrument over these, on real sockets."""
AGAINST_A_DOUBLE = ("USBTMC", "GPIB")
"""The link is tried over these with the library below pyvisa-py replaced; no bus was there, and no driver."""


def open_link(resource: str, timeout_s: float = 2.0, *, backend: str = "@py") -> VisaLink:
    """Open a session and ask `*IDN?`, because pyvisa-py opens a SOCKET on a closed port without complaint.

    timeout_s: of each exchange. Raises NotConnectedError (nobody there, bad resource name) or LinkTimeoutError (no answer).
    """
    link = VisaLink(_open_resource(resource, timeout_s, backend), resource, timeout_s, backend=backend)
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
        inside.close_forgotten(error)
        raise NotConnectedError(f"{resource}: cannot be opened: {_one_line(error)}") from error
    if not isinstance(opened, MessageBasedResource):
        opened.close()
        raise NotConnectedError(f"{resource}: is no message based VISA resource")
    return opened


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class VisaLink:
    """One VISA session. `identity` is the reply to `*IDN?` at opening. Never uses service requests (SRQ)."""

    def __init__(self, session: MessageBasedResource, resource: str, timeout_s: float, *, backend: str = "@py") -> None:
        self.resource = resource
        self.timeout_s = timeout_s
        self.identity = ""
        self._backend = backend
        self._take(session)

    def _take(self, session: MessageBasedResource) -> None:
        self._visa = session
        self._stale = False
        self._open = True
        self._visa.write_termination = "\n"
        self._visa.read_termination = "\n"
        self._visa.encoding = "latin-1"  # a byte that is no ASCII must not hide what else an instrument says
        self._visa.timeout = self.timeout_s * 1000
        self._low = inside.low_level_session(session)
        self._surplus = bytearray()
        self._owed = 0  # identities that were asked for and have not come
        if inside.is_usbtmc(self._low):  # an answer of more than one chunk would pass for one that has ended (0.8.1, usb.py)
            self._visa.chunk_size = CHUNK
        inside.no_delay(self._low)

    def greet(self) -> None:
        """Ask who is there, which is also the check that anybody is.

        On a bus the instrument keeps what an earlier session asked for and never took; on a network that went with the session.
        """
        if self.resource.upper().startswith(BUSES):
            with contextlib.suppress(NotConnectedError):  # who refuses a clear may answer all the same
                self._clear()
            self._stale = False
        self.identity = self.query(IDENTITY)

    def write(self, command: str) -> None:
        self._owed += _identities_in(command)  # before it is sent: one that is sent in part may be answered all the same
        with self._named(command):
            self._visa.write(command)

    def query(self, command: str) -> str:
        self._settle()
        self.write(command)
        with self._named(command):
            reply = self._visa.read().strip()
        self._owed -= _identities_in(command)
        return reply

    def query_definite_block(self, command: str, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        self._settle()
        self.write(command)
        deadline = self._deadline(timeout_s)
        with self._binary("a definite length block"):
            head = self._exactly(2, deadline).tobytes()
            digits = _header_digits(head, self.resource)
            length = block_length(self._exactly(digits, deadline).tobytes())
            body = self._exactly(length, deadline)
            self._terminator(deadline)
            return native(body, dtype)

    def query_indefinite_block(self, command: str, n_values: int, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        self._settle()
        self.write(command)
        deadline = self._deadline(timeout_s)
        with self._binary(f"an indefinite block of {n_values} values"):
            head = self._exactly(2, deadline).tobytes()
            if head != b"#0":
                raise ReplyError(f"{self.resource}: an indefinite block begins with #0, got {head!r}")
            body = self._exactly(n_values * np.dtype(dtype).itemsize, deadline)
            self._terminator(deadline)
            return native(body, dtype)

    def resync(self) -> None:
        """Bring question and answer together again whatever became of those before.

        A socket on which that fails is opened anew: an answer that was lost is not told from one that is late. Then the instrument may have
        been without power: whoever calls this switches it off, or sets everything anew. Raises LinkTimeoutError, NotConnectedError,
        WrongInstrumentError (another one answers on the new connection; the link is closed then).
        """
        try:
            self._fall_in_step()
        except LinkTimeoutError:
            if not inside.is_socket(self._low):
                raise
            self._open_anew()

    def _open_anew(self) -> None:
        self.close()
        self._take(_open_resource(self.resource, self.timeout_s, self._backend))
        try:
            found = self.query(IDENTITY)
        except BaseException:
            self.close()
            raise
        if self.identity and found != self.identity:
            self.close()
            raise WrongInstrumentError(f"{self.resource}: {found!r} answers where {self.identity!r} was: another instrument or firmware")

    def _fall_in_step(self) -> None:
        """Drop what came late, and ask `*IDN?` until the answer to this very question is there.

        Raises LinkTimeoutError when it does not come: the next question then begins in the same way.
        """
        self._clear()
        self._stale = True
        self.write(IDENTITY)
        with self._named(IDENTITY):
            if inside.is_socket(self._low):
                self._await_line()
            else:
                self._await_message()
        if self._owed:
            text = f"no answer to {IDENTITY} within {self.timeout_s:g} s after an earlier time-out: question and answer do not match again"
            raise LinkTimeoutError(f"{self.resource}: {text}")
        self._stale = False

    def _await_line(self) -> None:
        """A socket loses no answer however late it comes: an identity that a resync before this one gave up on comes before this one's."""
        end_s = time.monotonic() + self.timeout_s
        into = np.empty(CHUNK, np.uint8)
        while self._owed and time.monotonic() < end_s:
            self._surplus += into[: inside.receive(self._low, into, self.timeout_s)].tobytes()
            *lines, self._surplus = self._surplus.split(b"\n")  # the last may go on with the next bytes, or in the next resync
            self._owed = max(0, self._owed - sum(map(self._is_identity, lines)))
        if not self._owed:
            self._surplus.clear()

    def _await_message(self) -> None:
        """What was asked before a clear is answered no more; a line that was under way then may still come."""
        for _ in range(STALE_LINES):
            self._owed -= self._is_identity(self._visa.read_raw())
            if not self._owed:
                return

    def _is_identity(self, line: bytes | bytearray) -> bool:
        """It may begin with the end of an answer that was cut."""
        return line.decode("latin-1").strip().endswith(self.identity)

    def _clear(self) -> None:
        if self._owed and inside.is_socket(self._low):
            return  # what has come is counted, not dropped
        self._surplus.clear()
        with self._named("clear"), contextlib.suppress(NotImplementedError):
            if inside.is_socket(self._low):
                inside.empty(self._low, self.timeout_s)
            elif inside.is_usbtmc(self._low):
                inside.clear_usbtmc(self._low, self.timeout_s)
            else:
                self._drain()
                self._visa.clear()
            self._owed = 0

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
        self._open = False
        if self._stale:  # a polite end would wait for one who may be gone
            inside.hang_up(self._low)
        with contextlib.suppress(Exception):  # whatever pyvisa-py raises, the session is of no more use
            self._visa.close()
        inside.close_sockets(self._low)

    def _settle(self) -> None:
        if self._stale:
            self._fall_in_step()

    def _deadline(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        if not self._open:
            raise NotConnectedError(f"{self.resource}: {doing} failed: the link is closed")
        try:
            yield
        except pyvisa.VisaIOError as error:
            self._stale = True
            closed = inside.is_socket(self._low) and inside.closed(self._low)
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
        try:
            with self._named(doing):
                self._visa.read_termination = None
                yield
            self._stale = self._stale or bool(self._surplus)
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
        if inside.is_socket(self._low):
            return inside.receive(self._low, into, wait_s)
        if not self._surplus:
            self._surplus += self._message(len(into), wait_s)
        data = self._surplus[: len(into)]
        del self._surplus[: len(data)]
        into[: len(data)] = np.frombuffer(data, np.uint8)
        return len(data)

    def _message(self, count: int, wait_s: float) -> bytes:
        """More than `count` bytes from a USBTMC instrument that sends less in one transfer than it is asked for: pyvisa-py (0.8.1,
        usbtmc.py) then asks until the message ends."""
        self._visa.timeout = max(1.0, wait_s * 1000)
        # to the end of the message at most: pyvisa-py (0.8.1, hislip.py) reads nothing behind it for ever, without a time-out
        return self._visa.read_bytes(count, chunk_size=CHUNK, break_on_termchar=True)

    def _terminator(self, deadline: float) -> None:
        """Take the line feed behind a block; a byte left behind would answer the next question."""
        end = self._exactly(1, deadline).tobytes()
        if end != b"\n":
            raise ReplyError(f"{self.resource}: a block ends with a line feed, got {end!r}")


def _identities_in(command: str) -> int:
    return command.upper().count(IDENTITY)


def _header_digits(head: bytes, resource: str) -> int:
    if head[:1] != b"#" or not head[1:].isdigit() or head == b"#0":
        raise ReplyError(f"{resource}: a definite length block begins with # and a digit 1 to 9, got {head!r}")
    return int(head[1:])
