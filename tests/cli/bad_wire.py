"""A wire to an instrument that misbehaves: a TCP relay that swallows commands or is cut."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BadWire:
    """Relays lines to an instrument. `swallow`: commands containing this text never arrive. `rewrite`: what stands in them for what.

    `cut`: sessions end, new ones work. `cut_at`: a text, and the how many-th command with it is not sent but ends the sessions. `away`: so
    many new sessions end at once. `forge`: what stands in answers for what. `heard`: every command that arrived.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.swallow: bytes | None = None
        self.swallowed = 0
        self.rewrite: tuple[re.Pattern[bytes], bytes] | None = None
        self.cut_at: tuple[bytes, int] | None = None
        self.away = 0
        self.forge: tuple[bytes, bytes] | None = None
        self.heard: list[bytes] = []

    @property
    def resource(self) -> str:
        return f"TCPIP::127.0.0.1::{self._listener.getsockname()[1]}::SOCKET"

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed: the end
            while True:
                here, _ = self._listener.accept()
                if self.away:
                    self.away -= 1
                    here.close()
                    continue
                there = socket.create_connection(self._target)
                self._ends += [here, there]
                self._start(self._commands, here, there)
                self._start(self._answers, there, here)

    def cut(self) -> None:
        """Everything that is connected now, at once, and nothing that connects because of it."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, work: object, source: socket.socket, sink: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(source, sink), daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _commands(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source, source.makefile("rb") as lines:
            for line in lines:
                if self._cuts(line):
                    self.cut()
                    return
                if self.swallow is not None and self.swallow in line:
                    self.swallowed += 1
                else:
                    self.heard.append(line)
                    sink.sendall(line if self.rewrite is None else self.rewrite[0].sub(self.rewrite[1], line))
            sink.shutdown(socket.SHUT_RDWR)

    def _cuts(self, line: bytes) -> bool:
        if self.cut_at is None or self.cut_at[0] not in line:
            return False
        text, left = self.cut_at
        self.cut_at = (text, left - 1) if left > 1 else None
        return left <= 1

    def _answers(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                sink.sendall(data if self.forge is None else data.replace(*self.forge))
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def bad_wire(resource: str) -> Iterator[BadWire]:
    """A relay in front of a `TCPIP::HOST::PORT::SOCKET` resource."""
    _, host, port, _ = resource.split("::")
    wire = BadWire((host, int(port)))
    server = threading.Thread(target=wire.serve, daemon=True)
    server.start()
    try:
        yield wire
    finally:
        wire.close()
        server.join(timeout=5)
