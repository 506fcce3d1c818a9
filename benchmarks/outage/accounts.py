"""What the store holds of a run and what a server has of it, counted apart from the code that sends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.torture.found import Found
from labd.store.catalogue import Catalogue
from labd.store.trace import Stretch
from labd.store.trace_reader import read_trace
from tests.influx.servers import Influxd, Victoria

T = TypeVar("T")

RATE_HZ = 100.0  # influx.rate, unless a case says another
AGREE = 1e-12  # sums of the same doubles in another order
VICTORIA_AGREE = 1e-9  # keeps some 12 digits of a value
POLL_S = 0.2
Told = tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """points: of `power`; samples: finite ones in them; energy (J), charge (C); events: time, kind and text, in order; figures: final."""

    points: int
    samples: int
    energy_j: float
    charge_c: float
    events: Told
    figures: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.points, self.samples, len(self.events), self.figures

    def __str__(self) -> str:
        return (
            f"{self.points} points of {self.samples} samples, {self.energy_j:.12g} J, {self.charge_c:.12g} C, {len(self.events)} events, "
            f"{self.figures} figures"
        )


def stored(store: Path, run: str, *, rate_hz: float = RATE_HZ) -> Account:
    """Of every trace file of the run, those of attempts that were cut off too. Raises LabdError."""
    points = samples = 0
    energy_j = charge_c = 0.0
    for name in sorted({path.name.split(".")[0] for path in (store / "traces" / run).iterdir()}):
        for part in read_trace(store / "traces" / run / f"{name}.parquet").stretches:
            points += -(-len(part) // max(1, round(1e9 / (rate_hz * part.dt_ns))))
            count, energy, charge = _sums(part)
            samples, energy_j, charge_c = samples + count, energy_j + energy, charge_c + charge
    with Catalogue.open_read_only(store) as catalogue:
        events = tuple((event.t_ns, str(event.kind), event.text) for event in catalogue.runs.events(run))
        return Account(points, samples, energy_j, charge_c, events, len(catalogue.kpis.of(run)))


def _sums(part: Stretch) -> tuple[int, float, float]:
    """Finite samples, their energy (J) and charge (C)."""
    assert part.current is not None
    assert part.voltage is not None
    current = part.current.astype(np.float64)
    power = current * part.voltage
    dt_s = part.dt_ns * 1e-9
    good = np.isfinite(current)
    return int(good.sum()), float(power[np.isfinite(power)].sum() * dt_s), float(current[good].sum() * dt_s)


def arrived(server: Influxd, run: str, database: str = "labd") -> Account:
    sums = ", ".join(f'{what}("{field}") AS {name}' for what, field, name in _SUMS)
    rows = server.ask(f"SELECT {sums} FROM power WHERE run = '{run}'", database)
    told = server.ask(f'SELECT "text", "kind", "n" FROM event WHERE run = \'{run}\'', database)
    figures = server.ask(f"SELECT COUNT(\"n\") AS n FROM kpi WHERE run = '{run}' AND final = 1", database)
    row = rows[0] if rows else dict.fromkeys(("points", "samples", "energy", "charge"), 0)
    events = tuple((int(one["time"]), str(one["kind"]), str(one["text"])) for one in sorted(told, key=lambda one: int(one["n"])))
    count = int(figures[0]["n"]) if figures else 0
    return Account(int(row["points"]), int(row["samples"]), float(row["energy"]), float(row["charge"]), events, count)


_SUMS = (("COUNT", "n", "points"), ("SUM", "n", "samples"), ("SUM", "energy", "energy"), ("SUM", "charge", "charge"))


@dataclass(frozen=True, slots=True)
class Counted:
    """A server that keeps what it is sent twice. twice: values of `power` that came more than once."""

    points: int
    samples: int
    energy_j: float
    charge_c: float
    twice: int


def counted(server: Victoria, run: str) -> Counted:
    """Each value once, where it came twice too."""
    sums: dict[str, float] = {}
    points = twice = 0
    for name in ("n", "energy", "charge"):
        sums[name] = 0.0
        for series in server.export(f'power_{name}{{run="{run}"}}'):
            values = dict(zip(series["timestamps"], series["values"], strict=True))
            sums[name] += sum(values.values())
            if name == "n":
                points += len(values)
                twice += len(series["values"]) - len(values)
    return Counted(points, round(sums["n"]), sums["energy"], sums["charge"], twice)


def until_counts(there: Callable[[], T], enough: Callable[[T], bool], *, within_s: float) -> T:
    """What is there when it is enough, or at last."""
    end_s = time.monotonic() + within_s
    while not enough(found := there()) and time.monotonic() < end_s:
        time.sleep(POLL_S)
    return found


def compare(found: Found, stored: Account, there: Account, what: str) -> None:
    """Counts and events to the last, sums to `AGREE`; says both sides."""
    found.expect(stored.points > 0, f"{what}: nothing is stored, so that nothing is shown")
    found.expect(there.counts == stored.counts, f"{what}: stored {stored}; there {there}")
    found.expect(there.events == stored.events, f"{what}: the events that are there are not those that are stored")
    for name in ("energy_j", "charge_c"):
        agrees(found, getattr(stored, name), getattr(there, name), f"{what}: {name}")
    found.say(f"{what}: stored {stored}; there {there}")


def agrees(found: Found, stored: float, there: float, what: str, *, within: float = AGREE) -> None:
    found.expect(abs(there - stored) <= within * abs(stored), f"{what} stored {stored!r}, there {there!r}")
