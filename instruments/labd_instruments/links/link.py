"""What a driver needs of a link, so that a VISA session, a transcript and a recorder can stand in for each other."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labd_instruments.errors import ReplyError


class Link(Protocol):
    """One session with one instrument, used from one thread. Every method raises NotConnectedError or LinkTimeoutError."""

    resource: str
    timeout_s: float

    def write(self, command: str) -> None:
        """Send a command; no reply is expected."""

    def query(self, command: str) -> str:
        """Send a command and return its one-line reply without the terminator."""

    def query_definite_block(self, command: str, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        """Send a command and read `#<d><length><data>`: aligned, in native byte order. timeout_s: of the whole. Raises ReplyError."""

    def query_indefinite_block(self, command: str, n_values: int, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        """Send a command and read `#0<data>` of a known number of values. timeout_s: of the whole. Raises ReplyError."""

    def resync(self) -> None:
        """Before switching off, or setting everything anew: question and answer match again whatever became of those before.

        The session may be a new one then. Raises WrongInstrumentError for another instrument in its place."""

    def close(self) -> None: ...


def block_length(digits: bytes) -> int:
    """Number of data bytes from the digits of a definite block's header. Raises ReplyError."""
    if not re.fullmatch(rb"[0-9]{1,9}", digits):
        raise ReplyError(f"a block header says its length in digits, got {digits!r}")
    return int(digits)


def native(raw: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """Bytes as an aligned array of `dtype` in native byte order. Raises ReplyError when bytes are left over.

    Big-endian data is converted once here: sums over it would be twice as slow ever after.
    """
    kind = np.dtype(dtype)
    if len(raw) % kind.itemsize:
        raise ReplyError(f"a block of {len(raw)} bytes is no whole number of {kind.itemsize}-byte values")
    return raw.view(kind).astype(kind.newbyteorder("="), copy=False)
