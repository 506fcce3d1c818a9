"""Stored runs over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.store.catalogue import Catalogue
from labd.stream.session import WAITING_CALLS
from tests.api.served import Api, api
from tests.store.held import held


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


def nothing(_: Catalogue) -> None:
    return None


async def test_more_readers_than_may_wait_are_told_to_come_again_and_the_queue_takes_plans_all_the_same(given: Api) -> None:
    catalogue = given.services.catalogue
    async with held(catalogue.read):
        waiting = [asyncio.ensure_future(catalogue.read(nothing)) for _ in range(WAITING_CALLS)]
        await asyncio.sleep(0)
        answer = await given.ask("GET", "runs")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "too much is read" in answer.json()["detail"]
        assert (await given.submit())["state"] == "queued"
    await asyncio.gather(*waiting)
    assert (await given.ask("GET", "runs")).json() == []
