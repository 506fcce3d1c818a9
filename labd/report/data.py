"""A run as a report needs it: frozen records that the caller fills from the store; nothing here reads a file."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labd.records import CaptureState, KpiRecord, Mode, OperatingPoint, Phase, Role
from labd.report.numbers import more_time

NOT_DISCLOSED = "not disclosed"


def curve_key(point: OperatingPoint) -> str:
    """The operating point without its rate: which curve of a rate sweep it lies on, e.g. `event_sleep/v=3/dnn`."""
    extra = "".join(f"/{k}={v}" for k, v in sorted(point.settings.items()))
    return f"{point.mode}/v={point.supply_v:g}/{point.model}{extra}"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was run, when, with what. Times are ISO 8601 text with zone; hashes are named (`firmware`, `bench`, `plan`, `traces`).

    commands: the commands that repeat the run and its analysis, one a line. order: capture keys in the order they were taken.
    complete: False when captures are missing (interrupted or failed run).
    """

    run_id: str
    name: str
    state: str
    started: str
    ended: str
    labd_version: str
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """One line of an accuracy table as text with units, and the document and page (or certificate) it comes from.

    aperture: shortest averaging time it holds for, `any` where the document names none; where the accuracy is unknown, the time used.
    """

    quantity: str
    range: str
    gain: str
    offset: str
    source: str
    aperture: str = "any"


@dataclass(frozen=True, slots=True)
class InstrumentFacts:
    """One instrument. roles: `source`, `meter`, `analyzer`. identity parts as it answered. virtual: it is a simulation.

    Texts are printed as given; an empty one is printed as `not disclosed`.
    """

    name: str
    roles: tuple[str, ...]
    driver: str
    maker: str
    model: str
    serial: str
    firmware: str
    options: tuple[str, ...] = ()
    evidence: str = ""
    resource: str = ""
    virtual: bool = False
    calibrated: str = ""
    calibration_due: str = ""
    warm: str = ""
    zeroed: str = ""
    sense: str = ""
    lead_resistance: str = ""
    off_assurance: str = ""
    ranges: tuple[str, ...] = ()
    accuracy: tuple[AccuracyRow, ...] = ()
    self_test: str = ""


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """A DUT link or anything else connected to the DUT (UART, probe, USB), with its level and isolation."""

    name: str
    kind: str
    io_level: str
    isolation: str
    idle: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One wire, `origin` to `target` as the bench file names them (`smu.fire`, `board.TRIG`)."""

    name: str
    origin: str
    target: str
    level: str
    isolation: str


@dataclass(frozen=True, slots=True)
class BenchFacts:
    """The wiring. boundary: one sentence that says where the boundary plane lies. meter_order: names from supply to DUT."""

    name: str
    description: str
    boundary: str
    instruments: tuple[InstrumentFacts, ...]
    links: tuple[LinkFacts, ...] = ()
    lines: tuple[LineFacts, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    meter_order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """The DUT. inside: what lies inside the boundary plane besides the chip (decoupling, regulator)."""

    name: str
    description: str
    supply: str
    clock: str
    inside: tuple[str, ...] = ()
    firmware: str = ""
    firmware_hash: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What was asked for. facts: every further key of the plan as text."""

    name: str
    use_case: str
    modes: tuple[str, ...]
    rates: tuple[str, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which the figures hold, as text with units and uncertainty."""

    ambient: str
    mains: str
    warm_up: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One item a reviewer asks for; value empty or None means not disclosed. missing: which card and keys would tell what is not told,
    keys: the same one by one (`hardware.process_node`, `model.dnn.macs`), why: what cannot be judged without it; all empty where all is
    told, or where no card is asked."""

    group: str
    item: str
    value: str | None = None
    missing: str = ""
    why: str = ""
    keys: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.value or NOT_DISCLOSED


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """One acquisition. key: `<operating point>#<repeat>/<role>` or whatever the store uses; point: the operating point's key."""

    key: str
    point: str
    role: Role
    state: CaptureState
    samples: int = 0
    gaps: int = 0
    events: int = 0
    dt_s: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RatePoint:
    """Mean power at one rate (record in W)."""

    rate_hz: float
    power: KpiRecord


@dataclass(frozen=True, slots=True)
class RateFit:
    """The straight line P = floor + incremental * rate. covariance_wj between the two (W*J); coverage_factor for 95 % bands.

    lack_of_fit: chi-square per degree of freedom of the points about the line, None where there is none left.
    rate_low_hz, rate_high_hz: the rates the fit rests on, without 0.
    """

    floor: KpiRecord
    incremental: KpiRecord
    covariance_wj: float = 0.0
    coverage_factor: float = 1.96
    lack_of_fit: float | None = None
    rate_low_hz: float = 0.0
    rate_high_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class RateCurve:
    """One mode (at one supply, model and setting) over the rates. r_max_hz: the largest rate the mode can serve, None if unknown.

    largest_rate: the same as a record with its interval, or with the reason why there is none; None in runs that have no such record.
    """

    key: str
    mode: Mode
    points: tuple[RatePoint, ...]
    fit: RateFit | None = None
    r_max_hz: float | None = None
    largest_rate: KpiRecord | None = None


class Outcome(enum.StrEnum):
    """How the comparison of two curves ended. `first` and `second` are the two curves of the break-even."""

    CROSSES = "crosses"  # first needs less below the rate, second above it
    FIRST_ALWAYS = "first_always"  # first needs less at every rate that both can serve
    SECOND_ALWAYS = "second_always"
    NOT_RESOLVED = "not_resolved"


@dataclass(frozen=True, slots=True)
class BreakEven:
    """At which rate two curves need the same mean power; record in Hz, with value None where there is no such rate."""

    first: str
    second: str
    outcome: Outcome
    record: KpiRecord
    extrapolated: bool = False


@dataclass(frozen=True, slots=True)
class Detector:
    """What decides that an event happened. kind: `measured`, `declared` or `host-triggered`; text is printed beside every break-even."""

    kind: str
    text: str
    power: KpiRecord | None = None
    false_wake_rate: KpiRecord | None = None


@dataclass(frozen=True, slots=True)
class PhaseEnergy:
    """Energy of one phase of one event (record in J). share_of: what the phases of a mode should sum to, in words."""

    curve: str
    mode: Mode
    phase: Phase
    energy: KpiRecord


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """One shaded interval, in seconds on the excerpt's own axis."""

    phase: Phase
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One period of one mode. t_s, low_w, mean_w, high_w: equally long, at most 2000 points each, ascending times.

    marker: (time, level) each time the marker line changes; empty where no marker was recorded. note: range, record interval.
    """

    mode: Mode
    point: str
    capture: str
    t_s: tuple[float, ...]
    low_w: tuple[float, ...]
    mean_w: tuple[float, ...]
    high_w: tuple[float, ...]
    spans: tuple[PhaseSpan, ...] = ()
    marker: tuple[tuple[float, int], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class InferenceSeries:
    """One value an inference, in the order taken. quantity: a KPI id such as `energy_per_inference.gross` or `latency.pin`."""

    point: str
    quantity: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning about the run: severity `warning`, `error` or `info`; where: capture, operating point or instrument."""

    severity: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The accuracy run of the same board and model. session: its folder's name. kpis: its figures, also among those of the report.

    confusion[i][j]: samples of class i taken for class j. roc: of each class the points (false, true positive rate), ascending.
    """

    model: str
    session: str
    dataset: str
    dataset_sha256: str
    samples: int
    kpis: tuple[KpiRecord, ...]
    confusion: tuple[tuple[int, ...], ...] = ()
    roc: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Beside:
    """One figure of another and the measured one that it stands beside. at: the line of the run. measured_*: value and 95 % interval, in
    `unit`; value, low, high: theirs in `their_unit`, limits where there is no value. ratio: theirs over the measured, with its interval;
    None where there is none, and then `why` says so."""

    kpi: str
    at: str
    measured_kpi: str
    unit: str
    measured: float
    measured_low: float | None
    measured_high: float | None
    other: str
    value: float | None
    low: float | None
    high: float | None
    their_unit: str
    provenance: str
    source: str
    model: str
    scope: str
    conditions: str
    batch: int | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class AimFact:
    """A figure that the plan aims at. aimed, reached: half-width of its 95 % interval as a share of it; reached None where it has none.
    why: what keeps it from being known better, or why there is no such figure; empty where it is known well enough."""

    id: str
    at: str
    aimed: float
    reached: float | None
    met: bool
    why: str


@dataclass(frozen=True, slots=True)
class AimsEnd:
    """How a run that measures until its aims are met ended. spent_s, time_s: bench time that it took, and what its plan gives it. more_s:
    seconds more that would meet what can be met by them, None where nothing tells how many. why: why nothing more was measured, a sentence
    for each figure that is missed; empty where it has not come to its end."""

    spent_s: float = 0.0
    time_s: float = 0.0
    more_s: float | None = None
    why: tuple[str, ...] = ()

    @property
    def more(self) -> str:
        """How much more measuring would do, empty where none would."""
        if not self.why:
            return "the run has not come to its end"
        return more_time(self.more_s)


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything every renderer needs. kpis: all records, of all operating points, in any order.

    points: operating points in the order to print. disclosure: the full list, also what is not disclosed. edge_cases: KPIs
    that were withheld (value None) with the reason in `note` or `flags`; they may also stand in `kpis`. cards: as the run stored them.
    beside: figures of others for the same net.
    setup: the set-up card with what the run itself knows. aims: of the plan, empty where it has none; aims_end: how the
    run with them ended, None where it has none.
    """

    run: RunFacts
    plan: PlanFacts
    bench: BenchFacts
    board: BoardFacts
    conditions: Conditions
    points: tuple[OperatingPoint, ...]
    captures: tuple[CaptureFacts, ...]
    kpis: tuple[KpiRecord, ...]
    curves: tuple[RateCurve, ...]
    break_evens: tuple[BreakEven, ...]
    detector: Detector
    disclosure: tuple[Disclosure, ...] = ()
    phase_energies: tuple[PhaseEnergy, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    series: tuple[InferenceSeries, ...] = ()
    notices: tuple[Notice, ...] = ()
    edge_cases: tuple[KpiRecord, ...] = ()
    cards: Mapping[str, Any] = field(default_factory=dict)
    task: tuple[TaskFacts, ...] = ()
    beside: tuple[Beside, ...] = ()
    setup: Mapping[str, Any] = field(default_factory=dict)
    aims: tuple[AimFact, ...] = ()
    aims_end: AimsEnd | None = None

    @property
    def untold(self) -> tuple[Disclosure, ...]:
        """What of the deployment pipeline nobody told: as long as there is any of it, the run is marked incomplete."""
        return tuple(item for item in self.disclosure if item.missing)

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of cards that nobody filled in, `hardware.process_node`."""
        return tuple(key for item in self.disclosure for key in item.keys)

    @property
    def disclosed(self) -> bool:
        """Whether the whole deployment pipeline is told."""
        return bool(self.disclosure) and not self.untold

    def find(self, at: str, *ids: str) -> KpiRecord | None:
        """The record at this place with the first of `ids` that has a value there; else the first that was withheld; else None."""
        here = {record.id: record for record in self.kpis if record.at == at}
        found = [here[name] for name in ids if name in here]
        return next((record for record in found if record.value is not None), found[0] if found else None)

    def withheld(self) -> tuple[KpiRecord, ...]:
        """Every record without a value, each once."""
        unresolved = (b.record for b in self.break_evens if b.outcome is Outcome.NOT_RESOLVED)
        every = (*self.edge_cases, *self.kpis, *unresolved)
        return tuple({(r.id, r.at): r for r in reversed(every) if r.value is None}.values())[::-1]
