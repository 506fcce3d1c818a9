"""The VISA link over every interface of a network: blocks as they were sent, and in step again after a silence."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import numpy as np
import pytest

from labd_instruments.errors import LinkTimeoutError, NotConnectedError
from labd_instruments.links.visa import VisaLink, open_link
from labd_virtual.wire import Interface
from tests.virtual.wired import DATA, Instrument, served

T = TypeVar("T")


@asynccontextmanager
async def linked(interface: Interface, timeout_s: float = 5.0) -> AsyncIterator[tuple[Instrument, VisaLink]]:
    async with served(interface) as instrument:
        link = await asyncio.to_thread(open_link, instrument.server.resource, timeout_s)
        try:
            yield instrument, link
        finally:
            await asyncio.to_thread(link.close)


async def do(function: Callable[..., T], *args: object) -> T:
    return await asyncio.wait_for(asyncio.to_thread(function, *args), 20.0)


async def test_a_block_full_of_line_feeds_comes_whole_and_the_next_question_has_its_own_answer(interface: Interface) -> None:
    async with linked(interface) as (instrument, link):
        for _ in range(2):
            block = await do(link.query_definite_block, "DATA?", "<f4")
            assert block.tobytes() == DATA
            assert block.dtype == np.float32
            assert await do(link.query, "*ESE 5;*ESE?") == "5"
        assert instrument.errors() == []


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_after_a_silence_question_and_answer_match_again(interface: Interface, failures: int) -> None:
    async with linked(interface, timeout_s=0.5) as (instrument, link):
        with pytest.raises(LinkTimeoutError, match="no answer to WAIT"):
            await do(link.query, "WAIT?")
        for _ in range(failures):
            with suppress(LinkTimeoutError, NotConnectedError):  # a clear brings some interfaces in step at once
                assert await do(link.query, "*ESE 3;*ESE?") == "3"
        instrument.let.set()
        assert await do(link.query, "*ESE 7;*ESE?") == "7"


async def test_a_session_that_could_not_be_opened_leaves_no_socket_to_the_collector(interface: Interface) -> None:
    """Nobody at the address, and an instrument that serves one client and has one."""

    def refused(resource: str) -> None:
        with pytest.raises((NotConnectedError, LinkTimeoutError)):
            open_link(resource, 0.5)
        gc.collect()

    async with linked(interface) as (instrument, _):
        gone = instrument.server.resource
    async with served(interface, "one_refusing") as instrument:
        link = await asyncio.to_thread(open_link, instrument.server.resource, 5.0)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", ResourceWarning)
            for resource in (instrument.server.resource, gone):
                await do(refused, resource)
        assert [str(one.message) for one in heard if one.category is ResourceWarning] == []
        await asyncio.to_thread(link.close)


async def test_an_instrument_that_is_gone_is_named(interface: Interface) -> None:
    async with linked(interface, timeout_s=0.5) as (instrument, link):
        await instrument.server.close()
        with pytest.raises(NotConnectedError, match=r"127\.0\.0\.1"):
            await do(link.query, "*IDN?")


async def test_a_session_that_came_out_of_step_ends_at_once_and_a_new_one_has_its_own_answers(interface: Interface) -> None:
    async with linked(interface, timeout_s=0.5) as (instrument, link):
        with pytest.raises(LinkTimeoutError):
            await do(link.query, "WAIT?")
        instrument.let.set()
        await do(link.close)
        again = await do(open_link, link.resource, 5.0)
        assert (await do(again.query_definite_block, "DATA?", "<f4")).tobytes() == DATA
        assert await do(again.query, "*ESE 7;*ESE?") == "7"
        await do(again.close)
