"""A link that plays an exchange transcript: the driver must say exactly what is written, and everything written must be said.

A transcript is text, one item a line (`#` begins a comment line):

    > command          the driver sends this
    < reply            the instrument answers with this line
    <b f4 1.5 2.5 nan  it answers with a binary block of these values (numpy type code, definite or indefinite)
    <r reason          what it answers is no such block
    <t                 it does not answer: the link times out
    <e reason          the connection breaks
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, ReplyError


def transcript(text: str) -> list[str]:
    """The items of a transcript without comments and blank lines."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


class ScriptedLink:
    """Plays a transcript. `finish` fails when something is left over."""

    def __init__(self, items: Iterable[str], resource: str = "SCRIPT") -> None:
        self.resource = resource
        self.timeout_s = 1.0
        self.closed = False
        self._items = list(items)
        self._at = 0

    @classmethod
    def from_file(cls, path: Path) -> ScriptedLink:
        return cls(transcript(path.read_text(encoding="utf-8")), resource=path.stem)

    @classmethod
    def from_text(cls, text: str) -> ScriptedLink:
        return cls(transcript(text))

    def write(self, command: str) -> None:
        expected = self._next(f"sent {command!r}")
        if expected != f"> {command}":
            raise AssertionError(f"{self.resource}, item {self._at}: the driver sent {command!r}, the transcript says {expected!r}")

    def query(self, command: str) -> str:
        self.write(command)
        item = self._reply(command)
        if not item.startswith("< ") and item != "<":
            raise AssertionError(f"{self.resource}, item {self._at}: {command!r} wants a line, the transcript says {item!r}")
        return item[2:]

    def query_definite_block(self, command: str, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        del timeout_s
        return self._block(command, dtype)

    def query_indefinite_block(self, command: str, n_values: int, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        del timeout_s
        block = self._block(command, dtype)
        if len(block) < n_values:
            raise LinkTimeoutError(f"{self.resource}: {len(block)} of {n_values} values of an indefinite block came")
        if len(block) > n_values:
            raise ReplyError(f"{self.resource}: an indefinite block of {n_values} values does not end with a line feed")
        return block

    def resync(self) -> None:
        """Nothing to do: a transcript has no stale bytes."""

    def close(self) -> None:
        self.closed = True

    def finish(self) -> None:
        """Raises AssertionError when items are left over."""
        left = self._items[self._at :]
        if left:
            raise AssertionError(f"{self.resource}: the driver did not get to {len(left)} items, the first is {left[0]!r}")

    def _next(self, did: str) -> str:
        if self._at >= len(self._items):
            raise AssertionError(f"{self.resource}: the transcript is at its end, yet the driver {did}")
        self._at += 1
        return self._items[self._at - 1]

    def _reply(self, to: str) -> str:
        item = self._next(f"waits for a reply to {to!r}")
        if item == "<t":
            raise LinkTimeoutError(f"{self.resource}: no answer to {to} within {self.timeout_s:g} s")
        if item.startswith("<e"):
            raise NotConnectedError(f"{self.resource}: {to} failed: {item[2:].strip()}")
        return item

    def _block(self, command: str, dtype: str) -> NDArray[Any]:
        self.write(command)
        item = self._reply(command)
        if item.startswith("<r"):
            raise ReplyError(item[2:].strip())
        if not item.startswith("<b "):
            raise ReplyError(f"{self.resource}: a block begins with #, got {item!r}")
        code, *values = item[3:].split()
        if np.dtype(code).itemsize != np.dtype(dtype).itemsize:
            raise AssertionError(f"{self.resource}, item {self._at}: the driver reads {dtype}, the transcript holds {code}")
        return np.array([float(v) for v in values], np.dtype(dtype).newbyteorder("="))
