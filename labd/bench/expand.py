"""Plan expansion: from modes, rates, supplies and models to captures with stable keys, in a seeded random order. Pure."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labd.records import CLOCK, MarkStyle, Mode, OperatingPoint, Role
from labd.trigger.schedule import Arrivals

LOCKED_WITHIN = 1e-3  # of a period, per update
LEAST_EVENTS = 12  # of a mean capture whose length is chosen
MOST_INFERENCES = 2_000_000_000  # of one `infer`, whose number stock firmware reads into 32 bits with a sign


@dataclass(frozen=True, slots=True)
class Windows:
    """How stock firmware is measured: windows of inferences back to back. count: of each number of inferences. length_s: the shortest lasts
    at least so long. inferences: their numbers, two or more; empty: as many as take length_s, and twice that. warm_ups: before each."""

    count: int
    length_s: float
    inferences: tuple[int, ...]
    warm_ups: int

    @property
    def kinds(self) -> int:
        return len(self.inferences) or 2


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """One acquisition to make. key is stable over runs of the same plan; order is its place in this run (0 first).

    events: inferences in it (0 for a floor). duration_s: the bench time it takes, without set-up. seed: of its uncertainty draws.
    offsets_ns: when the host fires, from the start; empty where the device paces itself. late_ns: fired later, one has missed its deadline.
    windows: of stock firmware; `events` are then its windows.
    """

    key: str
    point: OperatingPoint
    role: Role
    repeat: int
    order: int
    events: int
    duration_s: float
    marks: MarkStyle
    instrument: str
    seed: int
    idle_kind: str = "wfi"
    offsets_ns: tuple[int, ...] = ()
    late_ns: int = 0
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """How this bench gets at the KPIs: `stream` (a gap-free log sees whole periods), else composed from floor and events, and where a plan
    wants no events from steady readings at each rate. update_s: between updates of the instrument that cross-checks."""

    stream: bool
    meter: str
    cross_check: str | None = None
    update_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan asks for, in SI units; the part of it that decides which captures there are. windows: of a board with stock firmware,
    which cannot pace its inferences: its power at a rate is composed. piece_s: measuring goes on until an aim is met, in captures of about
    this length at least, `repeats` is then of the first round; 0: it does not. clocks_hz: that the core is set to; empty: as it starts."""

    modes: Sequence[Mode]
    rates_hz: Sequence[float]
    supplies_v: Sequence[float]
    models: Sequence[str]
    events: int
    event_captures: int
    floor_time_s: float
    repeats: int
    seed: int
    idle_kind: str = "wfi"
    cross_check_time_s: float = 60.0
    arrivals: Arrivals | None = None
    windows: Windows | None = None
    starts: int = 0
    start_time_s: float = 0.5
    clocks_hz: Sequence[float] = ()
    piece_s: float = 0.0


def expand(wanted: Wanted, method: Method, *, longest_event_s: float) -> list[CapturePlan]:
    """All captures of a run, in the order they will be made.

    Every mode is measured at rate 0 at least twice, once in each half of the run, so that drift between them can be seen.
    """
    points = [
        OperatingPoint(mode, rate, supply, model, settings)
        for settings in [{CLOCK: f"{round(hz)}"} for hz in wanted.clocks_hz] or [{}]
        for supply in wanted.supplies_v
        for model in wanted.models
        for mode in wanted.modes
        for rate in wanted.rates_hz
    ]
    shuffle = random.Random(wanted.seed)
    early: list[CapturePlan] = []
    late: list[CapturePlan] = []
    for point in points:
        for capture in _captures(point, wanted, method, longest_event_s):
            half = (early, late)[capture.repeat % 2] if capture.role is Role.FLOOR else shuffle.choice((early, late))
            half.append(capture)
    late += _starts(points, wanted, method)
    shuffle.shuffle(early)
    shuffle.shuffle(late)
    last = [] if method.cross_check is None else [_cross_check(points, wanted, method, method.cross_check)]
    return [replace(capture, order=order, idle_kind=wanted.idle_kind) for order, capture in enumerate(early + late + last)]


def _starts(points: Sequence[OperatingPoint], wanted: Wanted, method: Method) -> list[CapturePlan]:
    """One capture a supply voltage: a start knows neither mode, rate nor setting, and the model is the one that the firmware holds at its
    boot."""
    if not wanted.starts:
        return []
    chosen = {point.supply_v: replace(point, settings={}) for point in reversed(points) if point.rate_hz == 0}
    lasts_s = wanted.starts * wanted.start_time_s
    style = MarkStyle.GATE
    return [
        _capture(point, Role.START, 0, events=wanted.starts, duration_s=lasts_s, marks=style, method=method) for point in chosen.values()
    ]


def _cross_check(points: Sequence[OperatingPoint], wanted: Wanted, method: Method, instrument: str) -> CapturePlan:
    """One steady plateau: the first mode (always_on, where it is among them) at the highest rate whose period the analyzer's update does
    not lock to, whether the meter's mean there is measured or composed; at rate 0 where the plan has no other or nothing paces the
    board."""
    mode = Mode.ALWAYS_ON if Mode.ALWAYS_ON in wanted.modes else wanted.modes[0]
    same = replace(points[0], mode=mode, supply_v=wanted.supplies_v[0], model=wanted.models[0])
    mine = [p for p in points if replace(p, rate_hz=same.rate_hz) == same]
    paced = wanted.windows is None
    moving = sorted((p for p in mine if p.rate_hz > 0 and paced), key=lambda p: p.rate_hz)
    free = [p for p in moving if not locked(p.rate_hz, method.update_s)]
    point = (free or moving or [p for p in mine if p.rate_hz == 0])[-1]
    key = f"{point.key}/cross_check/0"
    events = round(wanted.cross_check_time_s * point.rate_hz)
    duration = events / point.rate_hz if events else wanted.cross_check_time_s
    return CapturePlan(key, point, Role.MEAN, 0, 0, events, duration, MarkStyle.GATE, instrument, _seed(key))


def locked(rate_hz: float, update_s: float) -> bool:
    """Whether whole periods fit an update of the power analyzer: then every update sees the same part of the period, and the
    mean over many is no better than over one."""
    periods = rate_hz * update_s
    return abs(periods - round(periods)) < LOCKED_WITHIN * max(1.0, periods)


def _captures(point: OperatingPoint, wanted: Wanted, method: Method, longest_event_s: float) -> list[CapturePlan]:
    if point.rate_hz == 0:
        return _rest(point, wanted, method, longest_event_s)
    if wanted.windows is not None or (not method.stream and wanted.event_captures):
        return []  # composed: P(r) = P_floor + r * E_event needs no capture at r
    events = events_in(wanted.piece_s, point.rate_hz) if wanted.piece_s else wanted.events
    duration = (events + 1) / point.rate_hz
    captures = [
        _capture(point, Role.MEAN, repeat, events=events, duration_s=duration, marks=MarkStyle.GATE, method=method)
        for repeat in range(wanted.repeats)
    ]
    return captures if wanted.arrivals is None else [_fired(capture, wanted.arrivals, longest_event_s) for capture in captures]


def events_in(seconds: float, rate_hz: float) -> int:
    """Inferences of a mean capture of about this length: enough for their scatter to be seen."""
    return max(LEAST_EVENTS, round(seconds * rate_hz))


def longer(capture: CapturePlan, seconds: float, *, repeat: int, order: int) -> CapturePlan:
    """Another capture of the same kind at the same operating point, of about this length."""
    key = f"{capture.key.rpartition('/')[0]}/{repeat}"
    each_s = capture.duration_s / max(capture.events, 1)
    if capture.role is Role.FLOOR:
        events, lasts_s = 0, seconds
    elif capture.role is Role.MEAN:
        events = events_in(seconds, capture.point.rate_hz)
        lasts_s = (events + 1) / capture.point.rate_hz
    else:
        events = max(1, round(seconds / each_s))
        lasts_s = events * each_s
    return replace(capture, key=key, repeat=repeat, order=order, events=events, duration_s=lasts_s, seed=_seed(key))


def _fired(capture: CapturePlan, arrivals: Arrivals, longest_event_s: float) -> CapturePlan:
    """By the host: instants of its own for each capture, the same in every run of the plan."""
    rate_hz = capture.point.rate_hz
    offsets_ns = arrivals.at(rate_hz, capture.events, seed=capture.seed, dead_s=min(longest_event_s, 1 / rate_hz))
    return replace(capture, offsets_ns=offsets_ns, late_ns=arrivals.late_ns, duration_s=offsets_ns[-1] * 1e-9 + 1 / rate_hz)


def _rest(point: OperatingPoint, wanted: Wanted, method: Method, longest_event_s: float) -> list[CapturePlan]:
    floors = [
        _capture(point, Role.FLOOR, repeat, events=0, duration_s=wanted.piece_s or wanted.floor_time_s, marks=MarkStyle.GATE, method=method)
        for repeat in range(2 * wanted.repeats)
    ]
    if wanted.windows is not None:
        return floors + [_windows(point, repeat, wanted.windows, method) for repeat in range(wanted.repeats)]
    if wanted.event_captures == 0 or (method.stream and not point.mode.is_event):
        return floors
    events = [
        _capture(
            point,
            Role.EVENT,
            repeat,
            events=wanted.event_captures,
            duration_s=wanted.event_captures * 4 * longest_event_s,
            marks=MarkStyle.PHASES,
            method=method,
        )
        for repeat in range(wanted.repeats)
    ]
    return floors + events


def _windows(point: OperatingPoint, repeat: int, windows: Windows, method: Method) -> CapturePlan:
    events = windows.count * windows.kinds
    lasts_s = windows.length_s * windows.count * windows.kinds * (windows.kinds + 1) / 2
    capture = _capture(point, Role.EVENT, repeat, events=events, duration_s=lasts_s, marks=MarkStyle.PULSES, method=method)
    return replace(capture, windows=windows)


def _capture(
    point: OperatingPoint, role: Role, repeat: int, *, events: int, duration_s: float, marks: MarkStyle, method: Method
) -> CapturePlan:
    key = f"{point.key}/{role}/{repeat}"
    return CapturePlan(key, point, role, repeat, 0, events, duration_s, marks, method.meter, _seed(key))


def _seed(key: str) -> int:
    """A capture's draws depend on its id alone, so that a re-analysis repeats them."""
    return zlib.crc32(key.encode())
