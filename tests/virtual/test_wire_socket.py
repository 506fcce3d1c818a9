"""The socket: several sessions, line endings, binary input, hanging."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.scpi_message import definite_block
from labd_virtual.scpi_params import BlockData
from labd_virtual.wire import Clients, Device
from labd_virtual.wire_socket import SocketServer
from tests.virtual.persona_fakes import with_visa


class Served:
    def __init__(self, clients: Clients = "many") -> None:
        self.scpi = Interpreter("A,B,C,D")
        self.gate, self.entered = asyncio.Event(), asyncio.Event()
        self.empty = asyncio.Event()
        self.blocks: list[bytes] = []
        self.scpi.tree.query("SLOW", self._slow)
        self.scpi.tree.add("DATA", lambda c: self.blocks.append(c[0]), BlockData())
        device = Device(
            self.scpi.execute,
            unterminated=lambda: self.scpi.fail(ScpiError(-420)),
            interrupted=lambda: self.scpi.fail(ScpiError(-410)),
            status=self.scpi.status.value,
            trigger=self.scpi.trigger,
            sessions=self._count,
        )
        self.server = SocketServer(device, clients=clients)

    def _count(self, sessions: int) -> None:
        if sessions == 0:
            self.empty.set()

    async def _slow(self, _: object) -> str:
        self.entered.set()
        await self.gate.wait()
        return "late"


@asynccontextmanager
async def served(clients: Clients = "many") -> AsyncIterator[tuple[Served, int]]:
    instrument = Served(clients)
    port = await instrument.server.start()
    try:
        yield instrument, port
    finally:
        await instrument.server.close()


class Client:
    """A plain socket, to see bytes rather than lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readline(), 5)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def test_stock_pyvisa_gets_its_answer() -> None:
    async with served() as (instrument, _):
        assert await with_visa(instrument.server.resource, lambda r: r.query("*IDN?")) == "A,B,C,D"


async def test_carriage_returns_and_several_messages_in_one_packet_are_taken() -> None:
    async with served() as (_, port):
        client = await Client.to(port)
        assert await client.ask(b"*ESE 4\r\n*ESE?\r\n") == b"4\n"
        await client.close()


async def test_a_block_with_line_feeds_arrives_whole_in_any_packets() -> None:
    async with served() as (instrument, port):
        client = await Client.to(port)
        message = b"DATA " + definite_block(b'\n\x00;\n"') + b"\n*OPC?\n"
        for k in range(len(message) - 1):
            client.writer.write(message[k : k + 1])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.ask(message[-1:]) == b"1\n"
        assert instrument.blocks == [b'\n\x00;\n"']
        await client.close()


async def test_a_session_that_waits_does_not_hold_up_another() -> None:
    async with served() as (instrument, port):
        waiting, other = await Client.to(port), await Client.to(port)
        answer = asyncio.create_task(waiting.ask(b"SLOW?\n"))
        assert await other.ask(b"*IDN?\n") == b"A,B,C,D\n"
        assert not answer.done()
        instrument.gate.set()
        assert await answer == b"late\n"
        await waiting.close()
        await other.close()


async def test_only_sessions_that_exist_when_it_hangs_do_hang() -> None:
    async with served() as (instrument, port):
        old = await Client.to(port)
        await old.ask(b"*OPC?\n")
        instrument.server.hang(True)
        stuck = asyncio.create_task(old.ask(b"*ESE 9;*ESE?\n"))
        new = await Client.to(port)
        assert await new.ask(b"*ESE?\n") == b"0\n"
        assert not stuck.done()
        instrument.server.hang(False)
        assert await stuck == b"9\n"
        await old.close()
        await new.close()


async def test_a_query_cut_off_by_the_client_is_reported_as_unterminated() -> None:
    async with served() as (instrument, port):
        client = await Client.to(port)
        await client.ask(b"*OPC?\n")
        client.writer.write(b"*IDN?")
        await client.close()
        await asyncio.wait_for(instrument.empty.wait(), 5)
        assert instrument.scpi.errors.pop()[0] == -420


async def test_closing_ends_a_session_in_the_middle_of_a_query() -> None:
    async with served() as (instrument, port):
        client = await Client.to(port)
        client.writer.write(b"SLOW?\n")
        await asyncio.wait_for(instrument.entered.wait(), 5)
        await instrument.server.close()
        assert await asyncio.wait_for(client.reader.read(), 5) == b""
        await client.close()


async def test_an_instrument_for_one_client_serves_a_second_one_when_the_first_is_gone() -> None:
    async with served("one") as (_, port):
        first, second = await Client.to(port), await Client.to(port)
        assert await first.ask(b"*IDN?\n") == b"A,B,C,D\n"
        waiting = asyncio.create_task(second.ask(b"*IDN?\n"))
        assert await first.ask(b"*OPC?\n") == b"1\n"
        assert not waiting.done()
        await first.close()
        assert await waiting == b"A,B,C,D\n"
        await second.close()


async def test_an_instrument_for_one_client_may_close_a_second_one_at_once() -> None:
    async with served("one_refusing") as (instrument, port):
        first, second = await Client.to(port), await Client.to(port)
        assert await first.ask(b"*IDN?\n") == b"A,B,C,D\n"
        assert await second.ask(b"") == b""
        await first.close()
        await asyncio.wait_for(instrument.empty.wait(), 5)
        third = await Client.to(port)
        assert await third.ask(b"*IDN?\n") == b"A,B,C,D\n"
        for client in (second, third):
            await client.close()


async def test_a_cut_network_carries_nothing_and_what_was_sent_arrives_afterwards() -> None:
    async with served() as (instrument, port):
        before = await Client.to(port)
        slow = asyncio.create_task(before.ask(b"SLOW?\n"))
        await asyncio.wait_for(instrument.entered.wait(), 5)
        instrument.server.cut(True)
        instrument.gate.set()  # its reply is ready and stays where it is
        during = await Client.to(port)
        asked = asyncio.create_task(during.ask(b"*IDN?\n"))
        await asyncio.sleep(0.05)
        assert not slow.done()
        assert not asked.done()
        instrument.server.cut(False)
        assert await slow == b"late\n"
        assert await asked == b"A,B,C,D\n"
        for client in (before, during):
            await client.close()
