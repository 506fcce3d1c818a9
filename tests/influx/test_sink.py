"""The sink against real servers: what arrives is what the store holds, whatever happens on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

from labd.influx.sink import InfluxSink
from labd.stream.news import NewsKind
from tests.influx.lab import BOARD, DT_NS, SOON_S, Account, Lab, arrived, lab, sinking, until_arrived
from tests.influx.servers import Asked, Influxd, influxd, needs_influxd, needs_victoria, others, victoria

pytestmark = needs_influxd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Influxd]:
    with influxd(tmp_path / "influxd") as found:
        yield found


@pytest.fixture(params=["influxd", *others()], ids=lambda one: one if isinstance(one, str) else "other")
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    """One that the test may not stop, beside Debian's the one that the environment names."""
    if isinstance(request.param, str):
        with influxd(tmp_path / "influxd") as found:
            yield found
    else:
        yield request.param


def same(stored: Account, there: Account) -> None:
    assert there.events == stored.events
    assert there.samples == stored.samples
    assert there.figures == stored.figures
    assert_allclose([there.energy_j, there.charge_c], [stored.energy_j, stored.charge_c], rtol=1e-12)


async def until(seen: Callable[[], bool]) -> None:
    end_s = time.monotonic() + SOON_S
    while not seen():
        assert time.monotonic() < end_s, "not seen in time"
        await asyncio.sleep(0.02)


def told(sink: InfluxSink, *words: str) -> Callable[[], bool]:
    return lambda: all(word in str(sink.status()["error"]) for word in words)


async def a_run(found: Lab, captures: int = 2, blocks: int = 8) -> None:
    await found.begin(captures)
    for _ in range(captures):
        await found.capture(blocks)
    await found.end()


async def test_a_run_arrives_whole(either: Asked, tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found, sinking(found, either.url, tmp_path, **either.given) as sink:
        await until(lambda: sink.status()["connected"])
        await a_run(found)
        same(*await until_arrived(either, found))
        spans = either.ask(f"SELECT \"text\", \"end\" FROM span WHERE kind = 'capture' AND run = '{found.run}'")
        assert len(spans) == 2
        boards = either.ask('SHOW TAG VALUES FROM "power", "kpi" WITH KEY = "board"')
        assert [row["value"] for row in boards] == [BOARD, BOARD]
        (state,) = either.ask('SELECT "state", "in_use" FROM bench ORDER BY time DESC LIMIT 1')
        assert (state["state"], state["in_use"]) == ("measuring", 1)
        assert sink.status()["rejected"] == 0


async def test_what_was_before_the_server_was_named_is_not_sent_by_itself(either: Asked, tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found:
        await a_run(found, captures=1)
        async with sinking(found, either.url, tmp_path, **either.given) as sink:
            await until(lambda: bool(sink.status()["connected"]))
            before = found.run
            await a_run(found, captures=1)
            same(*await until_arrived(either, found))
        assert arrived(either, before).samples == 0


async def test_a_server_and_a_daemon_that_die_in_mid_run_lose_and_double_nothing(server: Influxd, tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found:
        async with sinking(found, server.url, tmp_path) as sink:
            await found.begin(4)
            await found.capture(6, pause_s=0.02)
            await until(lambda: bool(sink.status()["connected"]))
            server.kill()
            await found.capture(6, pause_s=0.02)
        await found.capture(4)  # nobody is there to see it
        async with sinking(found, server.url, tmp_path):
            server.start()
            await found.capture(6, pause_s=0.02)
            await found.end()
            same(*await until_arrived(server, found))


async def test_the_gaps_that_are_told_hold_every_point_that_is_lacking(server: Influxd, tmp_path: Path) -> None:
    """The outbox overflows again and again, and with it goes the telling of the first gaps."""
    server.kill()
    given = {"outbox_size": "50 kB"}
    async with lab(tmp_path / "store") as found:
        found.rate_hz, runs, samples = 1000.0, [], 0
        for _ in range(3):
            async with sinking(found, server.url, tmp_path, **given) as sink:
                await a_run(found)
                await until(lambda sink=sink: bool(sink.status().get("dropped")))  # type: ignore[misc]
            runs.append(found.run)
            samples += (await found.stored()).samples
        server.start()
        async with sinking(found, server.url, tmp_path, **given) as sink:
            await until(lambda: sink.status().get("waiting") == 0)
    there = sum(arrived(server, run).samples for run in runs)
    told = sum(row["n"] for row in server.ask("SELECT \"n\" FROM event WHERE kind = 'gap'"))
    assert told >= (samples - there) * DT_NS / 10**6 > 0


async def test_a_wrong_database_is_told_and_everything_waits_until_it_is_there(
    server: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labd.influx.sender.SETTINGS_S", 0.2)
    async with lab(tmp_path / "store") as found, sinking(found, server.url, tmp_path, database="nope") as sink:
        alarms: list[str] = []
        monkeypatch.setattr(found.news, "publish", lambda one: alarms.append(one.text) if one.kind is NewsKind.ALARM else None)
        await a_run(found)
        await until(told(sink, "404", "database not found"))
        assert not sink.status()["connected"]
        assert "takes nothing before its settings are mended: 404" in sink.status()["alarm"]
        assert alarms == [sink.status()["alarm"]]  # once
        server.ask("CREATE DATABASE nope")
        wanted = (await found.stored()).samples
        await until(lambda: [row["n"] for row in server.ask('SELECT SUM("n") AS n FROM power', "nope")] == [wanted])
        await until(lambda: not sink.status()["alarm"])


@pytest.mark.parametrize(
    ("user", "password", "words"), [("writer", "wrong", ("401", "authorization failed")), ("reader", "secret", ("403",))]
)
async def test_a_wrong_password_and_a_user_who_may_only_read_are_told(
    tmp_path: Path, user: str, password: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "password").write_text(password)
    with influxd(tmp_path / "influxd", auth=True) as server:
        async with lab(tmp_path / "store") as found:
            async with sinking(found, server.url, tmp_path, username=user, password_file="password") as sink:
                await a_run(found)
                await until(told(sink, *words))
                assert password not in str(sink.status())
                assert sink.status()["rejected"] == 0
            (tmp_path / "password").write_text("secret")
            async with sinking(found, server.url, tmp_path, username="writer", password_file="password"):
                same(*await until_arrived(server, found))


async def test_a_password_that_is_mended_in_its_file_needs_no_new_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.influx.sender.SETTINGS_S", 0.2)
    (tmp_path / "password").write_text("wrong")
    user = {"username": "writer", "password_file": "password"}
    with influxd(tmp_path / "influxd", auth=True) as server:
        async with lab(tmp_path / "store") as found, sinking(found, server.url, tmp_path, **user) as sink:
            await a_run(found, captures=1)
            await until(told(sink, "401"))
            (tmp_path / "password").write_text("secret")
            same(*await until_arrived(server, found))


async def test_a_field_that_is_of_another_type_there_costs_its_points_and_no_others(server: Influxd, tmp_path: Path) -> None:
    server.write(f'span,bench=lab length="a text" {time.time_ns()}\n')  # types are those of a shard
    async with lab(tmp_path / "store") as found, sinking(found, server.url, tmp_path) as sink:
        await a_run(found)
        same(*await until_arrived(server, found))
        await until(lambda: sink.status()["rejected"] == 2 and not sink.status()["waiting"])
    assert "field type conflict" in (tmp_path / "store/influx-refused.lp").read_text()


async def test_requests_that_are_too_large_become_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """influxd cuts the connection, or says 413, beyond its limit."""
    monkeypatch.setattr("labd.patience.FIRST_S", 0.01)
    with influxd(tmp_path / "influxd", largest_body=40_000) as server:
        async with lab(tmp_path / "store") as found, sinking(found, server.url, tmp_path):
            found.rate_hz = 1000.0
            await a_run(found, captures=1, blocks=10)
            same(*await until_arrived(server, found))


async def test_compressed_lines_arrive_as_well(either: Asked, tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found, sinking(found, either.url, tmp_path, **either.given, gzip=True):
        await a_run(found, captures=1)
        same(*await until_arrived(either, found))


@needs_victoria
@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_victoriametrics_takes_it_over_both_interfaces(tmp_path: Path, api: str) -> None:
    with victoria(tmp_path / "victoria") as server:
        async with lab(tmp_path / "store") as found, sinking(found, server.url, tmp_path, api=api) as sink:
            await a_run(found, captures=1)
            wanted = await found.stored()
            counted: list[float] = []

            def all_there() -> bool:
                counted[:] = [value for series in server.export("power_n") for value in series["values"]]
                return sum(counted) == wanted.samples

            await until(all_there)
            assert sink.status()["rejected"] == 0
            energies = [value for series in server.export("power_energy") for value in series["values"]]
            assert_allclose(sum(energies), wanted.energy_j, rtol=1e-9)
