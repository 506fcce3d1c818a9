"""An instrument in a process of its own that does nothing but send definite length blocks: `BLOCK? BYTES`, `*IDN?`."""

from __future__ import annotations

import functools
import socket
import sys

import numpy as np

SEED = 7


@functools.cache
def payload(size: int) -> bytes:
    """`size` bytes of float32 readings around 10 mA: as full of line feeds as measured data is."""
    return np.random.default_rng(SEED).normal(0.01, 1e-3, size // 4).astype("<f4").tobytes()


@functools.cache
def message(size: int) -> bytes:
    """IEEE 488.2-1992, 8.7.9: # and the number of digits, the length, the data; then the line feed that ends a message."""
    digits = str(size)
    return f"#{len(digits)}{digits}".encode() + payload(size) + b"\n"


def serve() -> None:
    """Print the port, then answer one session after the other until standard input ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        for _ in sys.stdin:  # a line a session
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as commands:
                for command in commands:
                    connection.sendall(_answer(command.split()))


def _answer(words: list[bytes]) -> bytes:
    return message(int(words[1])) if words[0] == b"BLOCK?" else b"LABD,BLOCKS,0,1\n"


if __name__ == "__main__":
    serve()
