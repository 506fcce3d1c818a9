"""Captures with known truth: loads of piecewise constant current behind a first-order path, averaged over records exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd.kpi.inputs import CaptureInput, Lap, MeterTerms, RangeTerm, Stretch
from labd.records import MarkStyle, Mode, OperatingPoint, Role

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Dut:
    """Currents (A) and times (s) of a board at volt."""

    mode: Mode = Mode.EVENT_SLEEP
    volt: float = 3.0
    rest_a: float = 6e-6
    wake_a: float = 3e-3
    load_a: float = 5e-3
    infer_a: float = 12e-3
    tail_a: float = 1e-3
    wake_s: float = 1.2e-3
    load_s: float = 4e-3
    ready_s: float = 0.5e-3
    infer_s: float = 8.3e-3
    tail_s: float = 5e-3
    dispersion: float = 0.003

    @property
    def phases(self) -> list[tuple[str, float, float]]:
        """name, length, current of one event."""
        if self.mode == Mode.ALWAYS_ON:
            return [("infer", self.infer_s, self.infer_a)]
        load = [("load", self.load_s, self.load_a)] if self.mode == Mode.EVENT_RELOAD else [("load", 1e-3, self.wake_a)]
        return [
            ("wake", self.wake_s, self.wake_a),
            *load,
            ("setup", self.ready_s, self.wake_a),
            ("infer", self.infer_s, self.infer_a),
            ("tail", self.tail_s, self.tail_a),
        ]

    @property
    def on_s(self) -> float:
        return sum(length for _, length, _ in self.phases)

    def phase(self, name: str) -> tuple[float, float]:
        return next((length, amp) for n, length, amp in self.phases if n == name)

    @property
    def burst_j(self) -> float:
        return self.volt * sum(length * amp for _, length, amp in self.phases)

    @property
    def truth(self) -> dict[str, float]:
        """Expected values of the energy kinds."""
        infer = self.volt * self.infer_s * self.infer_a
        rest = self.volt * self.rest_a
        if self.mode == Mode.ALWAYS_ON:
            return {"gross": infer, "net_of_idle": infer - rest * self.infer_s}
        return {"gross": infer, "net_of_sleep": self.burst_j - rest * self.on_s, "per_event": self.burst_j}

    def mean_w(self, rate: float) -> float:
        return self.volt * self.rest_a + rate * (self.burst_j - self.volt * self.rest_a * self.on_s)


@dataclass(frozen=True)
class Bench:
    """An instrument and its real errors (within +-1 of its limits)."""

    dt_s: float = 204.8e-6
    tau_s: float = 10e-6
    stated_tau_s: float = 10e-6
    noise_a: float = 8e-6
    noise_v: float = 1e-4
    marker_noise_v: float = 0.01
    terms: MeterTerms = field(
        default_factory=lambda: MeterTerms("smu", (RangeTerm(0.1, 250e-6, 10e-6),), 250e-6, 1.2e-3, 50e-6, time_constant_s=10e-6)
    )
    errors: dict[str, float] = field(default_factory=dict)
    hum_a: float = 0.0


def draw_errors(rng: np.random.Generator) -> dict[str, float]:
    return {name: float(rng.uniform(-1, 1)) for name in ("gain", "offset", "v_gain", "v_offset", "timebase")}


def filtered_means(breaks: Float, levels: Float, edges: Float, tau: float) -> Float:
    """Mean over [edges[k], edges[k+1]) of a first-order response to levels[j] on [breaks[j], breaks[j+1]). Settled at the start."""
    start = np.maximum(np.searchsorted(breaks, edges, side="right") - 1, 0)
    y_break = np.empty(len(breaks))
    y_break[0] = levels[0]
    for j in range(1, len(breaks)):
        gone = np.exp(-(breaks[j] - breaks[j - 1]) / tau) if tau else 0.0
        y_break[j] = levels[j - 1] + (y_break[j - 1] - levels[j - 1]) * gone
    area = np.concatenate(([0.0], np.cumsum(levels[:-1] * np.diff(breaks))))
    given = area[start] + levels[start] * (edges - breaks[start])
    gone = np.exp(-(edges - breaks[start]) / tau) if tau else np.zeros(len(edges))
    y = levels[start] + (y_break[start] - levels[start]) * gone
    out: Float = np.diff(given - tau * (y - y[0])) / np.diff(edges)
    return out


def gate_means(on: Float, off: Float, edges: Float) -> Float:
    """Share of each record in which a gate is high; on[k] < off[k] ascending."""
    breaks = np.stack((on, off), axis=1).ravel()
    index = np.searchsorted(breaks, edges, side="right")
    area = np.concatenate(([0.0], np.cumsum(off - on)))
    k = index // 2
    inside = index % 2 == 1
    total = area[k] + np.where(inside, edges - on[np.minimum(k, len(on) - 1)], 0.0)
    out: Float = np.diff(total) / np.diff(edges)
    return out


def stretch(
    dut: Dut,
    bench: Bench,
    rng: np.random.Generator,
    begins: Float,
    *,
    length_s: float,
    style: MarkStyle = MarkStyle.PHASES,
    t0_s: float = 0.0,
    trigger_s: float | None = None,
) -> Stretch:
    """Record a board whose events (wake, or inference in always_on) begin at `begins`."""
    n = int(length_s / bench.dt_s)
    clock = 1 + bench.errors.get("timebase", 0.0) * (bench.terms.timebase or 0.0)
    edges: Float = (t0_s + np.arange(n + 1, dtype=np.float64) * bench.dt_s) * clock  # counted back from the trigger on its own clock
    breaks, levels = [min(edges[0], begins[0] if len(begins) else edges[0]) - 1.0], [dut.rest_a]
    on: list[float] = []
    off: list[float] = []
    for begin in begins.tolist():
        t = begin
        scale = 1 + dut.dispersion * rng.standard_normal()
        for name, length, amp in dut.phases:
            breaks.append(t)
            levels.append(amp * scale)
            if name == "infer" or (name == "load" and style == MarkStyle.PHASES):
                on.append(t)
                off.append(t + length)
            t += length
        breaks.append(t)
        levels.append(dut.rest_a)
    i = filtered_means(np.array(breaks), np.array(levels), edges, bench.tau_s)
    t_mid = 0.5 * (edges[1:] + edges[:-1])
    if bench.hum_a:
        i = i + bench.hum_a * np.sin(2 * np.pi * 50 * t_mid + rng.uniform(0, 6.28))
    e, terms = bench.errors, bench.terms
    r = terms.current[-1]
    i = (i - e.get("offset", 0) * (r.offset_a or 0.0)) / (1 + e.get("gain", 0) * (r.gain or 0.0)) + bench.noise_a * rng.standard_normal(n)
    v_gain = 1 + e.get("v_gain", 0) * (terms.voltage_gain or 0.0)
    v: Float | float = (dut.volt - e.get("v_offset", 0) * (terms.voltage_offset_v or 0.0)) / v_gain
    volt = v + bench.noise_v * rng.standard_normal(n)
    marker = 3.0 * gate_means(np.array(on), np.array(off), edges) if on else np.zeros(n)
    marker = marker + bench.marker_noise_v * rng.standard_normal(n)
    columns = [c.astype(np.float32) for c in (i, volt, marker)]
    return Stretch(t0_s, bench.dt_s, columns[0], columns[1], dut.volt, columns[2], trigger_s)


def capture(
    dut: Dut,
    bench: Bench,
    stretches: tuple[Stretch, ...],
    *,
    role: Role,
    rate: float,
    events: int,
    style: MarkStyle = MarkStyle.PHASES,
    **more: Any,
) -> CaptureInput:
    return CaptureInput(
        key=str(more.pop("key", f"{role}-{rate:g}")),
        point=OperatingPoint(dut.mode, rate, dut.volt, "dnn"),
        role=role,
        stretches=stretches,
        mark_style=style,
        marker_high_v=3.0,
        expected_events=events,
        laps=more.pop("laps", ()),
        meter=bench.terms,
        mains_hz=50.0,
        seed=int(more.pop("seed", 1)),
        **more,
    )


def periodic(dut: Dut, bench: Bench, rng: np.random.Generator, *, rate: float, events: int, **more: Any) -> CaptureInput:
    """A mean capture: `events` device-paced events, phase of the record clock random."""
    begins = (np.arange(events) + 1) / rate + rng.uniform(0, bench.dt_s)
    style = more.get("style", MarkStyle.PHASES)
    one = stretch(dut, bench, rng, begins, length_s=(events + 1.0) / rate + dut.on_s, style=style)
    return capture(dut, bench, (one,), role=Role.MEAN, rate=rate, events=events, **more)


def triggered(dut: Dut, bench: Bench, rng: np.random.Generator, *, events: int, pre_s: float = 2e-3, **more: Any) -> CaptureInput:
    """An event capture: one stretch an event, the instrument fires the DUT at time 0."""
    parts = []
    for _ in range(events):
        jitter = np.array([rng.uniform(0, bench.dt_s)])
        t0 = -pre_s - jitter[0]
        parts.append(stretch(dut, bench, rng, np.zeros(1), length_s=pre_s + dut.on_s + 4e-3, t0_s=t0, trigger_s=0.0))
    return capture(dut, bench, tuple(parts), role=Role.EVENT, rate=0.0, events=events, trigger_fires_dut=True, **more)


def floor(dut: Dut, bench: Bench, rng: np.random.Generator, *, length_s: float = 2.0, **more: Any) -> CaptureInput:
    one = stretch(dut, bench, rng, np.zeros(0), length_s=length_s)
    return capture(dut, bench, (one,), role=Role.FLOOR, rate=0.0, events=0, **more)


def laps(dut: Dut, begins: Float, *, clock_error: float = 0.0) -> tuple[Lap, ...]:
    """The device's own counters for events that begin at `begins`."""
    out = []
    for begin in begins.tolist():
        t = {"event": begin, "awake": begin, "ready": begin}
        now = begin
        for name, length, _ in dut.phases:
            if name == "load":
                t["awake"], t["ready"] = now, now + length
            if name == "infer":
                t["start"], t["end"] = now, now + length
            now += length
        us = {k: float(np.floor(v * 1e6 * (1 + clock_error))) for k, v in t.items()}
        out.append(Lap(us["event"], us["awake"], us["ready"], us["start"], us["end"]))
    return tuple(out)
