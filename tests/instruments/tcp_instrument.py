"""A TCP server that answers byte for byte what a test says: the far end of a real socket."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Reply = bytes | Sequence[bytes] | None  # a sequence is sent piece by piece, None is silence

IDENTITY = b"ACME,MODEL 1,42,1.0\n"


@dataclass
class Conversation:
    """What the instrument has heard, and where it listens."""

    resource: str
    heard: list[str] = field(default_factory=list)
    identity: bytes = IDENTITY
    open_sockets: list[socket.socket] = field(default_factory=list)

    def reset(self) -> None:
        """Break every connection off as an instrument that loses power does; a new one is taken as before."""
        ends = list(self.open_sockets)
        self.open_sockets.clear()
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def tcp_instrument(answer: Callable[[str], Reply]) -> Iterator[Conversation]:
    """Serves any number of sessions, one after the other or at once, until the block ends. `*IDN?` is answered by itself."""
    listener = socket.create_server(("127.0.0.1", 0))
    talk = Conversation(f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET")

    def session(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                command = line.decode().strip()
                talk.heard.append(command)
                send(connection, answer(command) if command != "*IDN?" else talk.identity)

    def send(connection: socket.socket, reply: Reply) -> None:
        pieces = [reply] if isinstance(reply, bytes) else reply or []
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            talk.open_sockets.append(connection)
            threading.Thread(target=run, args=(connection,), daemon=True, name="tcp instrument session").start()

    def run(connection: socket.socket) -> None:
        try:
            session(connection)
        except OSError:
            return

    acceptor = threading.Thread(target=accept, daemon=True, name="tcp instrument")
    acceptor.start()
    try:
        yield talk
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in talk.open_sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        acceptor.join(5.0)
