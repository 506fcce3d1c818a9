"""Energy per inference out of somebody else's trace: windows from the edges of its timestamp pin, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from labd.errors import FileError
from labd.interchange.foreign import ForeignFigure
from labd.kpi.distributions import normal_quantile, student_quantile
from labd.records import Provenance

WINDOWS = 5
LENGTH_S = 10.0  # both of MLPerf Tiny's energy rule
ENERGY = "energy_per_inference.mlperf_median"
RATE = "inference_rate.back_to_back"
NORMAL = normal_quantile(0.975)  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class EnergyTrace:
    """energy_j: of each sample, in joules, one after the other without a gap, the first from 0 s on."""

    energy_j: NDArray[np.float64]
    rate_hz: float

    @property
    def length_s(self) -> float:
        return len(self.energy_j) / self.rate_hz

    def until(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Energy from 0 s to each instant, in J; a sample that an instant cuts counts by its share."""
        sums = np.concatenate(([0.0], np.cumsum(self.energy_j)))
        return np.interp(t_s * self.rate_hz, np.arange(len(sums)), sums)

    def power_w(self, t_s: float) -> float:
        """The larger of the samples beside an instant: what a shift of it is worth at most."""
        k = round(t_s * self.rate_hz)
        return float(np.abs(self.energy_j[max(k - 2, 0) : k + 2]).max(initial=0.0)) * self.rate_hz


@dataclass(frozen=True, slots=True)
class EnergyWindow:
    """u_edge_j: what the places of both edges are not known by."""

    start_s: float
    end_s: float
    energy_j: float
    u_edge_j: float
    inferences: int

    @property
    def per_inference_j(self) -> float:
        return self.energy_j / self.inferences

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def derive(trace: EnergyTrace, pairs: Sequence[tuple[float, float]], *, step_s: float, inferences: int) -> tuple[EnergyWindow, ...]:
    """One window a pair of instants in seconds, which lie in the trace. step_s: of the timestamps. Each edge is taken to lie within
    one step, or one sample where that is longer, on either side of where it is said to be: u(t) = step / sqrt(3), and a shift is worth the
    larger power beside the edge (JCGM 100:2008, 4.3.7)."""
    u_t = max(step_s, 1 / trace.rate_hz) / math.sqrt(3)
    found = []
    for start, end in pairs:
        first, last = trace.until(np.array([start, end]))
        u = u_t * math.hypot(trace.power_w(start), trace.power_w(end))
        found.append(EnergyWindow(start, end, float(last - first), u, inferences))
    return tuple(found)


def figures(windows: Sequence[EnergyWindow], *, source: str, model: str, meter_limit: float | None, conditions: str) -> list[ForeignFigure]:
    """Median energy per inference and median rate of the windows, as labd computes them; at least one window."""
    energies = [window.per_inference_j for window in windows]
    least_u = max(window.u_edge_j / window.inferences for window in windows)
    value, spread = median_with_u(energies)
    if spread is not None and spread >= least_u:
        u, wide = spread, t_factor(len(energies) - 1) * spread
    else:
        u, wide = least_u, NORMAL * least_u
    limit = (meter_limit or 0.0) * abs(value) / math.sqrt(3)
    wide = math.hypot(wide, NORMAL * limit)
    meter = (
        "the meter's own limits of error are not in it: no file tells them"
        if meter_limit is None
        else f"meter within {meter_limit:g} of its reading"
    )
    said = "; ".join(
        filter(None, (conditions, judged([w.length_s for w in windows]), f"u: scatter of the windows or their edges, {meter}"))
    )
    energy = ForeignFigure(
        ENERGY,
        value,
        "J",
        source,
        Provenance.COMPUTED,
        u=math.hypot(u, limit),
        least=value - wide,
        most=value + wide,
        model=model,
        batch=1,
        conditions=said,
    )
    rates = [window.inferences / window.length_s for window in windows]
    return [energy, rate_figure(rates, source=source, model=model, conditions=conditions)]


def rate_figure(rates_hz: Sequence[float], *, source: str, model: str, conditions: str) -> ForeignFigure:
    """Median of the windows' rates of inferences back to back, with its interval where there is more than one window."""
    rate, u = median_with_u(rates_hz)
    wide = None if u is None else t_factor(len(rates_hz) - 1) * u
    least, most = (None, None) if wide is None else (rate - wide, rate + wide)
    return ForeignFigure(
        RATE, rate, "Hz", source, Provenance.COMPUTED, u=u, least=least, most=most, model=model, batch=1, conditions=conditions
    )


def median_with_u(values: Sequence[float]) -> tuple[float, float | None]:
    """Median and its standard uncertainty by scatter that is taken to be normal: s sqrt(pi / (2 n)), which is the limit for many values and
    5 % too large for five. None for one value."""
    value = float(np.median(values))
    if len(values) < 2:
        return value, None
    return value, float(np.std(values, ddof=1)) * math.sqrt(math.pi / (2 * len(values)))


@cache
def t_factor(dof: int) -> float:
    """Half width of a 95 % interval of Student's t over its standard uncertainty."""
    return student_quantile(0.975, dof)


def judged(lengths_s: Sequence[float]) -> str:
    """How the windows stand to MLPerf Tiny's rule: five of at least 10 s."""
    short = sum(length < LENGTH_S for length in lengths_s)
    parts = [f"{len(lengths_s)} windows, shortest {min(lengths_s):.4g} s"]
    if len(lengths_s) != WINDOWS:
        parts.append(f"MLPerf Tiny's rule asks for exactly {WINDOWS}")
    if short:
        parts.append(f"{short} shorter than the rule's {LENGTH_S:g} s")
    return ", ".join(parts)


def paired(edges_s: Sequence[float], *, windows: int | None, file: str) -> list[tuple[float, float]]:
    """Start and end of each window. Before the first one the pin may fall any number of times, at boot and when asked for (`timestamp%`):
    the last pairs count. windows: how many the log tells, None where there is no log: as many as there are pairs. Raises FileError."""
    pairs = len(edges_s) // 2 if windows is None else windows
    if pairs < 1 or len(edges_s) < 2 * pairs:
        need = "2 for a window" if windows is None else f"{2 * pairs} for the {windows} windows of the log"
        text = (
            f"expected at least {need}, got {len(edges_s)} timestamps; is the timestamp pin wired, and the firmware built for energy mode?"
        )
        raise FileError(file, "timestamps", text)
    last = list(edges_s)[len(edges_s) - 2 * pairs :]
    return list(zip(last[::2], last[1::2], strict=True))
