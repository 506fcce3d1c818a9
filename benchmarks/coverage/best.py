"""How narrow an interval could be: half-widths of the best estimator of the metrology note, for who sees each event without noise.

Guard bands (3.1), so that edges cost the idle power times their delay; the rows of the budget (3.2) with the limits that the bench file
declares and the sums of the board's own account; Type A of the true events (3.3); the interval by draws (Supplement 1). Nothing here comes
from labd's analysis, and the noise and drift of the instrument are left out, which only makes the intervals narrower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.lab import TruthRecord
from benchmarks.accuracy.truth import duration, net_energy
from labd.bench_file import Bench

DRAWS = 20_000
LEVEL = 0.95
ON_A = 5e-3  # what a board that is awake draws at least; the range that holds it measures its bursts
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a bench: half-widths of rectangular errors. current: full scale to gain and offset. wired_ohm: of both leads."""

    current: Mapping[float, tuple[float, float]]
    voltage: tuple[float, float]
    timebase: float
    line_s: float
    wired_ohm: float


def limits_of(bench: Bench) -> Limits:
    smu = bench.instruments["smu"]
    rows = list(smu.accuracy_rows())
    assert smu.timebase is not None
    assert smu.lead_resistance is not None
    return Limits(
        {row.full_scale: (row.gain, row.offset) for row in rows if row.quantity == "current"},
        next((row.gain, row.offset) for row in rows if row.quantity == "voltage"),
        smu.timebase.limit,
        smu.trigger_latency or 0.0,
        2 * smu.lead_resistance.half_width if smu.sense == "2-wire" else 0.0,
    )


class Errors:
    """Draws of every error of one unit, shared by all that it measures."""

    def __init__(self, limits: Limits, seed: int) -> None:
        self.limits = limits
        self._rng = np.random.default_rng(seed)
        self._rows: dict[str, Floats] = {}

    def unit(self, name: str) -> Floats:
        """Uniform on -1..1; the same for the same name."""
        if name not in self._rows:
            self._rows[name] = self._rng.uniform(-1, 1, DRAWS)
        return self._rows[name]

    def scatter(self, series: Sequence[float]) -> Floats:
        """Of the mean of a series, and nothing else's."""
        u, dof = type_a(np.asarray(series, dtype=np.float64))
        return u * self._rng.standard_t(dof, DRAWS)

    def power(self, watt: float, volt: float, *, shares: Mapping[float, float], square_a2: float = 0.0) -> Floats:
        """Of a mean power (of an energy: times its duration). shares: of the time in each current range, of which the first measures
        nearly all of the power. square_a2: mean square of the current."""
        main = next(iter(shares))
        gain_v, offset_v = self.limits.voltage
        error = watt * (self.limits.current[main][0] * self.unit(f"gain {main}") + gain_v * self.unit("gain of voltage"))
        error += watt / volt * offset_v * self.unit("offset of voltage") + square_a2 * self.limits.wired_ohm * self.unit("leads")
        for full_scale, share in shares.items():
            error += share * volt * self.limits.current[full_scale][1] * self.unit(f"offset {full_scale}")
        return error


def half_width(errors: Floats) -> float:
    return float(np.quantile(np.abs(errors), LEVEL))


def type_a(series: Floats) -> tuple[float, float]:
    """Standard uncertainty of the mean, and degrees of freedom (metrology note 3.3)."""
    n = len(series)
    rest = series - series.mean()
    square = float(rest @ rest)
    if not square:
        return 0.0, math.inf
    rhos = [float(rest[m:] @ rest[:-m]) / square for m in range(1, n - 1)]
    rho = min(max(rhos[0] + (1 + 3 * rhos[0]) / n, 0.0), 0.98)
    sokal = 1.0
    for m, each in enumerate(rhos, 1):
        sokal += 2 * each
        if m >= 2.5 * sokal:
            break
    factor = min(max(sokal, (1 + rho) / (1 - rho), 1.0), n / 3)
    return math.sqrt(square / (n - factor) * factor / n), max(n / factor - 1, 1.0)


@dataclass(frozen=True, slots=True)
class Account:
    """What the board itself wrote of the events of a capture. rest: at, in W."""

    events: Sequence[TruthRecord]
    ranges_a: Sequence[float]

    def mean(self, name: str) -> float:
        return float(np.mean([e[name] for e in self.events]))

    @property
    def volt(self) -> float:
        return self.mean("energy_j") / self.mean("charge_c")

    @property
    def rest_w(self) -> float:
        return float(np.mean([e["rest"]["settled_power_w"] for e in self.events]))

    @property
    def burst_range(self) -> float:
        return self.range_for(ON_A)

    @property
    def rest_range(self) -> float:
        return self.range_for(self.rest_w / self.volt)

    def range_for(self, ampere: float) -> float:
        return next((one for one in self.ranges_a if one >= ampere), self.ranges_a[-1])

    def infer_j(self) -> list[float]:
        return [float(e["load_j"]["infer"]) for e in self.events]

    def infer_s(self) -> list[float]:
        return [duration(e, "start_ns", "end_ns") for e in self.events]

    def on_s(self) -> list[float]:
        """While code runs: what the oscillator's start draws before is measured in the range of rest."""
        return [duration(e, "awake_ns", "asleep_ns") for e in self.events]

    def net_j(self) -> list[float]:
        return [net_energy(e) for e in self.events]


def of_gross(errors: Errors, seen: Account) -> Floats:
    joule, second = float(np.mean(seen.infer_j())), float(np.mean(seen.infer_s()))
    watt = joule / second
    own = errors.power(watt, seen.volt, shares={seen.burst_range: 1.0}, square_a2=(watt / seen.volt) ** 2)
    edges = seen.rest_w * errors.limits.line_s * (errors.unit("line start") - errors.unit("line end"))
    return own * second + joule * errors.limits.timebase * errors.unit("timebase") + edges + errors.scatter(seen.infer_j())


def of_net(errors: Errors, seen: Account, *, scatter: bool = True) -> Floats:
    """Of the energy above rest: the offset of one range cancels."""
    joule, second = float(np.mean(seen.net_j())), float(np.mean(seen.on_s()))
    shares = {seen.burst_range: 1.0}
    shares[seen.rest_range] = shares.get(seen.rest_range, 0.0) - 1.0
    ampere = (joule / second + seen.rest_w) / seen.volt
    own = errors.power(joule / second, seen.volt, shares=shares, square_a2=ampere**2 - (seen.rest_w / seen.volt) ** 2)
    found = own * second + joule * errors.limits.timebase * errors.unit("timebase")
    return found + errors.scatter(seen.net_j()) if scatter else found


def of_mean_power(errors: Errors, seen: Account, *, watt: float, rate_hz: float) -> Floats:
    on = rate_hz * float(np.mean(seen.on_s()))
    shares = {seen.burst_range: on}
    shares[seen.rest_range] = shares.get(seen.rest_range, 0.0) + 1.0 - on
    burst_a = (float(np.mean(seen.net_j())) / float(np.mean(seen.on_s())) + seen.rest_w) / seen.volt
    return errors.power(watt, seen.volt, shares=shares, square_a2=on * burst_a**2) + rate_hz * errors.scatter(seen.net_j())


def of_rest(errors: Errors, *, watt: float, volt: float, full_scale: float) -> Floats:
    return errors.power(watt, volt, shares={full_scale: 1.0})


def of_duration(errors: Errors, series: Sequence[float], edges: tuple[str, str]) -> Floats:
    delays = errors.limits.line_s * (errors.unit(f"line {edges[0]}") - errors.unit(f"line {edges[1]}"))
    return float(np.mean(series)) * errors.limits.timebase * errors.unit("timebase") + delays + errors.scatter(series)
