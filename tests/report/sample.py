"""A run as a real sweep leaves it: three modes, seven rates, budgets, excerpts, per-inference values, warnings and withheld figures."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from labd.records import BudgetLine, CaptureState, KpiRecord, Mode, OperatingPoint, Phase, Provenance, Role
from labd.report.data import (
    AccuracyRow,
    BenchFacts,
    BoardFacts,
    BreakEven,
    CaptureFacts,
    Conditions,
    Detector,
    Disclosure,
    Excerpt,
    InferenceSeries,
    InstrumentFacts,
    LineFacts,
    LinkFacts,
    Notice,
    Outcome,
    PhaseEnergy,
    PhaseSpan,
    PlanFacts,
    RateCurve,
    RateFit,
    RatePoint,
    RunFacts,
    RunReport,
    curve_key,
)

MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)
RATES = (0.0, 0.5, 2.0, 5.0, 10.0, 20.0, 35.0)
FAILED = (Mode.EVENT_RELOAD, 35.0)  # its only event capture has a gap
INFER_W, INFER_S = 48e-3, 8.2e-3


@dataclass(frozen=True)
class Physics:
    """floor in W, phases of one event as (phase, seconds, watts)."""

    floor_w: float
    phases: tuple[tuple[Phase, float, float], ...]

    @property
    def busy_s(self) -> float:
        return sum(t for _, t, _ in self.phases)

    @property
    def event_j(self) -> float:
        return sum(t * p for _, t, p in self.phases) - self.floor_w * self.busy_s


_WAKE, _TAIL = (Phase.WAKE, 1.4e-3, 22e-3), (Phase.TAIL, 5.0e-3, 4.2e-3)
_INFER, _LOAD = (Phase.INFER, INFER_S, INFER_W), (Phase.LOAD, 4.1e-3, 30e-3)
PHYSICS = {
    Mode.ALWAYS_ON: Physics(4.2e-3, (_INFER,)),
    Mode.EVENT_SLEEP: Physics(7.5e-6, (_WAKE, _INFER, _TAIL)),
    Mode.EVENT_RELOAD: Physics(4.1e-6, (_WAKE, _LOAD, _INFER, _TAIL)),
}


def point(mode: Mode, rate_hz: float) -> OperatingPoint:
    return OperatingPoint(mode, rate_hz, 3.0, "dnn")


def record(kpi: str, at: str, value: float, unit: str, *, rel: float = 0.004, n: int = 24, captures: tuple[str, ...] = ()) -> KpiRecord:
    """A measured figure with a budget of four terms whose squares add up to u squared."""
    u = abs(value) * rel
    parts = [("A:gross", 0.35, "A", "t"), ("smu:current[0.1 A].gain", 0.8, "B", "rectangular")]
    parts += [("smu:current[0.1 A].offset", 0.42, "B", "rectangular"), ("smu:voltage.gain", 0.24, "B", "rectangular")]
    scale = math.sqrt(sum(share**2 for _, share, _, _ in parts))
    budget = tuple(BudgetLine(name, u * share / scale, kind, dist, 23.0 if kind == "A" else None) for name, share, kind, dist in parts)
    low, high = value - 1.96 * u, value + 1.96 * u
    method = "guard-band window, Supplement 1"
    return KpiRecord(kpi, at, value, unit, u, low, high, n, Provenance.COMPUTED, method, captures, budget)


def withheld(kpi: str, at: str, unit: str, flag: str, note: str) -> KpiRecord:
    return KpiRecord(kpi, at, None, unit, None, None, None, 0, Provenance.MEASURED, "withheld", (), (), (flag,), note)


def point_records(mode: Mode, rate_hz: float) -> list[KpiRecord]:
    physics, at = PHYSICS[mode], point(mode, rate_hz).key
    captures = (f"{at}#1/mean",)
    power = physics.floor_w + rate_hz * physics.event_j
    if rate_hz == 0:
        return [record("power.mean", at, power, "W", rel=0.012 if mode.is_event else 0.002, captures=(f"{at}#1/floor",))]
    found = [
        record("power.mean", at, power, "W", captures=captures),
        record("energy_per_inference.at_rate", at, power / rate_hz, "J", captures=captures),
        record("energy_per_inference.gross", at, INFER_W * INFER_S, "J", captures=captures),
        record("energy_per_inference.net_of_idle", at, (INFER_W - 4.2e-3) * INFER_S, "J", captures=captures),
        record("latency.pin.mean", at, INFER_S, "s", rel=2e-4, captures=captures),
        record("latency.pin.p95", at, INFER_S * 1.01, "s", rel=5e-4, captures=captures),
        record("inference_rate", at, rate_hz, "Hz", rel=2e-5, captures=captures),
        record("duty_cycle", at, rate_hz * physics.busy_s, "1", rel=1e-3, captures=captures),
        record("power.peak[1 ms]", at, 51e-3, "W", rel=0.01, captures=captures),
        record("charge_per_inference", at, INFER_W * INFER_S / 3, "C", captures=captures),
    ]
    if mode.is_event:
        found.append(record("energy_per_inference.per_event", at, physics.event_j, "J", captures=captures))
    if mode.is_event and (mode, rate_hz) != FAILED:
        found.append(record("wake_up.total", at, sum(t for p, t, _ in physics.phases if p in {Phase.WAKE, Phase.LOAD}), "s", rel=3e-3))
        found.append(record("wake_up.wake", at, 1.4e-3, "s", rel=6e-3))
    return found


def curve(mode: Mode) -> RateCurve:
    physics, key = PHYSICS[mode], curve_key(point(mode, 0))
    points = tuple(RatePoint(r, point_records(mode, r)[0]) for r in RATES)
    floor = record("fit.floor_power", key, physics.floor_w, "W", rel=0.012 if mode.is_event else 0.002)
    slope = record("fit.incremental_energy", key, physics.event_j, "J", rel=0.003)
    fit = RateFit(floor, slope, -0.1 * (floor.u or 0) * (slope.u or 0), 1.96, 0.8, 0.5, 35.0)
    return RateCurve(key, mode, points, fit, 0.95 / physics.busy_s)


def break_even(first: Mode, second: Mode, outcome: Outcome = Outcome.CROSSES, *, wide: float = 0.04) -> BreakEven:
    a, b = PHYSICS[first], PHYSICS[second]
    rate = (b.floor_w - a.floor_w) / (a.event_j - b.event_j)
    at = f"{first} / {second}"
    budget = (BudgetLine("A:mean power", 0.9, "A", "t", 20.0), BudgetLine("smu:timebase", 0.1, "B", "rectangular"))
    low, high = rate * (1 - wide), rate * (1 + 1.6 * wide)
    value = KpiRecord("break_even_rate", at, rate, "Hz", rate * wide / 2, low, high, 14, Provenance.COMPUTED, "Fieller", (), budget)
    keys = curve_key(point(first, 0)), curve_key(point(second, 0))
    return BreakEven(*keys, outcome, value, extrapolated=not 0.5 <= rate <= 35)


def excerpt(mode: Mode, *, points: int = 1600, period_s: float = 0.1) -> Excerpt:
    physics, noise = PHYSICS[mode], random.Random(7)
    start = 0.022
    spans, marker, at = [PhaseSpan(Phase.IDLE if mode is Mode.ALWAYS_ON else Phase.SLEEP, 0.0, start)], [(0.0, 0)], start
    for phase, length, _ in physics.phases:
        spans.append(PhaseSpan(phase, at, at + length))
        if phase is Phase.INFER:
            marker += [(at, 1), (at + length, 0)]
        at += length
    spans.append(PhaseSpan(spans[0].phase, at, period_s))
    levels = [(spans[0], physics.floor_w), *zip(spans[1:-1], (p for _, _, p in physics.phases), strict=True), (spans[-1], physics.floor_w)]
    times = [period_s * k / (points - 1) for k in range(points)]
    mean, low, high, last = [], [], [], physics.floor_w
    for t in times:
        target = next((w for span, w in levels if span.start_s <= t < span.end_s), physics.floor_w)
        last += (target - last) * 0.6
        ripple = 0.05 * last + 1.5e-6
        value = last * (1 + 0.02 * noise.gauss(0, 1))
        mean.append(value)
        low.append(value - ripple * (0.6 + noise.random()))
        high.append(value + ripple * (0.6 + noise.random()))
    note = "record interval 20.48 µs, range seamless 10 µA to 100 mA"
    at_key = point(mode, 10.0).key
    lines = [tuple(column) for column in (times, low, mean, high)]
    return Excerpt(mode, at_key, f"{at_key}#1/mean", lines[0], lines[1], lines[2], lines[3], tuple(spans), tuple(marker), note)


def series() -> tuple[InferenceSeries, ...]:
    draw, found = random.Random(3), []
    for mode in MODES:
        for rate in RATES[1:]:
            at = point(mode, rate).key
            energy = tuple(INFER_W * INFER_S * (1 + 0.006 * draw.gauss(0, 1) + 0.002 * MODES.index(mode)) for _ in range(24))
            latency = tuple(INFER_S * (1 + abs(0.004 * draw.gauss(0, 1))) for _ in range(24))
            found.append(InferenceSeries(at, "energy_per_inference.gross", "J", energy))
            found.append(InferenceSeries(at, "latency.pin", "s", latency))
    return tuple(found)


def captures() -> tuple[CaptureFacts, ...]:
    found = []
    for mode in MODES:
        for rate in RATES:
            at, role = point(mode, rate).key, Role.FLOOR if rate == 0 else Role.MEAN
            settings = {
                "range": "10 uA" if rate == 0 and mode.is_event else "seamless",
                "sense": "4-wire",
                "nplc": "1" if rate == 0 else "-",
            }
            state = CaptureState.FAILED if (mode, rate) == FAILED else CaptureState.FINISHED
            flags = ("gap",) if state is CaptureState.FAILED else ()
            found.append(CaptureFacts(f"{at}#1/{role}", at, role, state, 234567, len(flags), 24 if rate else 0, 20.48e-6, settings, flags))
    return tuple(found)


def phase_energies() -> tuple[PhaseEnergy, ...]:
    found = []
    for mode in MODES[1:]:
        key = curve_key(point(mode, 0))
        for phase, length, watts in PHYSICS[mode].phases:
            found.append(PhaseEnergy(key, mode, phase, record(f"phase_energy.{phase}", point(mode, 10.0).key, length * watts, "J", n=12)))
    return tuple(found)


def bench() -> BenchFacts:
    certificate = "virtual certificate 2026-06-01"
    rows = (
        AccuracyRow("current", "10 µA", "0.025 %", "8 nA", certificate),
        AccuracyRow("current", "100 mA", "0.025 %", "10 µA", certificate),
        AccuracyRow("voltage", "20 V", "0.025 %", "1.2 mV", certificate),
    )
    smu = InstrumentFacts(
        "smu", ("source", "meter"), "keysight_n6705c", "Keysight Technologies", "N6705C", "MY00000001", "E.02.11", ("N6781A", "N6781A"),
        "verified-by-manual", "TCPIP::127.0.0.1::41795::SOCKET", True, "2026-06-01", "2027-06-01", "2 h", "at the start of the run",
        "4-wire", "30 mΩ ± 5 mΩ", "second_session", ("10 µA", "1 mA", "100 mA", "3 A", "20 V"), rows,
    )  # fmt: skip
    return BenchFacts(
        "demo",
        "Keysight N6705C with two N6781A, all virtual",
        "The supply terminals of the board at the remote-sense point; decoupling and regulator lie inside.",
        (smu,),
        (LinkFacts("uart", "serial", "3.0 V", "none", "high_z", "115200 baud"),),
        (
            LineFacts("trigger", "smu.fire", "board.TRIG", "3.0 V", "none"),
            LineFacts("marker", "board.MARK", "smu.marker", "3.0 V", "none"),
        ),
        {"voltage": "3.6 V", "current": "150 mA", "power": "0.5 W"},
        ("smu",),
    )


def kpis() -> tuple[KpiRecord, ...]:
    found = [r for mode in MODES for rate in RATES for r in point_records(mode, rate)]
    for mode in MODES:
        fit = curve(mode).fit
        assert fit is not None
        found += [fit.floor, fit.incremental]
    at = point(Mode.EVENT_SLEEP, 1.0).key
    year = 365.25 * 86400
    found.append(
        KpiRecord(
            "battery_life[1 /s]", at, 1.16 * year, "s", 0.1 * year, 0.98 * year, 1.36 * year, 1, Provenance.ESTIMATED, "battery model"
        )
    )
    return tuple(found)


def full_report() -> RunReport:
    reload_at = point(Mode.EVENT_RELOAD, 35.0).key
    run = RunFacts(
        "r-20261123-1432-7f3a", "rate sweep", "finished", "2026-11-23T14:32:05+00:00", "2026-11-23T14:33:31+00:00", "0.1.0",
        {"python": "3.11.7", "numpy": "2.4.6", "pyvisa-py": "0.8.1"}, {"machine": "x86_64", "blas": "openblas", "system": "Linux"},
        {"plan": 1, "bench": 1}, {"bench": "sha256:0d4c", "plan": "sha256:77ab", "firmware": "sha256:c0ffee12"},
        tuple(c.key for c in captures()), ("labd run demo.toml demo-plan.toml", "labd analyse r-20261123-1432-7f3a"),
    )  # fmt: skip
    board = BoardFacts(
        "virtual-m4", "Virtual Cortex-M4 class board", "3.0 V", "64 MHz", ("decoupling 4.7 µF", "LDO regulator"),
        "labd 1", "sha256:c0ffee12", {"sleep state": "deep sleep, RAM retained", "wake source": "rtc, pin"},
    )  # fmt: skip
    notices = (
        Notice("warning", "event_sleep", "closure: slope of the rate fit and window energy differ by 1.2 U95"),
        Notice("info", "smu", "virtual instrument: no figure of this report says anything about real silicon"),
    )
    rates = tuple(f"{r:g} /s" for r in RATES)
    plan = PlanFacts("rate sweep", "keyword spotting, 12 classes", tuple(map(str, MODES)), rates, {"seed": "1"})
    return RunReport(
        run, plan, bench(), board, Conditions("23 °C ± 1 K", "50 Hz", "2 h (60 min asked)", {"settle": "200 ms"}),
        tuple(point(mode, rate) for mode in MODES for rate in RATES), captures(), kpis(), tuple(curve(mode) for mode in MODES),
        (
            break_even(Mode.EVENT_SLEEP, Mode.ALWAYS_ON),
            break_even(Mode.EVENT_RELOAD, Mode.ALWAYS_ON),
            break_even(Mode.EVENT_RELOAD, Mode.EVENT_SLEEP),
        ),
        Detector("host-triggered", "none: host-triggered"),
        (
            Disclosure("Hardware", "Process node", None),
            Disclosure("Hardware", "Clock", "64 MHz"),
            Disclosure("Deployment", "Compiler", "cc 12.2.0 -O2"),
            Disclosure("Deployment", "Quantisation", "int8, per tensor"),
        ),
        phase_energies(), tuple(excerpt(mode) for mode in MODES), series(), notices,
        (
            withheld("wake_up.total", reload_at, "s", "gap", "samples missing in the only capture"),
            withheld("power.peak[10 us]", point(Mode.EVENT_SLEEP, 10.0).key, "W", "not_resolved", "shorter than one record of 20.48 µs"),
        ),
    )  # fmt: skip
