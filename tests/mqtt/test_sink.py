"""The MQTT sink with a real Mosquitto: state, events exactly as in the catalogue, and what a broker that is away costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labd.records import KpiRecord, MarkStyle, Mode, Provenance
from labd.stream.feed import FeedBlock, FeedStart
from labd.stream.news import NewsKind
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition
from tests.mqtt.broker import Broker, listening, needs_mosquitto
from tests.mqtt.lab import as_stored, as_told, lab, until

pytestmark = needs_mosquitto


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
from tests.mqtt.lab import lab
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
        await heard.until_seen(lambda: heard.on("status")[-1]["state"] == "offline")
        async with lab(tmp_path, running.port) as found:
            events = await found.stored()
            await heard.until_seen(lambda: len(as_told(heard.on("events"))) == len(events))
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
        await until(lambda: found.feed.watchers == 1 and found.sink.status()["connected"])
        acquisition = Acquisition(1000, ("current", "voltage"), 1e-6, 0.1, 20.0)
        found.feed.publish(FeedStart("r1", "floor", "smu", 0, "floor", "p", Mode.ALWAYS_ON, MarkStyle.GATE, acquisition, 1))
        values = np.array([1e-3, 3e-3], np.float32)
        found.feed.publish(FeedBlock(Block(0, 0, 1000, values, np.full(2, 3.0, np.float32)), 0, 0, trigger=False, t_ns=1))
        (means, *_) = await heard.until("statistics", 1)
        assert means["run"] == "r1"
        assert means["current"] == pytest.approx(2e-3)
        assert (means["power_max"], means["lost"]) == (pytest.approx(9e-3), 0)
        assert means["energy"] == pytest.approx(12e-9)


async def test_energy_goes_on_over_a_connection_that_was_lost(tmp_path: Path, running: Broker) -> None:
    async with lab(tmp_path, running.port) as found:
        await until(lambda: found.sink.status()["connected"])
        acquisition = Acquisition(1000, ("current", "voltage"), 1e-6, 0.1, 20.0)
        found.feed.publish(FeedStart("r1", "floor", "smu", 0, "floor", "p", Mode.ALWAYS_ON, MarkStyle.GATE, acquisition, 1))

        def three_nanojoule(first: int) -> FeedBlock:
            values = np.full(1000, 1e-3, np.float32)
            return FeedBlock(Block(first, 0, 1000, values, np.full(1000, 3.0, np.float32)), 0, first, trigger=False, t_ns=1)

        async with listening(running.port) as (heard, _):
            found.feed.publish(three_nanojoule(0))
            (before, *_) = await heard.until("statistics", 1)
        running.stop()
        await until(lambda: not found.sink.status()["connected"])
        found.feed.publish(three_nanojoule(1000))
        running.start()
        async with listening(running.port) as (heard, _):
            await until(lambda: found.sink.status()["connected"])
            found.feed.publish(three_nanojoule(2000))
            await heard.until("statistics", 1)
        assert before["energy"] == pytest.approx(3e-6)
        assert heard.on("statistics")[-1]["energy"] == pytest.approx(9e-6)


async def test_runs_of_other_benches_in_the_store_are_not_told_here(tmp_path: Path, running: Broker) -> None:
    async with listening(running.port) as (heard, _), lab(tmp_path, running.port) as found:
        await found.log(await found.begin("Bench 2"), NewsKind.NOTICE, "taken in from an archive")
        await found.log(await found.begin(), NewsKind.NOTICE, "of this bench")
        await heard.until("events", 1)
        await until(lambda: found.sink.status()["waiting"] == 0)
        assert [one["text"] for one in heard.on("events")] == ["of this bench"]


async def test_a_broker_that_is_not_there_costs_nothing_but_time(tmp_path: Path) -> None:
    async with lab(tmp_path, 1) as found:
        run = await found.begin()
        await found.log(run, NewsKind.NOTICE, "heard by nobody")
        await until(lambda: bool(found.sink.status()["error"]))
        assert found.sink.status()["connected"] is False
