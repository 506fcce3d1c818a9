"""A scripted DUT on the master side of a real pseudo-terminal, answering in its own thread."""

from __future__ import annotations

import os
import select
import termios
import threading
import tty
from collections.abc import Callable

Answer = bytes | Callable[[str], bytes]

PERFORMANCE_BANNER = b"m-timestamp-mode-performance\r\nm-lap-us-1725\r\nm-init-done\r\nm-ready\r\n"
ENERGY_BANNER = b"m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n"


def lines(*texts: str) -> bytes:
    """A whole reply."""
    return "".join(f"{text}\r\n" for text in (*texts, "m-ready")).encode()


STOCK: dict[str, Answer] = {
    "name": lines("m-name-dut-[unspecified]"),
    "profile": lines("m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"),
    "timestamp": lines("m-lap-us-712"),
}
LABD: dict[str, Answer] = {**STOCK, "name": lines("m-name-dut-[labd]"), "ver": lines("m-ver-[labd 1]")}


class FakeDut:
    """Context manager. answers: reply to each command by its first word or its whole text, bytes or a function of the text.

    Unknown commands are answered as stock firmware does. `port` is what a link opens, `heard` the commands in order.
    """

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = dict(STOCK if answers is None else answers)
        self.heard: list[str] = []
        self.raw = bytearray()
        self.got = threading.Condition()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._wake_r, self._wake_w = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="fake dut", daemon=True)

    def __enter__(self) -> FakeDut:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._wake_w, b"x")
        self._thread.join(20)
        for fd in (self._master, self._slave, self._wake_r, self._wake_w):
            if fd >= 0:
                os.close(fd)

    def say(self, data: bytes) -> None:
        """Output nobody asked for."""
        os.write(self._master, data)

    def unplug(self) -> None:
        """The port goes away under the link."""
        os.write(self._wake_w, b"x")
        self._thread.join(20)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def wait_heard(self, text: str, timeout_s: float = 20.0) -> bool:
        with self.got:
            return self.got.wait_for(lambda: text in self.heard, timeout_s)

    def wait_raw(self, data: bytes, timeout_s: float = 20.0) -> bool:
        with self.got:
            return self.got.wait_for(lambda: data in self.raw, timeout_s)

    def _serve(self) -> None:
        pending = b""
        while True:
            ready, _, _ = select.select([self._master, self._wake_r], [], [])
            if self._wake_r in ready:
                return
            data = os.read(self._master, 4096)
            with self.got:
                self.raw += data
                self.got.notify_all()
            *commands, pending = (pending + data).split(b"%")
            for command in commands:
                self._answer(command.decode())

    def _answer(self, text: str) -> None:
        word = text.split(" ", maxsplit=1)[0]
        answer = self.answers.get(text, self.answers.get(word, lines(f"e-[Unknown command: {word}]")))
        data = answer(text) if callable(answer) else answer
        with self.got:
            self.heard.append(text)
            self.got.notify_all()
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                select.select([], [self._master], [], 20)
