"""Stored runs over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.store.catalogue import Catalogue
from labd.store.rows import NewRun, RunState
from labd.stream.session import WAITING_CALLS
from tests.api.served import Api, api
from tests.store.held import held


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


async def test_a_run_is_deleted_with_its_traces_unless_it_goes_on(given: Api) -> None:
    catalogue = given.services.catalogue
    run = (await catalogue.do(lambda c: c.runs.create(NewRun("b", "", "p", ""), []))).id
    traces = catalogue.folder / "traces" / run
    traces.mkdir(parents=True)
    assert (await given.ask("DELETE", f"runs/{run}")).status_code == 409
    assert traces.exists()
    await catalogue.do(lambda c: c.runs.end(run, RunState.FINISHED))
    assert (await given.ask("DELETE", f"runs/{run}")).status_code == 204
    assert not traces.exists()
    assert (await given.ask("GET", f"runs/{run}")).status_code == 404


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
