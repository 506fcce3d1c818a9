"""A run out of the store to the server: what is missing there comes, what is there stays as it is; single samples when asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labd.errors import NotFound
from labd.influx.answers import Answer, Verdict
from labd.influx.probe import probe
from labd.influx.replay import Raw, ReplayRefused, Stored, replay
from labd.influx.section import InfluxSection
from labd.store.catalogue import Catalogue
from labd.store.trace import stream_path
from labd.store.trace_reader import read_trace
from labd.stream.session import InstrumentSession
from tests.influx.lab import DT_NS, Lab, arrived, lab, replayed, sinking, until_arrived
from tests.influx.servers import Influxd, influxd, needs_influxd, needs_victoria, victoria
from tests.influx.test_sink import same

pytestmark = needs_influxd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with influxd(tmp_path_factory.mktemp("influxd")) as found:
        yield found


async def played(found: Lab) -> None:
    await found.begin(2)
    for _ in range(2):
        await found.capture(5)
    await found.end()


async def test_a_trace_that_a_kill_has_torn_keeps_no_other_from_coming(
    server: Influxd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with lab(tmp_path) as found:
        await played(found)
        rows = await found.catalogue.read(lambda catalogue: catalogue.captures.of(found.run))
        (tmp_path / rows[0].trace).unlink()
        stream_path(tmp_path / rows[0].trace).write_bytes(b"\xff\xff\xff\xff")
        await replayed(found, server)
        assert arrived(server, found.run).samples == rows[1].samples
    assert "a trace is left out" in caplog.text


async def test_a_run_of_before_there_was_a_server_comes_whole_and_once(server: Influxd, tmp_path: Path) -> None:
    async with lab(tmp_path) as found:
        await played(found)
        for _ in range(2):  # points that are there are overwritten with themselves
            sent = await replayed(found, server)
            assert sent[-1].rejected == 0
            same(*await until_arrived(server, found))


async def test_a_run_under_way_is_replayed_in_whole_buckets(server: Influxd, tmp_path: Path) -> None:
    """What comes of a bucket that still fills would stand beside the whole one for good."""
    async with lab(tmp_path) as found:
        found.rate_hz = 30.0  # 333 samples: no block ends with a bucket
        await found.begin(1)
        async with asyncio.TaskGroup() as tasks:
            recording = tasks.create_task(found.capture(10, pause_s=0.1))
            while not recording.done():
                await replayed(found, server, pause_s=0.15)
        await found.end()
        await replayed(found, server)
        same(*await until_arrived(server, found))


async def test_a_run_is_summarised_at_the_rate_it_began_with(server: Influxd, tmp_path: Path) -> None:
    """Its points are overwritten, not joined by others, when the bench file says another rate since."""
    async with lab(tmp_path) as found:
        async with sinking(found, server.url, tmp_path, **server.given):
            found.rate_hz = 50.0
            await played(found)
            same(*await until_arrived(server, found))
        await replayed(found, server, rate="10 /s")
        same(*await until_arrived(server, found))


async def test_a_window_of_single_samples_comes_as_it_is_stored(server: Influxd, tmp_path: Path) -> None:
    async with lab(tmp_path) as found:
        await played(found)
        (*_, last) = await replayed(found, server, Raw(1, 0, 0.05, 0.06))
        assert last.points == 100
        rows = server.ask(f'SELECT "current", "power" FROM sample WHERE run = \'{found.run}\'')
        row = (await found.catalogue.read(lambda c: c.captures.of(found.run)))[1]
        trace = read_trace(found.catalogue.folder / row.trace).stretches[0]
        assert trace.current is not None
        assert np.array_equal(np.array([one["current"] for one in rows], np.float32), trace.current[500:600])
        assert np.all(np.diff([one["time"] for one in rows]) == DT_NS)


@pytest.mark.parametrize(
    ("raw", "words"), [(Raw(7, 0, 0, 1), "no samples of a capture 7"), (Raw(0, 3, 0, 1), "no stretch 3"), (Raw(0, 0, 5, 6), "for 1 s")]
)
async def test_a_window_that_is_not_there_is_told(server: Influxd, tmp_path: Path, raw: Raw, words: str) -> None:
    async with lab(tmp_path) as found:
        await played(found)
        with pytest.raises(NotFound, match=words):
            await replayed(found, server, raw)


async def test_a_server_that_refuses_ends_it_with_its_words(server: Influxd, tmp_path: Path) -> None:
    async with lab(tmp_path) as found:
        await played(found)
        server.ask("DROP DATABASE labd")
        try:
            with pytest.raises(ReplayRefused, match="database not found"):
                await replayed(found, server)
        finally:
            server.ask("CREATE DATABASE labd")


async def test_a_server_that_is_busy_or_takes_little_at_once_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.patience.FIRST_S", 0.0)

    class Busy:
        """Every other time it is; it takes 20 kB."""

        def __init__(self) -> None:
            self.asked, self.taken = 0, set[bytes]()

        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            self.asked += 1
            if len(body) > 20_000:
                return Answer(Verdict.RESET, "cut")
            if self.asked % 2:
                return Answer(Verdict.AWAY, "503 busy")
            self.taken.update(body.splitlines())
            return Answer(Verdict.DELIVERED)

    server = Busy()
    async with lab(tmp_path) as found, InstrumentSession("replay") as reader:
        await played(found)
        catalogue = await reader.call(partial(Catalogue.open_read_only, tmp_path), deadline_s=10)
        section = InfluxSection(url="http://127.0.0.1:9")
        sent = [one async for one in replay(Stored(catalogue, reader, found.run), section, server)]  # type: ignore[arg-type]
        await reader.call(catalogue.close, deadline_s=10)
    assert len(server.taken) == sent[-1].points


async def test_a_check_writes_a_point_and_reads_it_back(server: Influxd, tmp_path: Path) -> None:
    ok, text = await probe(InfluxSection(url=server.url), "demo", tmp_path)
    assert (ok, "written and read back" in text) == (True, True)
    server.ask('CREATE RETENTION POLICY "weeks" ON labd DURATION 2w REPLICATION 1')
    ok, text = await probe(InfluxSection(url=server.url, retention_policy="weeks"), "demo", tmp_path)
    assert (ok, "written and read back" in text) == (True, True)
    ok, text = await probe(InfluxSection(url=server.url, database="nope"), "demo", tmp_path)
    assert (ok, "database not found" in text) == (False, True)
    ok, text = await probe(InfluxSection(url="http://127.0.0.1:9", password_file="none", username="u"), "demo", tmp_path)
    assert (ok, "none" in text) == (False, True)
    ok, _ = await probe(InfluxSection(url="http://127.0.0.1:9"), "demo", tmp_path)
    assert ok is False


@needs_victoria
async def test_a_check_says_that_a_server_without_influxql_took_the_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.influx.probe.VISIBLE_S", 0.1)
    with victoria(tmp_path / "victoria") as other:
        ok, text = await probe(InfluxSection(url=other.url), "demo", tmp_path)
    assert ok is None
    assert "a test point was written" in text
