"""The MLPerf Tiny device protocol as bytes and lines: encoding, line decoding, replies. Pure.

Source: the public device API of mlcommons/tiny and what its reference builds answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

TERMINATOR = "%"
READY = "m-ready"
COMMAND_MAX = 80  # characters the reference's buffer holds; it overwrites the last cell silently
UPLOAD_BYTES = 30  # in a `db` line: EEMBC's host promises the firmware at most 64 bytes a command; 38 fit its buffer
LINE_MAX = 4096
BANNER = ("m-timestamp-mode-", "m-init-done")
BUILD = "m-timestamp-mode-"
ECHO = "m-echo-["  # as `labd.dut.dialect` writes the echo of a command
PASSED_ON = "m-dut-passthrough"

# Failures that stock firmware prints without the e- prefix, the first one ended by a bare LF.
_PLAIN_FAILURES = (
    re.compile(r"Supplied buffer size \d+ exceeds maximum of \d+"),
    re.compile(r"Input db has \d+ elemented, expected \d+"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. t_ns: when its last byte was received, host's monotonic clock. clean: no byte that is not text."""

    text: str
    t_ns: int = 0
    clean: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """All lines before `m-ready`. error: the DUT's own words where it refused, else None. sent_ns, ready_ns: host's monotonic clock.
    misheard: the command as the DUT echoed it, where that is another than was sent."""

    command: str
    lines: tuple[Line, ...]
    error: str | None
    sent_ns: int = 0
    ready_ns: int = 0
    misheard: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(line.text for line in self.lines)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines that are neither messages (`m-`) nor errors (`e-`) nor empty. Old firmware prints some; after `db load` they are fatal."""
        return tuple(text for text in self.texts if text and not text.startswith(("m-", "e-")))


def encode_command(text: str, *, most: int = COMMAND_MAX) -> bytes:
    """A command with its terminator. Raises ValueError for what the reference firmware would choke on.

    A lone `%` crashes it, CR and LF become part of the next command, more than `most` characters are cut silently.
    """
    if not text.strip(" "):
        raise ValueError("a command is not blank: a lone terminator crashes the reference firmware")
    if len(text) > most:
        raise ValueError(f"a command of {len(text)} characters, the firmware's buffer holds {most}: {text[:20]!r}...")
    bad = sorted({char for char in text if not " " <= char <= "~" or char == TERMINATOR})
    if bad:
        raise ValueError(f"a command is printable ASCII without {TERMINATOR!r}, found {bad[0]!r} in {text!r}")
    return (text + TERMINATOR).encode("ascii")


def upload_commands(data: bytes, *, line_bytes: int = UPLOAD_BYTES) -> list[str]:
    """The `db` commands that load `data`, in order; the reply to the last one says `m-load-done`."""
    if not data:
        raise ValueError("an upload has at least one byte")
    parts = [data[k : k + line_bytes] for k in range(0, len(data), line_bytes)]
    return [f"db load {len(data)}", *(f"db {part.hex()}" for part in parts)]


class LineDecoder:
    """Bytes to lines, in whatever pieces they come. Lines end in LF, CR LF in general."""

    def __init__(self) -> None:
        self.received = 0
        self.garbage = 0
        self._pending = bytearray()

    @property
    def pending(self) -> str:
        """The beginning of a line whose end has not come."""
        return _text(bytes(self._pending))

    def reset_counts(self) -> None:
        self.received = self.garbage = 0

    def discard(self) -> None:
        """Forget the beginning of a line."""
        self._pending.clear()

    def feed(self, data: bytes, t_ns: int = 0) -> list[Line]:
        self.received += len(data)
        self.garbage += sum(not _is_text(byte) for byte in data)
        self._pending += data
        *whole, rest = bytes(self._pending).split(b"\n")
        self._pending = bytearray(rest)
        if len(rest) > LINE_MAX:  # not a protocol line, whatever it is
            whole.append(rest)
            self._pending.clear()
        return [_line(raw, t_ns) for raw in whole]


def _line(raw: bytes, t_ns: int) -> Line:
    """Noise before the first character (a UART's start-up glitch) is dropped, elsewhere it shows as an escape."""
    body = raw.rstrip(b"\r")
    start = next((k for k, byte in enumerate(body) if _is_text(byte)), len(body))
    return Line(_text(body[start:]), t_ns, clean=all(_is_text(byte) for byte in body))


def _text(raw: bytes) -> str:
    return "".join(chr(byte) if _is_text(byte) else f"\\x{byte:02x}" for byte in raw)


def _is_text(byte: int) -> bool:
    return 0x20 <= byte <= 0x7E or byte in b"\r\n\t"


def as_it_is(text: str) -> str | None:
    """A DUT that speaks the classic protocol itself."""
    return text


@dataclass(slots=True)
class ReplyCollector:
    """Lines of one reply until it is whole. heard: a line in the classic words, None where it is of another than who was asked.

    rebooted: a boot banner stood among them; build: as it said. passed_on: an interface board said that the command is on its way; beside:
    the first text of another than was asked.
    """

    command: str
    sent_ns: int = 0
    heard: Callable[[str], str | None] = as_it_is
    rebooted: bool = False
    build: str = ""
    passed_on: bool = False
    beside: str = ""
    misheard: str = ""
    error: str | None = None
    _lines: list[Line] = field(default_factory=list)
    _open_error: bool = False

    def add(self, line: Line) -> Reply | None:
        """The reply when this line was `m-ready`."""
        text = self.heard(line.text)
        if text is None:
            self.passed_on = self.passed_on or line.text.startswith(PASSED_ON)
            self.beside = self.beside or line.text
            return None
        if text == READY:
            return Reply(self.command, tuple(self._lines), self.error, self.sent_ns, line.t_ns, self.misheard)
        if text.startswith(ECHO):
            self._note_echo(text.removeprefix(ECHO).removesuffix("]"))
            return None
        self._lines.append(line if text == line.text else replace(line, text=text))
        self._note(text)
        return None

    @property
    def last(self) -> str:
        return self._lines[-1].text if self._lines else ""

    def _note_echo(self, echo: str) -> None:
        if echo != self.command:
            self.misheard = echo or "nothing"

    def _note(self, text: str) -> None:
        if self._open_error:  # the echo of an unknown command may contain line ends
            self._extend_error(text)
        elif text.startswith("e-["):
            self.error = text[3:].removesuffix("]")
            self._open_error = not text.endswith("]")
        elif text.startswith(BANNER):
            self.rebooted = True
            self.build = text.removeprefix(BUILD) if text.startswith(BUILD) else self.build
        elif self.error is None and any(pattern.search(text) for pattern in _PLAIN_FAILURES):
            self.error = text

    def _extend_error(self, text: str) -> None:
        self.error = f"{self.error} {text.removesuffix(']')}"
        self._open_error = not text.endswith("]")
