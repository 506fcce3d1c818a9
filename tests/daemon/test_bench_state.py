"""The emergency stop and the daemon's start, when the disk or an output does not do what it should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from labd.analyse.worker import Worker
from labd.bench_file import Bench
from labd.daemon import bench_state, serve
from labd.daemon.around import Surroundings
from labd.daemon.bench_state import BenchState
from labd.daemon.jobs import BenchUse
from labd.daemon.opened import load_bench
from labd.errors import OutputNotVerifiedOff, StoreError
from labd.guard.wire import OffResult
from labd.queue.scheduler import Scheduler
from labd.store.catalogue import Catalogue
from labd.store.leases import LeaseHeld
from labd.store.session import CatalogueSession
from tests.bench.whole_run import FIXTURES

T = TypeVar("T")

FILE = FIXTURES / "benches/demo.toml"
FOR_EVER_NS = 1 << 62


class FullDisk(CatalogueSession):
    full = False

    async def do(self, work: Callable[[Catalogue], T]) -> T:
        if self.full:
            raise StoreError("database or disk is full")
        return await super().do(work)


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[BenchState]:
    async with FullDisk(tmp_path) as catalogue, Worker() as worker:
        around = Surroundings(catalogue, worker)
        use = BenchUse(FILE, around)
        scheduler = Scheduler(catalogue, bench="demo", run=use.run, news=around.news)
        found = BenchState(load_bench(FILE), around, use, scheduler)
        use.alarm = found.not_off
        yield found


def answering(monkeypatch: pytest.MonkeyPatch, *results: OffResult) -> list[str]:
    """What switching off comes to; returns the benches it was asked for."""
    asked: list[str] = []

    async def off_beside(bench: Bench, *, by: str) -> list[OffResult]:
        assert by == "ann"
        asked.append(bench.name)
        return list(results)

    monkeypatch.setattr(bench_state, "off_beside", off_beside)
    return asked


async def test_an_emergency_stop_needs_no_disk(state: BenchState, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, OffResult("smu", True, True, "off, discharged", 0.1, 1))
    catalogue = state.around.catalogue
    assert isinstance(catalogue, FullDisk)
    catalogue.full = True
    results = await state.off("ann")
    catalogue.full = False
    assert asked == [state.bench.name]
    assert [one.off for one in results] == [True]
    assert (await state.scheduler.status()).why_paused == "emergency stop by ann"
    assert any("not over a restart" in alarm for alarm in state.alarms)


async def test_a_source_that_is_not_off_is_an_alarm_that_stays(state: BenchState, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, OffResult("smu", False, None, "no answer to *IDN?; cut the supply by hand", 10.0, 3))
    await state.off("ann")
    assert any("smu is NOT OFF" in alarm and "cut the supply by hand" in alarm for alarm in (await state.status()).alarms)
    assert (await state.around.catalogue.do(lambda c: c.jobs.paused())) == "emergency stop by ann"


async def test_outputs_not_verified_off_at_the_start_pause_the_queue(state: BenchState, monkeypatch: pytest.MonkeyPatch) -> None:
    users: list[str] = []

    @asynccontextmanager
    async def not_off(_bench: Bench) -> AsyncIterator[None]:
        users.append(state.use.by)
        if users:
            raise OutputNotVerifiedOff("smu: output 1 is still on")
        yield

    monkeypatch.setattr(serve, "open_bench", not_off)
    monkeypatch.setattr(type(state.bench), "is_virtual", property(lambda _bench: False))
    await serve.all_off(state.bench, state)
    assert users == ["the start of the daemon"]
    status = await state.status()
    assert status.queue.paused
    assert "smu: output 1 is still on" in status.queue.why_paused
    assert status.alarms == ("outputs not verified off: smu: output 1 is still on",)


async def test_a_bench_that_somebody_reserved_is_checked_by_nobody_else(state: BenchState) -> None:
    await state.scheduler.take_lease("ann", FOR_EVER_NS, "a new board")
    with pytest.raises(LeaseHeld, match="reserved by ann"):
        await state.check("bob")
