"""A run that is played into a store, sample by sample, beside a sink that sends it; and both sides' account of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labd.influx.replay import Raw, Sent, Stored, replay
from labd.influx.secrets import server_of
from labd.influx.section import InfluxSection
from labd.influx.sink import Around, InfluxSink
from labd.influx.transport import transport_of
from labd.records import Event, KpiRecord, MarkStyle, Mode, OperatingPoint, Provenance, Role
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import NewRun, PlannedCapture, RunState
from labd.store.session import CatalogueSession
from labd.store.trace_reader import read_trace
from labd.store.trace_writer import TraceWriter
from labd.stream.feed import Feed, FeedBlock, FeedStart
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind
from labd.stream.session import InstrumentSession
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition
from tests.influx.servers import Asked

SOON_S = 40.0
DT_NS = 100_000
POINT = OperatingPoint(Mode.EVENT_SLEEP, 5.0, 3.3, "dnn")
BLOCK = 2000  # samples: 0.2 s
BOARD = "m4 rev. B"
EFFECTIVE = {"board": {"file": "m4.toml", "board": {"name": BOARD}}}
ACQUISITION = Acquisition(DT_NS, ("current", "voltage"), DT_NS * 1e-9, 0.1, 5.0)
FIGURE = KpiRecord("power.mean", POINT.key, 1e-3, "W", 1e-5, 9.8e-4, 1.02e-3, 3, Provenance.MEASURED, "mean")
SAID: dict[str, dict[str, Any]] = {  # what a daemon says of itself: docs/reference/influx.md
    "bench": {
        "state": "measuring", "in_use": 1, "plan": "sweep", "queue_waiting": 2, "queue_paused": 0, "alarms": 0, "guard": 1,
        "resident": 10**8, "free": 10**11, "descriptors": 40, "threads": 12, "tasks": 30, "uptime": 1.5,
    },
    "influx": {
        "waiting": 3, "waiting_bytes": 4096, "oldest": 0.5, "sent": 100, "rejected": 0, "dropped": 0, "retries": 1,
        "connected": 1, "latency": 0.125,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """What a side holds: points of `power`, valid samples in them, energy (J), charge (C), events, figures."""

    samples: int
    energy_j: float
    charge_c: float
    events: tuple[tuple[int, str, str], ...]
    figures: int


@dataclass(slots=True)
class Lab:
    """points: of the captures, in turn. rate_hz: of summaries, as the bench file says it when a run begins. began_ns: UTC of the next
    capture's first sample. now_ns: UTC of what is told."""

    catalogue: CatalogueSession
    points: Sequence[OperatingPoint] = (POINT,)
    rate_hz: float = 100.0
    news: Hub[News] = field(default_factory=Hub)
    feed: Hub[Feed] = field(default_factory=Hub)
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    run: str = ""
    began_ns: int = field(default_factory=time.time_ns)
    order: int = 0
    now_ns: Callable[[], int] = time.time_ns

    async def begin(self, captures: int, bench: str = "lab") -> None:
        planned = [PlannedCapture(self.key(n), Role.MEAN, self.point(n), n) for n in range(captures)]
        effective = {"bench": {"influx": {"rate": {"value": self.rate_hz, "unit": "/s"}}}, **EFFECTIVE}
        new = NewRun(bench, "", "a plan, with a comma", "", effective)
        row = await self.catalogue.do(lambda c: c.runs.create(new, planned, now_ns=self.now_ns()))
        self.run, self.order = row.id, 0
        await self.tell(NewsKind.RUN_STARTED, "begins")

    def point(self, order: int) -> OperatingPoint:
        return self.points[order % len(self.points)]

    def key(self, order: int) -> str:
        return f"{self.point(order).key} mean {order}"

    async def tell(self, kind: NewsKind, text: str, capture: str = "") -> None:
        event = Event(self.now_ns(), kind, text, capture)
        await self.catalogue.do(lambda c: c.runs.log(self.run, event))
        self.news.publish(News(event.t_ns, kind, text, run=self.run))

    async def capture(self, blocks: int, *, pause_s: float = 0.0, bad: Sequence[float] = ()) -> None:
        """One more capture of the run; its time follows that of the one before. bad: currents at the beginning of each block."""
        key, point = self.key(self.order), self.point(self.order)
        await self.tell(NewsKind.CAPTURE_STARTED, key, key)
        row = await self.catalogue.do(lambda c: c.captures.begin(self.run, key, now_ns=self.now_ns()))
        start = FeedStart(self.run, key, "smu", self.order, "mean", point.key, point.mode, MarkStyle.GATE, ACQUISITION, self.began_ns)
        self.feed.publish(start)
        with TraceWriter(self.catalogue.folder / row.trace, capture=self.facts(key, point)) as writer:
            writer.know(utc_ns=self.began_ns)
            for n in range(blocks):
                current = self.chance.uniform(1e-6, 2e-2, BLOCK).astype(np.float32)
                current[: len(bad)] = bad
                voltage = self.chance.normal(3.3, 1e-3, BLOCK).astype(np.float32)
                block = Block(n * BLOCK, n * BLOCK * DT_NS, DT_NS, current, voltage)
                writer.write(block)
                self.feed.publish(FeedBlock(block, 0, n * BLOCK, False, time.time_ns()))
                await asyncio.sleep(pause_s)
        self.began_ns += (blocks * BLOCK + 1) * DT_NS
        ended_ns, samples = self.now_ns(), writer.samples
        await self.catalogue.do(lambda c: c.captures.finish(self.run, key, samples=samples, stretches=1, now_ns=ended_ns))
        await self.tell(NewsKind.CAPTURE_ENDED, key, key)
        self.order += 1

    def facts(self, key: str, point: OperatingPoint) -> dict[str, Any]:
        return {"run": self.run, "key": key, "role": "mean", "point": to_json(point)}

    async def figures(self, records: Sequence[KpiRecord]) -> None:
        """On the way."""
        await self.catalogue.do(lambda c: c.kpis.put(self.run, records))
        self.news.publish(News(time.time_ns(), NewsKind.KPIS, "figures so far", run=self.run, data={"final": False}))

    async def end(self, records: Sequence[KpiRecord] = (FIGURE, FIGURE)) -> None:
        await self.catalogue.do(lambda c: c.kpis.put(self.run, records))
        await self.catalogue.do(lambda c: c.runs.end(self.run, RunState.FINISHED))
        await self.tell(NewsKind.RUN_ENDED, "finished")

    async def stored(self) -> Account:
        return await self.catalogue.read(lambda c: stored(c, self.run))


@asynccontextmanager
async def lab(folder: Path) -> AsyncIterator[Lab]:
    async with CatalogueSession(folder) as catalogue:
        yield Lab(catalogue)


@asynccontextmanager
async def sinking(found: Lab, url: str, folder: Path, **given: Any) -> AsyncIterator[InfluxSink]:
    """A sink of the lab for the length of the block; it may be entered again and again."""

    async def itself() -> dict[str, dict[str, Any]]:
        return SAID

    section = InfluxSection.model_validate({"url": url, **given})
    sink = InfluxSink(section, "lab", Around(found.catalogue, found.news, found.feed, folder, itself))
    task = asyncio.create_task(sink.run(), name="influx")
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def replayed(found: Lab, server: Asked, raw: Raw | None = None, *, pause_s: float = 0.0, **given: Any) -> list[Sent]:
    """A run of the lab, once more. pause_s: after each request."""
    section = InfluxSection.model_validate({"url": server.url, **server.given, **given})
    there = server_of(section, found.catalogue.folder)
    async with InstrumentSession("replay") as reader, transport_of(section.api, there) as transport:
        catalogue = await reader.call(partial(Catalogue.open_read_only, found.catalogue.folder), deadline_s=SOON_S)
        sent: list[Sent] = []
        async for one in replay(Stored(catalogue, reader, found.run), section, transport, raw=raw):
            sent.append(one)
            await asyncio.sleep(pause_s)
        await reader.call(catalogue.close, deadline_s=SOON_S)
    return sent


def stored(catalogue: Catalogue, run: str) -> Account:
    traces = [read_trace(catalogue.folder / row.trace) for row in catalogue.captures.of(run) if row.trace]
    parts = [stretch for trace in traces for stretch in trace.stretches]
    energy = charge = 0.0
    for part in parts:
        assert part.current is not None
        assert part.voltage is not None
        current = part.current.astype(np.float64)
        charge += float(np.nansum(current)) * part.dt_ns * 1e-9
        energy += float(np.nansum(current * part.voltage)) * part.dt_ns * 1e-9
    events = tuple((event.t_ns, str(event.kind), event.text) for event in catalogue.runs.events(run))
    return Account(sum(trace.samples for trace in traces), energy, charge, events, len(catalogue.kpis.of(run)))


def arrived(server: Asked, run: str) -> Account:
    sums = server.ask(f'SELECT SUM("n") AS n, SUM("energy") AS e, SUM("charge") AS c FROM power WHERE run = \'{run}\'')
    events = server.ask(f'SELECT "text", "kind", "n" FROM event WHERE run = \'{run}\'')
    figures = server.ask(f"SELECT COUNT(\"value\") AS n FROM kpi WHERE run = '{run}' AND final = 1")
    row = sums[0] if sums else {"n": 0, "e": 0.0, "c": 0.0}
    told = tuple((int(one["time"]), str(one["kind"]), str(one["text"])) for one in sorted(events, key=lambda one: one["n"]))
    return Account(int(row["n"] or 0), row["e"] or 0.0, row["c"] or 0.0, told, int(figures[0]["n"]) if figures else 0)


async def until_arrived(server: Asked, found: Lab) -> tuple[Account, Account]:
    """Waits for as many samples, events and figures as are stored; returns both accounts, the store's first."""
    end_s = time.monotonic() + SOON_S
    wanted = await found.stored()
    while True:
        got = await asyncio.to_thread(arrived, server, found.run)
        if (got.samples, len(got.events), got.figures) == (wanted.samples, len(wanted.events), wanted.figures):
            return wanted, got
        if time.monotonic() > end_s:
            raise AssertionError(f"not all arrived within {SOON_S:g} s: stored {wanted.samples}, {len(wanted.events)}; there {got}")
        await asyncio.sleep(0.1)
