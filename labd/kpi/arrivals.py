"""Events that come at random, and how long to stay awake for the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uncertainties import umath

from labd.kpi.break_even import BEYOND
from labd.kpi.capture import CaptureResult
from labd.kpi.closure import pooled
from labd.kpi.draws import Draws
from labd.kpi.estimate import NOT_RESOLVED, Estimate, published, withheld
from labd.kpi.mode_fit import ModeFit
from labd.kpi.rate_model import Line
from labd.kpi.terms import Terms, Uncertain
from labd.records import KpiRecord, Provenance, Role

NO_READY = "no capture tells where the board is ready (mark style phases)"
TAIL_IS_CHEAPER = "the tail takes no more than sleep: staying awake always pays"
TWICE = "waiting this long costs at most twice what knowing the next arrival would (ski rental)"


@dataclass(frozen=True, slots=True)
class Costs:
    """What an event in a mode that sleeps is made of. waking_j, serving_j: net of sleep, waking until ready, then the inference. sleep_w,
    tail_w: power asleep, and awake while waiting. serving_s: how long an event keeps the board from waiting; tail_s: the time-out that was
    measured. captures: keys."""

    sleep_w: Uncertain
    tail_w: Uncertain
    waking_j: Uncertain
    serving_j: Uncertain
    serving_s: Uncertain
    tail_s: Uncertain
    n: int
    captures: tuple[str, ...]

    @property
    def best_time_out_s(self) -> Uncertain:
        """tau = (E_wake + E_load) / (P_tail - P_sleep): where staying awake has cost as much as waking again."""
        return self.waking_j / (self.tail_w - self.sleep_w)

    def power_at(self, rate_hz: float, time_out_s: Uncertain) -> Uncertain:
        """Mean power (W) of Poisson arrivals (metrology note 2.1), queueing neglected: with a = exp(-lambda t_i), q = exp(-lambda tau)
        P = P_s + lambda (E_i' + a q E_w') + (P_t - P_s) a (1 - q), energies net of sleep."""
        idle = umath.exp(-rate_hz * self.serving_s)
        asleep = umath.exp(-rate_hz * time_out_s)
        awake_w = (self.tail_w - self.sleep_w) * idle * (1 - asleep)
        return self.sleep_w + rate_hz * (self.serving_j + idle * asleep * self.waking_j) + awake_w


def costs(own: Sequence[CaptureResult], line: Line, *, terms: Terms) -> Costs | str:
    """Of one event mode from its captures and its line (without detector), or the reason why there are none."""
    names = ("part_energy.waking", "part_energy.serving", "part_energy.tail", "part_time.waking", "part_time.serving", "part_time.tail")
    found = {name: pooled(own, name, terms=terms) for name in names}
    told = {name: value for name, value in found.items() if value is not None}
    if not told:
        return NO_READY
    if len(told) < len(names):
        return NOT_RESOLVED
    value = {name: one[0] for name, one in told.items()}
    floor = line.floor
    return Costs(
        sleep_w=floor,
        tail_w=value["part_energy.tail"] / value["part_time.tail"],
        waking_j=value["part_energy.waking"] - floor * value["part_time.waking"],
        serving_j=value["part_energy.serving"] - floor * value["part_time.serving"],
        serving_s=value["part_time.serving"],
        tail_s=value["part_time.tail"],
        n=told[names[0]][1],
        captures=told[names[0]][2],
    )


def random_arrivals(
    fit: ModeFit, own: Sequence[CaptureResult], rates_hz: Sequence[float], *, terms: Terms, draws: Draws
) -> list[KpiRecord]:
    """The best time-out of an event mode, and its mean power at each rate with the time-out measured and with the best one. Nothing of a
    mode without event captures."""
    if not any(capture.role is Role.EVENT for capture in own):
        return []
    found = costs(own, fit.line, terms=terms)
    keys = tuple(c.key for c in own if c.role is Role.EVENT)
    if isinstance(found, str):
        return [withheld("best_time_out", fit.at, reason=found, captures=keys)]
    dearer = found.tail_w - found.sleep_w
    if float(dearer.nominal_value) - draws.half_width(dearer) <= 0:
        return [withheld("best_time_out", fit.at, reason=TAIL_IS_CHEAPER, captures=keys)]
    captures = tuple(dict.fromkeys((*fit.captures, *found.captures)))
    best = found.best_time_out_s
    note = f"{TWICE}; of Poisson arrivals above {1 / float(best.nominal_value):.3g} /s staying awake pays, below sleeping at once"
    records = [_published(Estimate("best_time_out", fit.at, best, found.n, note=note), captures, draws)]
    for rate in rates_hz:
        at, flags = f"{fit.at}/r={rate:g}", (BEYOND,) if fit.r_max_hz is not None and rate > fit.r_max_hz else ()
        for kpi, time_out in (("poisson_power.as_measured", found.tail_s), ("poisson_power.best_time_out", best)):
            told = f"time-out {float(time_out.nominal_value) * 1e3:.4g} ms"
            records.append(_published(Estimate(kpi, at, found.power_at(rate, time_out), found.n, flags, note=told), captures, draws))
    return records


def _published(estimate: Estimate, captures: tuple[str, ...], draws: Draws) -> KpiRecord:
    return published(estimate, draws=draws, captures=captures, provenance=Provenance.COMPUTED)
