"""The VISA link over every interface of a network: blocks as they were sent, and in step again after a silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
            await do(link.write, "DATA?")
            block = await do(link.read_definite_block, "<f4")
            assert block.tobytes() == DATA
            assert block.dtype == np.float32
            assert await do(link.query, "*ESE 5;*ESE?") == "5"
        assert instrument.errors() == []


async def test_after_a_silence_question_and_answer_match_again(interface: Interface) -> None:
    async with linked(interface, timeout_s=0.5) as (instrument, link):
        with pytest.raises(LinkTimeoutError, match="no answer to WAIT"):
            await do(link.query, "WAIT?")
        instrument.let.set()
        assert await do(link.query, "*ESE 7;*ESE?") == "7"


async def test_an_instrument_that_is_gone_is_named(interface: Interface) -> None:
    async with linked(interface, timeout_s=0.5) as (instrument, link):
        await instrument.server.close()
        with pytest.raises(NotConnectedError, match=r"127\.0\.0\.1"):
            await do(link.query, "*IDN?")
