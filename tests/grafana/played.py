"""Runs that were played beside labd's own sink: what the store holds of them, and the points that the sink made of it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from labd.records import KpiRecord, Mode, OperatingPoint, Phase, Provenance, Window
from labd.store.catalogue import Catalogue
from labd.store.trace_reader import read_trace
from labd.stream.news import NewsKind
from tests.grafana.seeds import Point
from tests.influx.lab import DT_NS, FIGURE, SOON_S, Account, Lab, lab, sinking, stored, until_arrived
from tests.influx.reader import read
from tests.influx.servers import Influxd

BLOCKS = 4  # of 0.2 s a capture
PER_BUCKET = 100  # samples: 100 summaries a second
MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)
RATES_HZ = (0.0, 5.0)
PHASES = (Phase.SLEEP, Phase.WAKE, Phase.LOAD, Phase.INFER, Phase.TAIL, Phase.IDLE)
FIGURES = {
    "power.mean": "W",
    "power.floor": "W",
    "energy_per_inference.at_rate": "J",
    "energy_per_inference.gross": "J",
    "wake_up.total": "s",
    "latency.dut_counter.mean": "s",
}
OF_MODES = (("fit.floor_power", "event_sleep", "W"), ("break_even_rate", "always_on|event_sleep", "Hz"))


@dataclass(frozen=True, slots=True)
class Second:
    """Of a run, in the buckets that begin in it: energy (J), charge (C), length (s), lowest and highest power (W) and current (A)."""

    energy: float
    charge: float
    length: float
    power: tuple[float, float]
    current: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds of a run. by_second: by seconds since 1970."""

    account: Account
    captures: int
    inferences: int
    by_second: dict[int, Second]


@dataclass(frozen=True, slots=True)
class Played:
    """kept: by run. points: as they were put into the outbox, in their order."""

    kept: dict[str, Kept]
    points: list[Point]


async def played(folder: Path, server: Influxd) -> Played:
    """Two runs while the server is away, which then gets them from the outbox."""
    operating = [OperatingPoint(mode, rate, 3.3, "dnn") for mode in MODES for rate in RATES_HZ]
    server.kill()
    async with lab(folder / "store") as found:
        found.points, found.began_ns = operating, time.time_ns() - 60 * 10**9
        outbox, runs = folder / "store/outbox-influx.sqlite", []
        async with sinking(found, server.url, folder):
            for _ in range(2):
                await _run(found, outbox)
                runs.append(found.run)
        points = list(_merged(_waiting(outbox)))
        server.start()
        async with sinking(found, server.url, folder):
            for found.run in runs:
                await until_arrived(server, found)
        kept = {run: await found.catalogue.read(partial(_kept, run)) for run in runs}
    return Played(kept, points)


async def _run(found: Lab, outbox: Path) -> None:
    """As a daemon does it: figures on the way, phases by the analysis at the end."""
    await found.begin(len(found.points))
    for order in range(len(found.points)):
        await found.capture(BLOCKS)
        await found.catalogue.do(partial(_put_windows, found.run, found.key(order), _windows(order)))
        if order == 2:
            await found.tell(NewsKind.NOTICE, 'say "half way", \\ or so', found.key(order))
            await found.figures(_figures(found.points[: order + 1]))
            await _until(outbox, found.run, "kpi")
    energy_j = (await found.catalogue.read(partial(_kept, found.run))).account.energy_j
    await _until(outbox, found.run, "bench", "run_energy", pytest.approx(energy_j, rel=1e-6))
    await found.end(_figures(found.points))
    await _until(outbox, found.run, "kpi", "final", 1)


def _put_windows(run: str, key: str, windows: Sequence[Window], catalogue: Catalogue) -> None:
    catalogue.captures.put_windows(run, key, windows)


def _windows(order: int) -> list[Window]:
    """Three events, every phase of them 15 ms and more."""
    found, start_s = [], 0.01
    for event in range(3):
        for place, phase in enumerate(PHASES):
            end_s = start_s + 0.015 + 1e-3 * (event + place + order)
            found.append(Window(phase, start_s, end_s, 1e-6, 1e-6, 0, event))
            start_s = end_s
    return found


def _figures(points: Sequence[OperatingPoint]) -> list[KpiRecord]:
    """Those of operating points first, as an analysis has them."""
    found = [
        replace(FIGURE, id=name, at=point.key, unit=unit, value=v, u=0.01 * v, low=0.98 * v, high=1.03 * v)
        for place, point in enumerate(points)
        for index, (name, unit) in enumerate(FIGURES.items())
        for v in [1e-3 * (place + index + 1)]
    ]
    return found + [replace(FIGURE, id=name, at=at, unit=unit, provenance=Provenance.COMPUTED) for name, at, unit in OF_MODES]


async def _until(outbox: Path, run: str, measurement: str, field: str = "", value: object = None) -> None:
    """Such a point waits in the outbox; value None: any."""
    end_s = time.monotonic() + SOON_S
    while not any(_is(point, run, measurement, field, value) for point in _waiting(outbox)):
        assert time.monotonic() < end_s, f"no point of {measurement} with {field}"
        await asyncio.sleep(0.05)


def _is(point: Point, run: str, measurement: str, field: str, value: object) -> bool:
    of_run = run in (point.tags.get("run"), point.fields.get("run"))
    has = not field or (field in point.fields and value in (None, point.fields[field]))
    return point.measurement == measurement and of_run and has


def _waiting(outbox: Path) -> Iterator[Point]:
    """In the order in which they were put."""
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as db:
        bodies = [body for (body,) in db.execute("SELECT body FROM messages ORDER BY id")]
    for one in read(b"".join(bodies)):
        yield Point(one.measurement, one.tags, one.fields, one.t_ns)


def _merged(points: Iterable[Point]) -> Iterator[Point]:
    """A later point of the same series and time replaces the fields that it has."""
    found: dict[tuple[object, ...], Point] = {}
    for point in points:
        place = (point.measurement, *sorted(point.tags.items()), point.t_ns)
        found[place] = replace(point, fields={**found[place].fields, **point.fields}) if place in found else point
    yield from found.values()


def _kept(run: str, catalogue: Catalogue) -> Kept:
    rows = catalogue.captures.of(run)
    windows = [window for row in rows for window in catalogue.captures.windows(run, row.key)]
    inferences = sum(window.phase is Phase.INFER for window in windows)
    return Kept(stored(catalogue, run), len(rows), inferences, _by_second(catalogue, run))


def _by_second(catalogue: Catalogue, run: str) -> dict[int, Second]:
    """From the samples, each counted where its bucket begins."""
    t_s, current, power = (np.concatenate(parts) for parts in zip(*_samples(catalogue, run), strict=True))
    return {int(second): _second(current[t_s == second], power[t_s == second]) for second in np.unique(t_s)}


def _samples(catalogue: Catalogue, run: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    for row in catalogue.captures.of(run):
        trace = read_trace(catalogue.folder / row.trace)
        for part in trace.stretches:
            assert part.current is not None
            assert part.voltage is not None
            bucket = np.arange(len(part)) // PER_BUCKET
            t_ns = trace.capture["utc_ns"] + part.t0_ns + bucket * PER_BUCKET * part.dt_ns
            yield t_ns // 10**9, part.current.astype(np.float64), part.current.astype(np.float64) * part.voltage


def _second(current: NDArray[np.float64], power: NDArray[np.float64]) -> Second:
    dt_s = DT_NS * 1e-9
    ends = ((float(column.min()), float(column.max())) for column in (power, current))
    return Second(float(power.sum()) * dt_s, float(current.sum()) * dt_s, len(current) * dt_s, *ends)
