"""The device end of the USBTMC and the GPIB double: takes whole messages, gives the answers to them byte by byte."""

from __future__ import annotations

import numpy as np

IDENTITY = b"ACME,MODEL 1,42,1.0"
VALUES = np.random.default_rng(7).bytes(1_000_000)  # full of line feeds
INDEFINITE = b"\x0a" * 4000
LONG = b",".join(b"%d" % k for k in range(20_000))  # more than PyVISA asks for at once


class Talker:
    """`heard`: every message. An answer to SLOW? is there only after `release`. identity: may change, as another instrument's would."""

    def __init__(self) -> None:
        self.identity = IDENTITY
        self.heard: list[bytes] = []
        self.slow = 0
        self.out = bytearray()
        self._in = bytearray()

    def take(self, data: bytes, *, end: bool) -> None:
        self._in += data
        if end:
            message, self._in = bytes(self._in), bytearray()
            self._execute(message.rstrip(b"\n"))

    def give(self, most: int) -> tuple[bytes, bool]:
        """Up to `most` bytes and whether they end the answer; none when there is none (yet)."""
        given = bytes(self.out[:most])
        del self.out[: len(given)]
        return given, not self.out

    def release(self) -> None:
        while self.slow:
            self.slow -= 1
            self.out += b"late\n"

    def clear(self) -> None:
        self.out.clear()
        self._in.clear()

    def _execute(self, command: bytes) -> None:
        self.heard.append(command)
        size = str(len(VALUES)).encode()
        answers = {
            b"*IDN?": self.identity,
            b"A?": b"1",
            b"DATA?": b"#" + str(len(size)).encode() + size + VALUES,
            b"RAW?": b"#0" + INDEFINITE,
            b"LONG?": LONG,
        }
        if command == b"SLOW?":
            self.slow += 1
        elif command in answers:
            self.out += answers[command] + b"\n"
