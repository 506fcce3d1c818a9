"""The virtual PPK2 on its pseudo-terminal, with plain reads and writes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from labd_virtual.contract import Edge
from labd_virtual.instruments import nordic_ppk2
from labd_virtual.instruments.nordic_ppk2 import PPK2
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
EXACT = rows({"current": tuple((r, 0.0, 0.0) for r in (50e-6, 500e-6, 5e-3, 50e-3, 1.0))})
ON = b"\x11\x02\x0d\x0c\xe4\x0c\x01"  # source mode, 3300 mV, on


class Port:
    """One session of a host."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        os.write(self._fd, data)

    async def exactly(self, count: int) -> bytes:
        got = b""
        async with asyncio.timeout(10):
            while len(got) < count:
                try:
                    got += os.read(self._fd, count - len(got))
                except BlockingIOError:
                    await asyncio.sleep(0.001)
        return got

    async def metadata(self) -> dict[str, str]:
        self.write(b"\x19")
        text = b""
        while not text.endswith(b"END\n"):
            text += await self.exactly(1)
        text = text[text.index(b"Calibrated") :]  # behind samples that were under way
        return dict(line.split(": ") for line in text.decode().splitlines()[:-1])

    async def words(self, count: int) -> Any:
        return np.frombuffer(await self.exactly(4 * count), "<u4")

    def close(self) -> None:
        os.close(self._fd)


@asynccontextmanager
async def served(bench: Bench, **changes: Any) -> AsyncIterator[tuple[PPK2, Port]]:
    persona = PPK2(bench.setup(accuracy=EXACT, **changes))
    port = Port(await persona.serve())
    try:
        yield persona, port
    finally:
        port.close()
        await persona.close()


def counters(words: Any) -> Any:
    return words >> 18 & 63


async def test_metadata_are_lines_that_follow_what_was_set() -> None:
    async with served(Bench()) as (_, port):
        said = await port.metadata()
        assert list(said)[:2] == ["Calibrated", "R0"]
        assert said["O0"] == "112.9420"
        port.write(b"\x11\x01\x0d\x03\x20")
        said = await port.metadata()
        assert (said["mode"], said["VDD"]) == ("1", "800")


async def test_a_voltage_out_of_range_and_an_unknown_byte_are_passed_over_in_silence() -> None:
    async with served(Bench()) as (_, port):
        port.write(ON)
        for millivolts in (0, 799, 5001, 65535):
            port.write(b"\x0d" + millivolts.to_bytes(2, "big"))
        port.write(b"\x7f\xf0")
        assert (await port.metadata())["VDD"] == "3300"


async def test_it_feeds_the_node_in_source_mode_only() -> None:
    bench = Bench()
    async with served(bench) as (persona, port):
        port.write(ON)
        await port.metadata()
        assert persona.output_on()
        assert bench.node.drives[-1][1:] == pytest.approx((3.3, 0.1, 1.0, True))
        port.write(b"\x11\x01")
        await port.metadata()
        assert not persona.output_on()
        assert not bench.node.drives[-1][4]


async def test_a_command_may_come_in_pieces() -> None:
    async with served(Bench()) as (_, port):
        for byte in ON:
            port.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await port.metadata())["VDD"] == "3300"


async def test_samples_count_and_carry_range_and_lines() -> None:
    bench = Bench(load=((0, 10e-6), (10 * MS, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(5 * MS, 1)]
    async with served(bench, wires={"d3": "MARK"}) as (_, port):
        port.write(ON + b"\x06")
        words = await port.words(1800)
        assert np.all(np.diff(counters(words)) % 64 == 1)
        assert set(np.unique(words >> 14 & 7)) == {0, 3}, "each sample on the lowest range that holds it"
        assert set(np.unique(words >> 24)) == {0, 8}
        port.write(b"\x07")


async def test_a_stop_ends_the_stream_and_the_counter_goes_on_with_the_next() -> None:
    bench = Bench()
    async with served(bench) as (_, port):
        port.write(ON + b"\x06")
        last = counters(await port.words(2000))[-1]
        port.write(b"\x07")
        await port.metadata()
        port.write(b"\x06")
        assert counters(await port.words(10))[0] == (last + 1) % 64


async def test_a_host_that_does_not_read_loses_the_newest() -> None:
    bench = Bench()
    async with served(bench) as (persona, port):
        port.write(ON + b"\x06")
        await port.words(100)
        bench.clock.pass_s(3.0)
        async with asyncio.timeout(10):
            while persona._due() > 10_000:  # noqa: ASYNC110 - the stream tells nobody; the last 0.1 s waits with stepped time
                await asyncio.sleep(0.001)
        assert persona._port.unsent() <= 100_000
        kept = counters(await port.words(20_000))
        assert np.all(np.diff(kept) % 64 == 1), "the oldest are there, without a gap"


async def test_stepped_time_does_not_run_away_from_a_stream() -> None:
    bench = Bench()
    async with served(bench) as (_, port):
        port.write(ON + b"\x06")
        await port.words(100)
        assert bench.clock.limits["smu.stream"] <= bench.clock.now_ns() + 100 * MS
        port.write(b"\x07")
        await port.metadata()
        assert not bench.clock.limits


async def test_those_that_have_it_open_hang_and_a_new_session_works() -> None:
    async with served(Bench()) as (persona, port):
        persona.hang(True)
        port.write(ON)
        fresh = Port(persona._port.resource)
        assert (await fresh.metadata())["VDD"] == "3000"
        fresh.close()
        assert not persona.output_on()


async def test_a_cut_cable_carries_nothing_and_then_what_was_sent() -> None:
    async with served(Bench()) as (persona, port):
        persona.cut(True)
        port.write(ON)
        await asyncio.sleep(0.005)
        assert not persona.output_on()
        persona.cut(False)
        assert (await port.metadata())["VDD"] == "3300"


@pytest.mark.parametrize(("trap", "lost"), [("lost", 5), ("lost_64", 64), ("lost_many", 640)])
async def test_lost_samples_leave_what_the_counter_shows(trap: str, lost: int) -> None:
    async with served(Bench(), trap=trap) as (_, port):
        port.write(ON + b"\x06")
        steps = np.diff(counters(await port.words(1100))) % 64
        assert steps[999] == (1 + lost) % 64
        assert np.count_nonzero(steps != 1) == (lost % 64 != 0)


async def test_traps_of_the_metadata() -> None:
    for trap, (key, value) in {"uncalibrated": ("O0", "0.0000"), "cut_metadata": ("O0", None), "nan_metadata": ("GI4", "-nan")}.items():
        async with served(Bench(), trap=trap) as (_, port):
            said = await port.metadata()
            assert said.get(key) == value
            assert said["Calibrated"] == "0"


async def test_traps_of_the_settings() -> None:
    async with served(Bench(), trap="other_mode") as (persona, port):
        port.write(ON)
        assert (await port.metadata())["mode"] == "1"
        assert not persona.output_on()
    async with served(Bench(), trap="other_voltage") as (_, port):
        port.write(ON)
        assert (await port.metadata())["VDD"] == "3000"


async def test_traps_of_the_stream() -> None:
    async with served(Bench(), trap="range_code") as (_, port):
        port.write(ON + b"\x06")
        assert np.flatnonzero((await port.words(1100)) >> 14 & 7 > 4).tolist() == [1000]
    async with served(Bench(), trap="half_sample") as (_, port):
        port.write(ON + b"\x06")
        assert (await port.exactly(2)) == b"\x5a\xa5"
        assert np.all(np.diff(counters(await port.words(100))) % 64 == 1)
    async with served(Bench(), trap="endless") as (_, port):
        port.write(b"\x07")
        await port.words(20_000)


def test_an_unknown_trap_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no trap 'rust'"):
        nordic_ppk2.create(Bench().setup(trap="rust"))
