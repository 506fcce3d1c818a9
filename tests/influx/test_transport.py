"""What goes wrong on the way to a server is in the answer, over either interface; a cut connection is told from a server that is away."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from labd.influx.answers import Answer, Verdict
from labd.influx.transport import V1, Server
from labd.influx.transport_v2 import V2

BODY = b"power n=1i 1\n" * 80_000  # just under `sender.MOST_BYTES`


class Cutting:
    """Reads so many bytes of a request, says what it is given, and ends the connection; reset: with RST in place of FIN."""

    def __init__(self, read: int, says: bytes = b"", *, reset: bool = False) -> None:
        self.read, self.says, self.reset = read, says, reset

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(self.read)
        except asyncio.IncompleteReadError:  # given up again before anything came over it
            writer.close()
            return
        writer.write(self.says)
        if self.reset:
            one: socket.socket = writer.get_extra_info("socket")
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


@asynccontextmanager
async def serving(served: Cutting) -> AsyncIterator[str]:
    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(params=[V1, V2])
def kind(request: pytest.FixtureRequest) -> type[V1] | type[V2]:
    found: type[V1] | type[V2] = request.param
    return found


async def answered(kind: type[V1] | type[V2], url: str, body: bytes = BODY) -> Answer:
    async with kind(Server(url, "labd", token="t", timeout_s=30.0)) as transport:
        return await transport.write(body, zipped=False)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_that_is_cut_in_mid_body_is_a_reset(kind: type[V1] | type[V2], *, reset: bool) -> None:
    async with serving(Cutting(100_000, reset=reset)) as url:
        assert (await answered(kind, url)).verdict is Verdict.RESET


async def test_a_connection_that_ends_in_place_of_an_answer_is_a_reset(kind: type[V1] | type[V2]) -> None:
    async with serving(Cutting(100)) as url:
        assert (await answered(kind, url, b"power n=1i 1\n")).verdict is Verdict.RESET


async def test_a_server_that_nobody_hears_is_away(kind: type[V1] | type[V2]) -> None:
    async with serving(Cutting(1)) as url:
        pass
    assert (await answered(kind, url)).verdict is Verdict.AWAY


async def test_a_server_that_takes_too_long_is_asked_for_less(kind: type[V1] | type[V2]) -> None:
    async def sleepy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(sleepy, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with kind(Server(url, "labd", timeout_s=0.3)) as transport:
            assert await transport.write(BODY, zipped=False) == Answer(Verdict.RESET, "no answer within 0.3 s")


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"400 Bad Request"])
async def test_what_is_no_influxdb_takes_nothing(kind: type[V1] | type[V2], status: bytes) -> None:
    """A portal, a router's page, a TLS server that is spoken to without: none of it is a point that arrived, or one to be thrown away."""
    said = b"<html>Client sent an HTTP request to an HTTPS server</html>"
    head = b"HTTP/1.1 %s\r\nLocation: /login\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % (status, len(said))
    async with serving(Cutting(100, head + said)) as url:
        assert (await answered(kind, url, b"power n=1i 1\n")).verdict is Verdict.SETTINGS


async def test_no_answer_shows_a_token_that_no_header_can_carry(kind: type[V1] | type[V2]) -> None:
    async with serving(Cutting(100)) as url, kind(Server(url, "labd", token="s3cret\n", timeout_s=5.0)) as transport:
        answer = await transport.write(b"power n=1i 1\n", zipped=False)
    assert answer.verdict is Verdict.SETTINGS
    assert "s3cret" not in answer.text


async def test_the_servers_words_are_taken_out_of_its_answer(kind: type[V1] | type[V2]) -> None:
    said = b'{"message":"try later"}'
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said)
    async with serving(Cutting(100, head + said)) as url:
        assert await answered(kind, url, b"power n=1i 1\n") == Answer(Verdict.AWAY, "503 try later", after_s=7.0)
