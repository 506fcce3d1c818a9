"""The catalogue's two threads: who reads never keeps a writer waiting, nothing that is to be written is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.errors import StoreError
from labd.store.catalogue import Catalogue
from labd.store.rows import NewRun
from labd.store.session import CatalogueSession, StoreBusy
from labd.stream.session import WAITING_CALLS
from tests.store.held import held

NEW = NewRun("b", "", "p", "")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[CatalogueSession]:
    async with CatalogueSession(tmp_path) as found:
        yield found


def nothing(_: Catalogue) -> None:
    return None


async def test_a_read_does_not_wait_for_a_write_and_sees_all_that_was_written(session: CatalogueSession) -> None:
    run = await session.do(lambda c: c.runs.create(NEW, []))
    async with held(session.do):
        assert await session.read(lambda c: c.runs.get("latest")) == run


async def test_what_is_read_can_change_nothing(session: CatalogueSession) -> None:
    with pytest.raises(StoreError, match="readonly"):
        await session.read(lambda c: c.runs.create(NEW, []))
    assert await session.do(lambda c: c.runs.ids()) == frozenset()


async def test_too_many_reads_are_refused_as_busy_while_a_run_goes_on_writing(session: CatalogueSession) -> None:
    async with held(session.read):
        waiting = [asyncio.ensure_future(session.read(nothing)) for _ in range(WAITING_CALLS)]
        await asyncio.sleep(0)
        with pytest.raises(StoreBusy, match="try again"):
            await session.read(nothing)
        assert (await session.do(lambda c: c.runs.create(NEW, []))).bench_name == "b"
    assert await asyncio.gather(*waiting) == [None] * WAITING_CALLS


async def test_writes_wait_for_their_turn_and_none_is_refused(session: CatalogueSession) -> None:
    done: list[int] = []
    async with held(session.do):
        waiting = [asyncio.ensure_future(session.do(lambda _, n=n: done.append(n))) for n in range(3 * WAITING_CALLS)]  # type: ignore[misc]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert done == list(range(3 * WAITING_CALLS))
