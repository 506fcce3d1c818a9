"""The serial line: what the host writes and reads on the pseudo-terminal, at the pace of the wire in board time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from labd_virtual.firmware_process import Op, Request
from tests.virtual.scripted_firmware import Script, wait
from tests.virtual.test_board import MS, pass_until, powered, sender

pytestmark = pytest.mark.filterwarnings("error")
BYTE_NS = 10 / 115200 * 1e9


@asynccontextmanager
async def terminal(path: str) -> AsyncIterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


async def read_exactly(fd: int, count: int) -> bytes:
    got = b""
    async with asyncio.timeout(10):
        while len(got) < count:
            try:
                got += os.read(fd, count - len(got))
            except BlockingIOError:
                await asyncio.sleep(0)
    return got


async def test_the_host_reads_what_the_board_sends_unchanged() -> None:
    payload = bytes(range(256))
    async with powered(sender(payload)) as (bench, _), terminal(bench.board.uart.path) as fd:
        assert await read_exactly(fd, 256) == payload


def echo() -> Script:
    while True:
        yield wait(1, 1, 7)
        got = yield Request(Op.UART_RX, 0, 0, 100)
        yield Request(Op.UART_TX, 0, got.value, 0, got.payload)


async def test_bytes_to_an_idle_board_make_time_pass_and_come_at_the_end_of_their_stop_bits() -> None:
    async with powered(echo) as (bench, firmware), terminal(bench.board.uart.path) as fd:
        await pass_until(bench, 10 * MS)
        os.write(fd, b"abc")
        assert await read_exactly(fd, 3) == b"abc"
        woken = [r.t_ns for r in firmware.replies if r.events == 1]
        rate = bench.board.silicon.clock_rate
    assert [t / rate for t in woken] == pytest.approx([10 * MS + k * BYTE_NS for k in (1, 2, 3)], abs=2)


async def test_the_byte_that_wakes_a_sleeping_board_is_lost_and_so_are_those_before_its_clock_runs() -> None:
    async with powered(sender(b"x")) as (bench, firmware), terminal(bench.board.uart.path) as fd:
        await pass_until(bench, 10 * MS)
        os.write(fd, bytes(range(30)))
        got, lost = b"", 0
        async with asyncio.timeout(10):
            while lost + len(got) < 30:  # time passes with them, not before the pseudo-terminal has handed them over
                await asyncio.sleep(0)
                got = b"".join(r.payload for r in firmware.replies)
                lost = bench.board.look()["bytes_lost"]
    during_start = int(1.2e6 // BYTE_NS)
    assert lost == 1 + during_start
    assert got == bytes(range(1 + during_start, 30))


async def test_power_lost_in_the_middle_of_a_line_leaves_its_first_bytes() -> None:
    async with powered(sender(b"0123456789")) as (bench, _), terminal(bench.board.uart.path) as fd:
        async with asyncio.timeout(10):
            while not bench.board.silicon.counts.boots:  # noqa: ASYNC110 - the bench tells nobody
                await asyncio.sleep(0)
        boot = next(r["t_ns"] for r in bench.truth if r["kind"] == "power")
        at = boot + 2 * MS + round(4.5 * BYTE_NS)
        bench.clock.call_at(at, lambda: bench.board.supply.drive(emf_v=0.0, resistance_ohm=0.001, clamp_a=1000.0, connected=True))
        await pass_until(bench, at + 20 * MS)
        assert await read_exactly(fd, 4) == b"0123"
        with pytest.raises(BlockingIOError):
            os.read(fd, 10)


async def test_a_driven_line_counts_against_an_unpowered_board() -> None:
    async with powered(echo) as (bench, _), terminal(bench.board.uart.path) as fd:
        bench.board.supply.drive(emf_v=0.0, resistance_ohm=1.0, clamp_a=1.0, connected=True)
        await pass_until(bench, 10 * MS)
        assert bench.board.look()["worst_io_over_supply_v"] == 0.0
        os.write(fd, b"a")
        async with asyncio.timeout(10):
            while bench.board.look()["worst_io_over_supply_v"] == 0.0:  # noqa: ASYNC110 - the bench tells nobody
                await asyncio.sleep(0)
        assert bench.board.look()["worst_io_over_supply_v"] == pytest.approx(3.0, abs=0.1)
