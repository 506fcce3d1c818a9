"""SCPI as text: identities, error queues, numbers out and numbers in."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labd_instruments.contract import Identity
from labd_instruments.errors import InstrumentError, LinkTimeoutError, RefusedError, ReplyError, SentinelError

SENTINEL = 9e36
"""Instruments say overflow as 9.9E37 and no data as 9.91E37 (SCPI-99 volume 1, 7.2.1.5); both are at or above this."""

QUEUE_LIMIT = 100  # entries read before a queue that never empties is called broken


class Asks(Protocol):
    """What the functions here need of a link."""

    def query(self, command: str) -> str: ...


def number(value: float) -> str:
    """A number as SCPI takes it: 9 significant digits, exponent in capitals. Raises ValueError for NaN and infinity."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be sent to an instrument")
    return format(value, ".9G")


def identity(reply: str) -> Identity:
    """Parse a `*IDN?` reply: maker, model, serial number, firmware. Raises ReplyError.

    Forms seen: `MODEL 2461` and `Model 2601B` (the word is dropped), blanks after commas, an option suffix on the model.
    """
    fields = [field.strip() for field in reply.strip().strip('"').split(",")]
    if len(fields) < 4:
        raise ReplyError(f"*IDN? answers maker, model, serial and firmware, got {reply!r}")
    model = re.sub(r"^model\s+", "", fields[1], flags=re.IGNORECASE)
    return Identity(fields[0], model, fields[2], ",".join(fields[3:]))


def error_entry(reply: str) -> tuple[int, str]:
    """One entry of an error queue: `+0,"No error"` -> (0, "No error"). Raises ReplyError."""
    match = re.fullmatch(r'\s*([+-]?\d+)\s*(?:,\s*"?(.*?)"?\s*)?', reply, flags=re.DOTALL)
    if match is None:
        raise ReplyError(f"an error queue answers a code and a text, got {reply!r}")
    return int(match[1]), match[2] or ""


def error_queue(link: Asks, query: str = "SYST:ERR?") -> tuple[tuple[int, str], ...]:
    """Read the queue to its end, oldest first; empty when the instrument has nothing to say. Raises ReplyError."""
    entries: list[tuple[int, str]] = []
    for _ in range(QUEUE_LIMIT):
        entry = error_entry(link.query(query))
        if entry[0] == 0:
            return tuple(entries)
        entries.append(entry)
    raise ReplyError(f"the error queue did not end after {QUEUE_LIMIT} entries, the last is {entries[-1]}")


def raise_errors(entries: tuple[tuple[int, str], ...], name: str, doing: str) -> None:
    """Raises RefusedError naming what was being done when the queue held anything."""
    if entries:
        said = "; ".join(f"{code} {text}" for code, text in entries)
        raise RefusedError(f"{name}: refused {doing}: {said}", entries)


@contextlib.contextmanager
def explained(link: Asks, name: str, doing: str, query: str = "SYST:ERR?") -> Iterator[None]:
    """An instrument that refuses a query says nothing: after a time-out its error queue is asked why.

    Raises RefusedError when it holds the reason, else the time-out.
    """
    try:
        yield
    except LinkTimeoutError as silence:
        try:
            entries = error_queue(link, query)
        except InstrumentError:
            raise silence from None
        if not entries:
            raise
        raise_errors(entries, name, doing)


def value(reply: str, what: str) -> float:
    """One reading. Raises ReplyError for text that is no number, SentinelError for overflow and no-data marks."""
    try:
        found = float(reply)
    except ValueError:
        raise ReplyError(f"{what} is a number, got {reply!r}") from None
    if not math.isfinite(found) or abs(found) >= SENTINEL:
        raise SentinelError(f"{what} is {reply.strip()}, an instrument's mark for overflow or no data")
    return found


def values(reply: str, what: str, count: int) -> tuple[float, ...]:
    """`count` comma-separated readings. Raises ReplyError, SentinelError."""
    fields = reply.split(",")
    if len(fields) != count:
        raise ReplyError(f"{what} is {count} numbers, got {reply!r}")
    return tuple(value(field, what) for field in fields)


def integers(reply: str, what: str) -> tuple[int, ...]:
    """Comma-separated integers such as status registers. Raises ReplyError."""
    try:
        return tuple(int(float(field)) for field in reply.split(","))
    except (ValueError, OverflowError):
        raise ReplyError(f"{what} is an integer for each channel, got {reply!r}") from None


def booleans(reply: str, what: str) -> tuple[bool, ...]:
    """Comma-separated states, 0 or 1, ON or OFF. Raises ReplyError."""
    states = {"0": False, "1": True, "OFF": False, "ON": True, "+0": False, "+1": True}
    try:
        return tuple(states[field.strip().upper()] for field in reply.split(","))
    except KeyError:
        raise ReplyError(f"{what} is 0 or 1, got {reply!r}") from None


def unquoted(reply: str) -> str:
    return reply.strip().strip('"')


def without_sentinels(block: NDArray[Any]) -> tuple[NDArray[np.float32], bool]:
    """float32 samples with every sentinel and infinity as NaN, and whether there was any."""
    samples = np.asarray(block, np.float32)
    bad = ~(np.abs(samples) < SENTINEL)
    if not bad.any():
        return samples, False
    return np.where(bad, np.float32(np.nan), samples), True
