"""The virtual LPM01A on its pseudo-terminal, with plain reads and writes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from labd_virtual.instruments import st_lpm01a
from labd_virtual.instruments.st_lpm01a import LPM01A
from labd_virtual.instruments.st_lpm01a_model import binary, number, text
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
EXACT = rows({"current": ((0.05, 0.0, 0.0),), "voltage": ((3.3, 0.0, 0.0),)})
READY = ("htc", "format bin_hexa", "freq 1k", "acqtime inf", "pwr on")


class Port:
    """One session of a host."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def write(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    async def exactly(self, count: int) -> bytes:
        got = b""
        async with asyncio.timeout(10):
            while len(got) < count:
                try:
                    got += os.read(self._fd, count - len(got))
                except BlockingIOError:
                    await asyncio.sleep(0.001)
        return got

    async def until(self, end: bytes) -> bytes:
        got = b""
        while not got.endswith(end):
            got += await self.exactly(1)
        return got

    async def ask(self, line: str) -> str:
        """The line that answers, after an empty one and before another."""
        self.write(line)
        assert await self.exactly(2) == b"\r\n"
        said = await self.until(b"\r\n\r\n")
        if b"> error" in said:
            await self.until(b"not taken\r\n\r\n")
        return said.decode().strip()

    async def ready(self) -> None:
        for line in READY:
            assert await self.ask(line) == f"PowerShield > ack {line}"

    def close(self) -> None:
        os.close(self._fd)


@asynccontextmanager
async def served(bench: Bench, **changes: Any) -> AsyncIterator[tuple[LPM01A, Port]]:
    persona = LPM01A(bench.setup(accuracy=EXACT, **changes))
    port = Port(await persona.serve())
    try:
        yield persona, port
    finally:
        port.close()
        await persona.close()


async def started(port: Port) -> None:
    port.write("start")
    assert await port.until(b"ack start\r\n\r\n") == b"\r\nPowerShield > ack start\r\n\r\n"


# --- what it writes


def test_the_examples_of_the_help_text() -> None:
    assert text(np.array([640.9e-6])) == b"6409-07\r\n"
    (word,) = np.frombuffer(binary(np.array([640.9e-6])), ">u2")
    assert (word >> 12, word & 0xFFF) == (5, 672), "52A0 (hex)"


@pytest.mark.parametrize("amps", [0.0, 12e-9, 1e-6, 256e-6, 3.9e-3, 10e-3, 49.99e-3])
def test_every_current_has_its_digits(amps: float) -> None:
    (word,) = np.frombuffer(binary(np.array([amps])), ">u2")
    assert (word & 0xFFF) * 16.0 ** -int(word >> 12) == pytest.approx(amps, rel=2e-3, abs=1e-12)
    line = text(np.array([amps])).decode().strip()
    assert float(f"{line[:4]}e{line[4:]}") == pytest.approx(amps, rel=5e-4, abs=1e-12)


@pytest.mark.parametrize(("written", "value"), [("3300m", 3.3), ("2-3", 2e-3), ("100k", 1e5), ("10", 10.0), ("1.5", None), ("m", None)])
def test_numbers_as_its_commands_take_them(written: str, value: float | None) -> None:
    assert number(written) == (pytest.approx(value) if value is not None else None)


# --- commands


async def test_it_says_who_it_is_before_a_host_has_control_and_takes_nothing_else() -> None:
    async with served(Bench()) as (persona, port):
        assert await port.ask("powershield") == "PowerShield > ack powershield 540554545-1430736921-1900587"
        assert await port.ask("version") == "PowerShield > ack version: 1.0.7"
        assert await port.ask("pwr on") == "PowerShield > error pwr on"
        assert not persona.output_on()
        assert await port.ask("htc") == "PowerShield > ack htc"
        assert await port.ask("pwr on") == "PowerShield > ack pwr on"
        assert persona.output_on()


@pytest.mark.parametrize(
    "line",
    [
        "volt 1799m",
        "volt 3301m",
        "volt",
        "freq 3k",
        "freq 200k",
        "acqtime 50u",
        "acqtime 101",
        "acqmode fast",
        "format hexa",
        "pwr maybe",
        "gnu",
    ],
)
async def test_what_is_out_of_range_or_unknown_is_an_error(line: str) -> None:
    async with served(Bench()) as (_, port):
        await port.ask("htc")
        assert await port.ask(line) == f"PowerShield > error {line}"
        assert await port.ask("volt get") == "PowerShield > ack volt get 3300-03"


async def test_it_feeds_the_node_while_it_is_on() -> None:
    bench = Bench()
    async with served(bench) as (persona, port):
        await port.ready()
        await port.ask("volt 2500m")
        assert bench.node.drives[-1][1:] == pytest.approx((2.5, 0.5, 0.075, True))
        await port.ask("pwr off")
        assert not bench.node.drives[-1][4]
        assert not persona.output_on()
        assert await port.ask("pwr get") == "PowerShield > ack pwr get off"


async def test_text_has_an_end_above_five_kilohertz() -> None:
    async with served(Bench()) as (_, port):
        await port.ask("htc")
        for line in ("format ascii_dec", "freq 10k", "acqtime inf"):
            await port.ask(line)
        assert await port.ask("start") == "PowerShield > error start"
        await port.ask("acqtime 1")
        port.write("start")
        assert (await port.until(b"ack start")).endswith(b"ack start")


# --- acquisition


async def test_samples_come_behind_a_time_stamp_and_one_follows_each_second() -> None:
    bench = Bench(load=((0, 1e-3), (500 * MS, 20e-3)))
    async with served(bench) as (_, port):
        await port.ready()
        await started(port)
        assert await port.exactly(9) == bytes.fromhex("f0f3 00000000 00 ffff")
        bench.clock.pass_s(1.2)
        words = np.frombuffer(await port.exactly(2000), ">u2")
        current = (words & 0xFFF) * 16.0 ** -(words >> 12).astype(float)
        assert current[:500] == pytest.approx(1e-3, rel=2e-3)
        assert current[500:] == pytest.approx(20e-3, rel=2e-3)
        assert await port.exactly(9) == bytes.fromhex("f0f3 000003e8 00 ffff")
        port.write("stop")
        assert b"\xf0\xf4\xff\xff" in await port.until(b"PowerShield > Acquisition completed\r\n")
        assert not bench.clock.limits


async def test_text_has_lines_and_a_zero_byte_behind_a_time_stamp() -> None:
    bench = Bench(load=((0, 1e-3),))
    async with served(bench) as (_, port):
        await port.ready()
        await port.ask("format ascii_dec")
        await started(port)
        bench.clock.pass_s(1.1)
        said = await port.until(b"TimeStamp: 001s 000ms, buff 00%\r\n")
        lines = said.decode().split("\r\n")
        assert lines[0] == "TimeStamp: 000s 000ms, buff 00%"
        assert lines[1] == "\x001000-06"
        assert lines[2:-2] == ["1000-06"] * 999


async def test_a_short_acquisition_ends_by_itself_with_exactly_its_samples() -> None:
    bench = Bench(load=((0, 1e-3),))
    async with served(bench) as (_, port):
        await port.ready()
        await port.ask("acqtime 100m")
        await started(port)
        said = await port.until(b"Acquisition completed\r\n")
        assert said.index(b"\xf0\xf4\xff\xff") == 9 + 200


async def test_over_current_switches_it_off_and_is_told() -> None:
    bench = Bench(load=((0, 70e-3),))
    async with served(bench) as (persona, port):
        await port.ready()
        await started(port)
        bench.clock.pass_s(0.1)
        await port.until(bytes.fromhex("f0f5ffff f0f6ffff"))
        assert not persona.output_on()


async def test_stepped_time_does_not_run_away_from_a_stream() -> None:
    bench = Bench()
    async with served(bench) as (_, port):
        await port.ready()
        await started(port)
        bench.clock.pass_s(0.05)
        await port.exactly(9 + 80)
        assert bench.clock.limits["smu.stream"] <= bench.clock.now_ns() + 100 * MS
        port.write("stop")
        await port.until(b"Acquisition completed\r\n")
        assert not bench.clock.limits


async def test_those_that_have_it_open_hang_and_a_new_session_works() -> None:
    async with served(Bench()) as (persona, port):
        persona.hang(True)
        port.write("htc")
        fresh = Port(persona._port.resource)
        assert await fresh.ask("pwr get") == "PowerShield > error pwr get"
        fresh.close()


# --- traps


async def seen(trap: str, count: int = 0, *, end: bytes = b"") -> bytes:
    """So many bytes of a second and more of samples, or all up to an end."""
    bench = Bench(load=((0, 1e-3),))
    async with served(bench, trap=trap) as (_, port):
        await port.ready()
        await started(port)
        bench.clock.pass_s(1.2)
        return await (port.until(end) if end else port.exactly(count))


@pytest.mark.parametrize(
    ("trap", "shown"),
    [("overrun", b"\xf0\xf1buffer overrun\xff\xff"), ("own_end", b"\xf0\xf4\xff\xff"), ("over_current", b"\xf0\xf5\xff\xff")],
)
async def test_traps_that_say_something(trap: str, shown: bytes) -> None:
    assert (await seen(trap, end=shown)).count(b"\xff\xff") == 2, "the first time stamp and this"


async def test_traps_that_say_nothing() -> None:
    stamp = bytes.fromhex("f0f3000003e8")
    assert stamp in await seen("", 2050)
    assert (await seen("torn", 2050)).index(stamp) == 9 + 1999
    assert (await seen("overrun_in_silence", 1900)).index(stamp) == 9 + 1800
    assert stamp not in await seen("no_stamps", 2050)
    assert bytes.fromhex("f0f3 800003e8 00 ffff") in await seen("overflow_bit", 2050)
    assert bytes.fromhex("f0f3 000003e8 64 ffff") in await seen("full_buffer", 2050)


async def test_traps_of_the_settings() -> None:
    async with served(Bench(), trap="other_voltage") as (_, port):
        await port.ready()
        assert await port.ask("volt 2500m") == "PowerShield > ack volt 2500m"
        assert await port.ask("volt get") == "PowerShield > ack volt get 3300-03"
    async with served(Bench(), trap="stays_off") as (persona, port):
        await port.ready()
        assert not persona.output_on()
    async with served(Bench(), trap="stays_on") as (persona, port):
        await port.ready()
        await port.ask("pwr off")
        assert persona.output_on()
    async with served(Bench(), trap="standalone") as (_, port):
        assert await port.ask("htc") == "PowerShield > error htc"
    async with served(Bench(), trap="broken") as (_, port):
        assert await port.ask("status") == "PowerShield > ack status error: autotest not ok"
    async with served(Bench(), trap="endless") as (_, port):
        port.write("stop")
        await port.exactly(20_000)


def test_an_unknown_trap_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no trap 'rust'"):
        st_lpm01a.create(Bench().setup(trap="rust"))
