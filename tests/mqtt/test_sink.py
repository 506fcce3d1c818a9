"""The MQTT sink with a real Mosquitto: state, events exactly as in the catalogue, and what a broker that is away costs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd.mqtt.section import MqttSection
from labd.mqtt.sink import MqttSink
from labd.records import Event, KpiRecord, MarkStyle, Mode, Provenance
from labd.store.rows import NewRun, StoredEvent
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed, FeedBlock, FeedStart
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition
from tests.mqtt.broker import SOON_S, Broker, broker, listening, needs_mosquitto

pytestmark = needs_mosquitto


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    found = broker(tmp_path / "broker")
    yield found
    found.stop()


class Lab:
    """A sink with what it publishes from."""

    def __init__(self, catalogue: CatalogueSession, port: int, **section: Any) -> None:
        self.catalogue = catalogue
        self.news: Hub[News] = Hub()
        self.feed: Hub[Feed] = Hub()
        table = MqttSection.model_validate({"host": "127.0.0.1", "port": port, "statistics_interval": "20 ms", **section})
        self.sink = MqttSink(table, "Bench 1", folder=Path(), catalogue=catalogue, news=self.news, feed=self.feed)

    async def begin(self) -> str:
        return (await self.catalogue.do(lambda c: c.runs.create(NewRun("demo", "", "plan", ""), []))).id

    async def log(self, run_id: str, kind: NewsKind, text: str, t_ns: int = 1_795_444_200_000_000_000) -> None:
        await self.catalogue.do(lambda c: c.runs.log(run_id, Event(t_ns, kind, text, "")))
        self.news.publish(News(t_ns, kind, text, run=run_id))

    async def stored(self) -> list[StoredEvent]:
        return await self.catalogue.do(lambda c: c.runs.events_after(0, limit=10_000))


@asynccontextmanager
async def lab(folder: Path, port: int, **section: Any) -> AsyncIterator[Lab]:
    async with CatalogueSession(folder / "store") as catalogue:
        found = Lab(catalogue, port, **section)
        task = asyncio.create_task(found.sink.run())
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(seen: Callable[[], bool]) -> None:
    """The sink tells nobody when its status changes."""
    async with asyncio.timeout(SOON_S):
        while not seen():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def as_told(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Each event once, in the order in which they first came (at least once means that one may come twice)."""
    seen = {(one["run"], one["n"]): (one["run"], one["n"], one["t_ns"], one["kind"], one["text"], one["capture"]) for one in events}
    return list(seen.values())


def as_stored(events: list[StoredEvent]) -> list[tuple[Any, ...]]:
    return [(one.run_id, one.n, one.event.t_ns, one.event.kind, one.event.text, one.event.capture) for one in events]


async def test_events_and_figures_arrive_as_they_are_in_the_catalogue(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, _), lab(tmp_path, running.port) as found:
        run = await found.begin()
        for n in range(250):
            await found.log(run, NewsKind.NOTICE, f"notice {n}")
        record = KpiRecord("power.floor", "always_on", 1e-3, "W", 1e-6, 0.99e-3, 1.01e-3, 4, Provenance.MEASURED, "mean", flags=("cold",))
        await found.catalogue.do(lambda c: c.kpis.put(run, [record]))
        await found.log(run, NewsKind.RUN_ENDED, "finished")
        told = await heard.until("events", 251)
        assert as_told(told) == as_stored(await found.stored())
        (figure,) = await heard.until("kpi", 1)
        assert (figure["id"], figure["value"], figure["u"], figure["unit"], figure["flags"]) == ("power.floor", 1e-3, 1e-6, "W", ["cold"])
        assert {name.split("/")[1] for name, _ in heard.messages} == {"bench-1"}


async def test_the_state_is_retained_and_says_when_nobody_said_good_bye(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, _):
        async with lab(tmp_path, running.port):
            assert (await heard.until("status", 1))[0]["state"] == "online"
        assert (await heard.until("status", 2))[-1]["state"] == "stopped"
    async with listening(running.port) as (late, _):
        assert (await late.until("status", 1))[0]["state"] == "stopped"


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.mqtt.test_sink import lab
from labd.stream.news import NewsKind
async def main():
    async with lab(Path(sys.argv[1]), int(sys.argv[2])) as found:
        run = await found.begin()
        for n in range(10_000):
            await found.log(run, NewsKind.NOTICE, f"notice {n}")
            print(n, flush=True)
asyncio.run(main())
"""


async def test_a_kill_loses_no_event_and_the_last_will_is_told(tmp_path: Path, running: Broker) -> None:
    root = str(Path(__file__).parents[2])
    async with listening(running.port) as (heard, _):
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", KILLED, str(tmp_path), str(running.port), root], stdout=subprocess.PIPE, text=True, cwd=root
        )
        await heard.until("events", 30)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        async with asyncio.timeout(SOON_S):
            while heard.on("status")[-1]["state"] != "offline":
                heard.changed.clear()
                await heard.changed.wait()
        async with lab(tmp_path, running.port) as found:
            events = await found.stored()
            async with asyncio.timeout(SOON_S):
                while len(as_told(heard.on("events"))) < len(events):
                    heard.changed.clear()
                    await heard.changed.wait()
        assert as_told(heard.on("events")) == as_stored(events)


async def test_what_happens_while_the_broker_is_away_arrives_when_it_is_back(tmp_path: Path, running: Broker) -> None:
    async with lab(tmp_path, running.port) as found:
        run = await found.begin()
        async with listening(running.port) as (heard, _):
            await found.log(run, NewsKind.RUN_STARTED, "before")
            before = await heard.until("events", 1)
        running.stop()
        for n in range(50):
            await found.log(run, NewsKind.NOTICE, f"away {n}")
        await until(lambda: not found.sink.status()["connected"])
        assert found.sink.status()["error"]
        running.start()
        async with listening(running.port) as (heard, _):
            await until(lambda: len(as_told(heard.on("events"))) == 50)
            after = heard.on("events")
        assert as_told(before + after) == as_stored(await found.stored())


async def test_means_of_a_capture_are_told_and_not_kept(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, _), lab(tmp_path, running.port) as found:
        await until(lambda: found.feed.watchers == 1)
        acquisition = Acquisition(1000, ("current", "voltage"), 1e-6, 0.1, 20.0)
        found.feed.publish(FeedStart("r1", "floor", "smu", 0, "floor", "p", Mode.ALWAYS_ON, MarkStyle.GATE, acquisition, 1))
        values = np.array([1e-3, 3e-3], np.float32)
        found.feed.publish(FeedBlock(Block(0, 0, 1000, values, np.full(2, 3.0, np.float32)), 0, 0, trigger=False, t_ns=1))
        (means, *_) = await heard.until("statistics", 1)
        assert means["run"] == "r1"
        assert means["current"] == pytest.approx(2e-3)
        assert (means["power_max"], means["lost"]) == (pytest.approx(9e-3), 0)
        assert means["energy"] == pytest.approx(12e-9)


async def test_a_broker_that_is_not_there_costs_nothing_but_time(tmp_path: Path) -> None:
    async with lab(tmp_path, 1) as found:
        run = await found.begin()
        await found.log(run, NewsKind.NOTICE, "heard by nobody")
        await until(lambda: bool(found.sink.status()["error"]))
        assert found.sink.status()["connected"] is False
