"""Reading a definite length block through labd's VISA link: against the bare socket (limit) and against stock PyVISA (peer)."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyvisa
from numpy.typing import NDArray
from pyvisa.resources import MessageBasedResource

from benchmarks.ratios.block_server import message, payload
from benchmarks.ratios.figures import Ratio, compare
from labd_instruments.links.visa import VisaLink, open_link

SIZES = {"4 kB": (4_000, 40), "400 kB": (400_000, 4), "20 MB": (20_000_000, 1)}  # bytes, exchanges a timing
TIMEOUT_S = 30.0
LIMIT, PEER = ("socket.recv_into", "limit"), ("PyVISA query_binary_values", "peer")
LEAST = {"400 kB": {PEER: 5.0}, "20 MB": {LIMIT: 0.4, PEER: 20.0}}
QUESTIONS = 200


class Server:
    """Where the block server listens; it accepts as many sessions as were announced."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._announce = process.stdin
        self.port = int(process.stdout.readline())

    def expect_session(self) -> None:
        self._announce.write("\n")
        self._announce.flush()


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A process of its own, so that sending does not share an interpreter with receiving."""
    command = [sys.executable, "-m", "benchmarks.ratios.block_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()


def block_reads() -> list[Ratio]:
    """Each way has its own server, which speaks to one session at a time."""
    ratios: list[Ratio] = []
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(_socket(stack.enter_context(server())))
        link = stack.enter_context(_link(stack.enter_context(server())))
        stock = stack.enter_context(_stock(stack.enter_context(server())))
        for name, (size, exchanges) in SIZES.items():
            into = bytearray(len(message(size)))

            def own(size: int = size) -> NDArray[Any]:
                return link.query_definite_block(f"BLOCK? {size}", "<f4")

            def peer(size: int = size) -> Any:
                return stock.query_binary_values(f"BLOCK? {size}", datatype="f", is_big_endian=False, container=np.ndarray)

            def limit(size: int = size, into: bytearray = into) -> None:
                _read_bare(bare, size, into)

            _same_data(own(), peer(), size)
            ratios += compare("read a definite block", name, own, {LIMIT: limit, PEER: peer}, calls=exchanges, least=LEAST.get(name))
        ratios += _round_trips(bare, link, stock)
    return ratios


def _round_trips(bare: socket.socket, link: VisaLink, stock: MessageBasedResource) -> list[Ratio]:
    """A short question and its answer: what every setting that is read back costs."""

    def limit() -> None:
        bare.sendall(b"*IDN?\n")
        while not bare.recv(4096).endswith(b"\n"):
            pass

    others = {("socket.recv", "limit"): limit, ("PyVISA query", "peer"): lambda: stock.query("*IDN?")}
    return compare("ask a short question", "*IDN?", lambda: link.query("*IDN?"), others, calls=QUESTIONS)


def _same_data(own: NDArray[Any], peer: Any, size: int) -> None:
    """A fast reader of something else would win every race."""
    sent = np.frombuffer(payload(size), "<f4")
    assert np.array_equal(own, sent), "labd's link read something else"
    assert np.array_equal(peer, sent), "stock PyVISA read something else"


def _read_bare(connection: socket.socket, size: int, into: bytearray) -> None:
    connection.sendall(f"BLOCK? {size}\n".encode())
    view, filled = memoryview(into), 0
    while filled < len(into):
        filled += connection.recv_into(view[filled:])


def _resource(there: Server) -> str:
    there.expect_session()
    return f"TCPIP::127.0.0.1::{there.port}::SOCKET"


@contextlib.contextmanager
def _socket(there: Server) -> Iterator[socket.socket]:
    there.expect_session()
    with socket.create_connection(("127.0.0.1", there.port), timeout=TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


@contextlib.contextmanager
def _link(there: Server) -> Iterator[VisaLink]:
    link = open_link(_resource(there), TIMEOUT_S)
    with contextlib.closing(link):
        yield link


@contextlib.contextmanager
def _stock(there: Server) -> Iterator[MessageBasedResource]:
    """As its documentation opens a SOCKET: line feed as termination, everything else at its default."""
    opened = pyvisa.ResourceManager("@py").open_resource(
        _resource(there), read_termination="\n", write_termination="\n", timeout=TIMEOUT_S * 1000
    )
    assert isinstance(opened, MessageBasedResource)
    with contextlib.closing(opened):
        yield opened
