"""What a PowerShield sends while it acquires, taken apart: samples, time stamps, and what it says of itself in between.

Sources as in `_lpm01a`. Binary: two bytes a sample, the high nibble a power of 16 (negative), the rest the value: 52A0 is 2A0 (hex) by
16^-5 [H]. A nibble F is no sample: F0 and one byte F1 to F7, FF FF at its end [G] [Z]. Text: `6409-07` is 6409e-7 [H], `TimeStamp: 001s
000ms, buff 00%` [T], `event 1 ris` [T], `error: ...` [H] [V].
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labd_instruments.drivers._lpm01a import COMPLETED, PROMPT
from labd_instruments.errors import ReplyError

Amperes = NDArray[np.float32]
ERROR, INFO, STAMP, END, OVER_CURRENT, POWER_DOWN, VOLTAGE = 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7  # [G]; F1 to F5 also [Z]
LENGTHS = {STAMP: 9, END: 4, OVER_CURRENT: 4, POWER_DOWN: 4, VOLTAGE: 6}  # bytes, head and end included [G] [Z]
TAIL = b"\xff\xff"
LONGEST_TEXT = 256  # of a message in the binary stream [-]
STAMP_TEXT = re.compile(r"TimeStamp: (\d+)s (\d+)ms, buff (\d+)%")  # [T] [L] [V]
SAMPLE_TEXT = re.compile(r"\d{4}[+-]\d{2}")  # [T]
PASSED_OVER = re.compile(r"event \d+ ris|ack (pwr|targrst|stop).*|pwr (on|off).*|")  # [T], [H] pwr status
_SCALE = 16.0 ** -np.arange(16)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Time since the acquisition began (s), and how full its buffer is (%)."""

    elapsed_s: float
    buffer_percent: int


@dataclass(frozen=True, slots=True)
class Said:
    """Something that ends the acquisition or makes it worthless. ended: it came to its end, in good order where that was due."""

    text: str
    ended: bool = False


Item = Amperes | Stamp | Said


class Decoder(Protocol):
    """Bytes in any pieces to what they mean, in order."""

    def decode(self, data: bytes) -> list[Item]:
        """What is not whole waits for the next call. Raises ReplyError for what no PowerShield sends."""


def decoder(name: str, form: str) -> Decoder:
    """form: `bin_hexa` or `ascii_dec`. name: of the instrument, for messages."""
    return Binary(name) if form == "bin_hexa" else Text(name)


class Binary:
    """Begins with a time stamp: what stands before it are ends of lines [Z]."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""
        self._begun = False

    def decode(self, data: bytes) -> list[Item]:
        buffer = self._rest + data
        if not self._begun:
            buffer = buffer.lstrip(b"\r\n\0")
            self._begun = bool(buffer)
            if buffer and buffer[0] != 0xF0:
                raise ReplyError(f"{self._name}: the stream begins with {buffer[:4].hex(' ')}, right would be a time stamp (f0 f3)")
        at = 0
        items: list[Item] = []
        while at < len(buffer):
            item, length = self._message(buffer, at) if buffer[at] >= 0xF0 else self._samples(buffer, at)
            if not length:
                break
            at += length
            if item is not None:
                items.append(item)
            if isinstance(item, Said) and item.ended:  # a summary in words comes behind it
                at = len(buffer)
        self._rest = buffer[at:]
        return items

    def _samples(self, buffer: bytes, at: int) -> tuple[Item | None, int]:
        whole = (len(buffer) - at) // 2
        word = np.frombuffer(buffer, ">u2", whole, at)
        ends = np.flatnonzero(word >= 0xF000)
        if len(ends):
            word = word[: ends[0]]
        current = ((word & 0xFFF) * _SCALE[word >> 12]).astype(np.float32)
        return (current if len(current) else None), 2 * len(word)

    def _message(self, buffer: bytes, at: int) -> tuple[Item | None, int]:
        """The item and its length; 0 while it is not whole."""
        if len(buffer) < at + 2:
            return None, 0
        kind = buffer[at + 1]
        if buffer[at] != 0xF0 or not ERROR <= kind <= VOLTAGE:
            raise ReplyError(f"{self._name}: {buffer[at : at + 2].hex(' ')} is neither a sample nor a message: the bytes are out of step")
        if kind in (ERROR, INFO):
            length = buffer.find(TAIL, at + 2) + 2 - at
            if length < 2:
                if len(buffer) - at > LONGEST_TEXT:
                    raise ReplyError(f"{self._name}: a message has no end within {LONGEST_TEXT} bytes")
                return None, 0
            text = buffer[at + 2 : at + length - 2].decode("latin-1").strip("\r\n\0 ")
            return (Said(text) if kind == ERROR else None), length
        length = LENGTHS[kind]
        message = buffer[at : at + length]
        if len(message) < length:
            return None, 0
        if not message.endswith(TAIL):
            raise ReplyError(f"{self._name}: a message {message.hex(' ')} does not end with ff ff: the bytes are out of step")
        return self._meaning(kind, message), length

    def _meaning(self, kind: int, message: bytes) -> Item | None:
        if kind == STAMP:
            milliseconds = int.from_bytes(message[2:6], "big")
            if milliseconds >> 31:  # [G] clears this bit, which stands for an overflow, and goes on
                return Said("a time stamp says overflow")
            return Stamp(milliseconds * 1e-3, message[6])
        found = {END: "the end of the acquisition", OVER_CURRENT: "over-current", POWER_DOWN: "the target was powered down"}.get(kind)
        return Said(found, ended=kind == END) if found else None


class Text:
    """One line each. A line that is none of those known is torn, and no number is made of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""

    def decode(self, data: bytes) -> list[Item]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        items: list[Item] = []
        samples: list[str] = []
        for raw in lines:
            line = raw.decode("latin-1").strip("\r\0")  # zero bytes come behind a time stamp [L]
            if SAMPLE_TEXT.fullmatch(line):
                samples.append(f"{line[:4]}e{line[4:]}")
                continue
            item = self._meaning(line)
            if item is not None:
                items += [*_amperes(samples), item]
                samples = []
            if isinstance(item, Said) and item.ended:  # a summary in words comes behind it
                self._rest = b""
                return items
        return items + _amperes(samples)

    def _meaning(self, line: str) -> Item | None:
        said = line.removeprefix(PROMPT)
        if match := STAMP_TEXT.fullmatch(said):
            return Stamp(int(match[1]) + int(match[2]) * 1e-3, int(match[3]))
        if said == "end" or COMPLETED.decode() in said:
            return Said("the end of the acquisition", ended=True)
        if said.lower().startswith("error"):
            return Said(said)
        if PASSED_OVER.fullmatch(said):
            return None
        raise ReplyError(f"{self._name}: the line {line[:40]!r} is neither a sample nor a message: it is torn")


def _amperes(samples: list[str]) -> list[Item]:
    return [np.array(samples, np.float64).astype(np.float32)] if samples else []
