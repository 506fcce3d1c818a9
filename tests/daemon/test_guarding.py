"""The daemon and its guard: one that is lost is started again, and what it did is told once, in the run that it ended."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from labd.bench_file.server import GuardSection
from labd.daemon.guarding import (
    BY_SERVICE,
    GUARD_ENV,
    journal_of,
    kept_guard,
    refuse_unattended,
    report_incidents,
    socket_of,
    sockets_of,
)
from labd.daemon.opened import load_bench
from labd.errors import SafetyRefusal
from labd.guard.journal import Journal
from labd.guard.link import GuardLink
from labd.store.rows import NewRun, RunState
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind
from labd_instruments import loader
from labd_instruments.contract import OffAssurance
from tests.bench.whole_run import FIXTURES
from tests.daemon.real_bench import real_bench
from tests.guard.guarded_bench import GuardProcess, armament

SOON_S = 60.0


async def test_a_guard_that_is_lost_is_started_again_and_whoever_watches_hears_of_both(tmp_path: Path) -> None:
    bench = real_bench(tmp_path)
    news: Hub[News] = Hub()
    with news.subscribe("test", size=100) as heard:
        async with kept_guard(bench, news) as guard:
            assert guard is not None
            first = int((await guard.status())["pid"])
            os.kill(first, signal.SIGKILL)
            states: list[bool] = []
            async with asyncio.timeout(SOON_S):
                while states[-2:] != [False, True]:
                    item = await anext(heard)
                    assert item.kind is NewsKind.GUARD
                    states.append(bool(item.data["alive"]))
            second = int((await guard.status())["pid"])
            assert second != first
    os.kill(second, signal.SIGTERM)


async def test_where_a_service_keeps_the_guard_the_daemon_starts_none_and_waits_for_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GUARD_ENV, BY_SERVICE)
    bench = real_bench(tmp_path)
    service = GuardProcess(tmp_path)
    own: list[int] = []

    def start() -> None:
        service.start()
        assert service.process is not None
        own.append(service.process.pid)

    news: Hub[News] = Hub()
    with news.subscribe("test", size=100) as heard:
        async with kept_guard(bench, news) as guard:
            assert guard is not None
            assert not guard.alive
            assert not (await anext(heard)).data["alive"]
            for _ in range(2):
                arming = asyncio.create_task(armed_once(guard))
                await asyncio.get_running_loop().run_in_executor(None, start)
                async with asyncio.timeout(SOON_S):
                    await arming
                    assert int((await guard.status())["pid"]) == own[-1]
                service.end()
                async with asyncio.timeout(SOON_S):
                    while (await anext(heard)).data["alive"]:
                        pass
    assert [int(entry.text.split()[1]) for entry in service.entries("started")] == own


async def armed_once(guard: GuardLink) -> None:
    async with guard.armed(armament("TCPIP::127.0.0.1::9::SOCKET")):
        pass


async def test_the_guard_of_the_units_is_found_by_whoever_looks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = real_bench(tmp_path)
    elsewhere = bench.model_copy(update={"guard": GuardSection()})
    elsewhere._source, elsewhere._board = bench._source, bench._board
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert sockets_of(elsewhere) == [Path("/run/user/1000/labd/guard-n6705c.sock"), Path("/run/labd/guard-n6705c.sock")]
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run")
    assert sockets_of(elsewhere) == [Path("/run/labd/guard-n6705c.sock")]
    assert sockets_of(bench) == [socket_of(bench)]


async def test_what_the_guard_did_stands_in_the_run_that_it_ended_and_is_told_once(tmp_path: Path) -> None:
    bench = real_bench(tmp_path)
    news: Hub[News] = Hub()
    async with CatalogueSession(tmp_path / "store") as catalogue:
        before = await catalogue.do(lambda c: c.runs.create(NewRun(bench.name, "", "p", ""), []).id)
        await catalogue.do(lambda c: c.runs.end(before, RunState.FINISHED))
        ended = await catalogue.do(lambda c: c.runs.create(NewRun(bench.name, "", "p", ""), []).id)
        async with Journal(journal_of(bench)) as book:
            await book.note("lost", bench.name, "process 7: its connection ended", incident="a")
            await book.note("verified", bench.name, "off, 0.31 s", incident="a", source="smu", took_s=0.31)
            await book.note("done", bench.name, "every output is off", incident="a")
        await catalogue.do(lambda c: c.runs.end(ended, RunState.INTERRUPTED, error="the process that ran it died"))
        with news.subscribe("test", size=10) as heard:
            await report_incidents(journal_of(bench), catalogue, news, bench.name)
            await report_incidents(journal_of(bench), catalogue, news, bench.name)
            (told,) = heard.drained()
        assert (told.kind, told.data) == (NewsKind.GUARD, {"off": True})
        (event,) = await catalogue.do(lambda c: c.runs.events(ended))
        assert (event.kind, event.text) == (NewsKind.GUARD, "process 7: its connection ended: smu: off, 0.31 s")
        assert await catalogue.do(lambda c: c.runs.events(before)) == []


def test_a_source_that_nothing_is_known_to_switch_off_needs_somebody_with_the_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = real_bench(tmp_path)
    refuse_unattended(bench, attended=False)
    unassured = replace(loader.info("keysight_n6705c"), off_assurance=OffAssurance.NONE)
    monkeypatch.setattr(loader, "info", lambda _name: unassured)
    with pytest.raises(SafetyRefusal, match=r"smu .*no assured way off.*guard.attended"):
        refuse_unattended(bench, attended=False)
    refuse_unattended(bench, attended=True)


async def test_a_virtual_bench_has_no_guard() -> None:
    async with kept_guard(load_bench(FIXTURES / "benches/demo.toml"), Hub()) as guard:
        assert guard is None
