"""Every network interface of a virtual instrument, as a stock PyVISA client finds it: messages, blocks, status, clear, trigger, locks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource

from labd_instruments.links.visa_inside import close_forgotten
from labd_virtual.persona import SERVERS
from labd_virtual.wire import Interface
from tests.virtual.persona_fakes import with_visa
from tests.virtual.wired import DATA, Instrument, served

T = TypeVar("T")
BESIDE: tuple[Interface, ...] = ("hislip", "vxi11")  # interfaces with more than a stream of bytes

each = pytest.mark.parametrize("interface", SERVERS)
each_beside = pytest.mark.parametrize("interface", BESIDE)


async def talked(instrument: Instrument, talk: Callable[[MessageBasedResource], T]) -> T:
    return await with_visa(instrument.server.resource, talk)


@each
async def test_a_query_has_its_answer(interface: Interface) -> None:
    async with served(interface) as instrument:
        assert await talked(instrument, lambda r: (r.query("*IDN?"), r.query("*ESE 5;*ESE?"))) == ("A,B,C,D", "5")
        assert instrument.errors() == []


@each
async def test_a_block_of_any_size_comes_whole(interface: Interface) -> None:
    def talk(r: MessageBasedResource) -> bytes:
        found: bytes = r.query_binary_values("DATA?", "B", container=bytes, chunk_size=1 << 20)  # type: ignore[assignment]
        return found

    async with served(interface) as instrument:
        assert await talked(instrument, talk) == DATA


@each
async def test_sessions_do_not_wait_for_each_other(interface: Interface) -> None:
    async with served(interface) as instrument:
        waiting = asyncio.create_task(talked(instrument, lambda r: r.query("WAIT?")))
        await instrument.entered.wait()
        assert await talked(instrument, lambda r: r.query("*IDN?")) == "A,B,C,D"
        instrument.let.set()
        assert await waiting == "late"


@each
async def test_what_hangs_is_what_was_there(interface: Interface) -> None:
    async with served(interface) as instrument:
        loop = asyncio.get_running_loop()

        def hangs(r: MessageBasedResource) -> str:
            r.query("*IDN?")
            loop.call_soon_threadsafe(instrument.server.hang, True)
            loop.call_soon_threadsafe(lambda: None)
            time.sleep(0.05)
            r.timeout = 300
            with pytest.raises(pyvisa.VisaIOError):
                r.query("*OPC?")
            return open_another(instrument)

        assert await talked(instrument, hangs) == "A,B,C,D"


def open_another(instrument: Instrument) -> str:
    try:
        resource = pyvisa.ResourceManager("@py").open_resource(instrument.server.resource, read_termination="\n", timeout=5000)
    except Exception as error:
        close_forgotten(error)
        raise
    try:
        assert isinstance(resource, MessageBasedResource)
        return str(resource.query("*IDN?"))
    finally:
        resource.close()


@each
async def test_an_instrument_for_one_client_refuses_another(interface: Interface) -> None:
    def two(r: MessageBasedResource) -> str:
        r.query("*IDN?")
        with pytest.raises(Exception, match=r".+"):  # pyvisa-py has no error of its own for it
            open_another(instrument)
        return str(r.query("*IDN?"))

    async with served(interface, "one_refusing") as instrument:
        assert await talked(instrument, two) == "A,B,C,D"
        assert await talked(instrument, lambda r: r.query("*IDN?")) == "A,B,C,D"


@each_beside
async def test_the_status_byte_says_that_an_error_is_there(interface: Interface) -> None:
    def talk(r: MessageBasedResource) -> tuple[int, int]:
        before = r.read_stb()
        r.write("NONSENSE 1")
        r.query("*OPC?")
        return before, r.read_stb()

    async with served(interface) as instrument:
        before, after = await talked(instrument, talk)
    assert (before & 4, after & 4) == (0, 4)


@each_beside
async def test_a_clear_ends_what_is_executed_and_forgets_its_answer(interface: Interface) -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write("WAIT?")
        asyncio.run_coroutine_threadsafe(instrument.entered.wait(), loop).result(5)
        r.clear()
        return str(r.query("*IDN?"))

    async with served(interface) as instrument:
        loop = asyncio.get_running_loop()
        assert await talked(instrument, talk) == "A,B,C,D"
        assert not instrument.let.is_set()


async def test_a_trigger_reaches_the_instrument() -> None:
    """pyvisa-py asserts one over VXI-11 only."""
    async with served("vxi11") as instrument:
        await talked(instrument, lambda r: r.assert_trigger())
        assert instrument.triggers == 1


@each_beside
async def test_an_answer_that_nobody_fetched_is_lost_and_told(interface: Interface) -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write("*ESE?")
        time.sleep(0.05)  # until its answer is there
        r.write("*ESE 3")
        return str(r.query("*IDN?")) if interface == "vxi11" else ""

    async with served(interface) as instrument:
        await talked(instrument, talk)
        assert -410 in instrument.errors()


async def test_reading_without_a_question_is_a_time_out_and_told() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.timeout = 200
        with pytest.raises(pyvisa.VisaIOError):
            r.read()

    async with served("vxi11") as instrument:
        await talked(instrument, talk)
        assert instrument.errors() == [-420]


async def test_a_lock_keeps_others_out_until_it_is_given_back() -> None:
    """pyvisa-py locks over VXI-11 only."""

    def talk(r: MessageBasedResource) -> str:
        r.lock_excl(timeout=1000)
        other = pyvisa.ResourceManager("@py").open_resource(instrument.server.resource, read_termination="\n", timeout=200)
        assert isinstance(other, MessageBasedResource)
        try:
            with pytest.raises(pyvisa.VisaIOError):
                other.query("*IDN?")
            r.unlock()
            return str(other.query("*IDN?"))
        finally:
            other.close()

    async with served("vxi11") as instrument:
        assert await talked(instrument, talk) == "A,B,C,D"
