"""A virtual instrument's USB serial port: a pseudo-terminal under a name of its own, bytes in both directions, no messages.

A system without pseudo-terminals can import this, not serve it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

READ = 4096


class SerialServer:
    """`start` before use, `close` after it.

    received: told what the host has sent. The port's name is a link to a pseudo-terminal. While the instrument hangs for those that have
    it open, the name leads to a new one, so that whoever opens it then is served.
    """

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self._lines: list[_Line] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._cut = False
        self._held: list[tuple[_Line, bytes]] = []

    @property
    def resource(self) -> str:
        """The port's name, as a driver opens it."""
        assert self._folder is not None, "start comes first"
        return str(Path(self._folder.name) / "ttyACM")

    def start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="labd-serial-")
        self._open_line()

    def close(self) -> None:
        for line in self._lines:
            line.close()
        self._lines.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def hang(self, on: bool) -> None:  # noqa: FBT001 - reads as `hang(True)` on the persona protocol
        """Sessions that exist now are neither heard nor answered until `hang(False)`; new ones are."""
        for line in self._lines:
            line.heard = not on
        if on:
            self._open_line()

    def cut(self, on: bool) -> None:  # noqa: FBT001 - reads as `cut(True)` on the persona protocol
        """Nothing passes in either direction; what was sent arrives when the cable is whole again."""
        self._cut = on
        if not on:
            held, self._held = self._held, []
            for line, data in held:
                self._heard(line, data)
            for line in self._lines:
                line.flush()

    def send(self, data: bytes) -> None:
        """To whoever opened the port last."""
        line = self._lines[-1]
        line.unsent += data
        if not self._cut:
            line.flush()

    def unsent(self) -> int:
        """Bytes that the host's side has no room for: it does not read."""
        return len(self._lines[-1].unsent) if self._lines else 0

    def drop_unsent(self) -> None:
        self._lines[-1].unsent.clear()

    def _open_line(self) -> None:
        assert self._folder is not None, "start comes first"
        self._lines.append(_Line(self._heard))
        fresh = Path(self._folder.name) / "new"
        fresh.symlink_to(self._lines[-1].path)
        fresh.replace(self.resource)

    def _heard(self, line: _Line, data: bytes) -> None:
        if self._cut:
            self._held.append((line, data))
        elif line.heard:
            self._received(data)


class _Line:
    """One pseudo-terminal. unsent: what waits for room on the host's side (the persona bounds it)."""

    def __init__(self, received: Callable[[_Line, bytes], None]) -> None:
        import tty  # POSIX only

        self._received = received
        self.heard = True
        self.unsent = bytearray()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        os.set_blocking(self._master, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._read)

    def close(self) -> None:
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        os.close(self._master)
        os.close(self._slave)

    def flush(self) -> None:
        try:
            while self.unsent:
                del self.unsent[: os.write(self._master, self.unsent)]
            self._loop.remove_writer(self._master)
        except BlockingIOError:
            self._loop.add_writer(self._master, self.flush)

    def _read(self) -> None:
        try:
            data = os.read(self._master, READ)
        except OSError:
            return
        self._received(self, data)
