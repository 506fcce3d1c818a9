"""A serial line between labd and a board that falls silent: a pseudo-terminal in between that stops passing bytes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager


class MuteLine:
    """Passes bytes both ways between `port`, which it makes, and the board's own. What is sent while it is mute never arrives."""

    def __init__(self, board: str) -> None:
        self._board = os.open(board, os.O_RDWR | os.O_NOCTTY)
        self._here, self._labds = os.openpty()
        tty.setraw(self._labds)
        self.port = os.ttyname(self._labds)
        self._mute = threading.Event()
        self._swallowed = 0
        self._changed = threading.Condition()
        self._waking, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._pass, name="mute line", daemon=True)
        self._thread.start()

    def mute(self) -> None:
        self._mute.set()

    def heal(self) -> None:
        self._mute.clear()

    def until_swallowed(self, count: int, *, within_s: float) -> bool:
        """Wait until so many bytes have gone nowhere."""
        with self._changed:
            return self._changed.wait_for(lambda: self._swallowed >= count, within_s)

    def close(self) -> None:
        os.close(self._wake)
        self._thread.join()
        for end in (self._board, self._here, self._labds, self._waking):
            os.close(end)

    def _pass(self) -> None:
        other = {self._board: self._here, self._here: self._board}
        while self._waking not in (ready := select.select([*other, self._waking], [], [])[0]):
            for end in ready:
                data = os.read(end, 65536)
                if self._mute.is_set():
                    with self._changed:
                        self._swallowed += len(data)
                        self._changed.notify_all()
                else:
                    os.write(other[end], data)


@contextmanager
def mute_line(board: str) -> Iterator[MuteLine]:
    """board: path of the board's own port."""
    line = MuteLine(board)
    with contextlib.closing(line):
        yield line
