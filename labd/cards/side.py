"""One side of a comparison: a model on a board at one supply, with everything of its run that decides what it may be held against. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labd.cards.directions import concerned
from labd.cards.disclosure import tells
from labd.kpi.inputs import Battery, Detector, Harvester
from labd.kpi.table import begins
from labd.kpi.targets import Answer
from labd.records import KpiRecord, Mode


class Severity(enum.StrEnum):
    """REFUSE: the figures do not stand beside each other. FLAG: they do, with what a reader has to know. TELL: good to know."""

    REFUSE = "refuse"
    FLAG = "flag"
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class FigurePlace:
    """Where a figure holds: in one mode, between two, or in none (the model, the chip); at a rate, or at none."""

    modes: tuple[Mode, ...] = ()
    rate_hz: float | None = None

    def __str__(self) -> str:
        modes = " / ".join(mode.replace("_", "-") for mode in self.modes)
        return modes if self.rate_hz is None else f"{modes} at {self.rate_hz:g} /s"


@dataclass(frozen=True, slots=True)
class Figure:
    """A KPI record and where it holds."""

    place: FigurePlace
    record: KpiRecord

    @property
    def key(self) -> tuple[str, FigurePlace]:
        return self.record.id, self.place


@dataclass(frozen=True, slots=True)
class Specimen:
    """One instrument that the figures rest on. roles: source, meter, analyzer."""

    name: str
    roles: tuple[str, ...]
    model: str
    serial: str
    calibrated: str
    virtual: bool

    def is_the_same(self, other: Specimen) -> bool:
        """Whether its gain and its timebase are off by the same amount: one specimen, not adjusted in between. Virtual ones have no
        specimen: each run may give them other errors."""
        same = (self.model, self.serial, self.calibrated) == (other.model, other.serial, other.calibrated)
        return same and bool(self.serial) and bool(self.calibrated) and not (self.virtual or other.virtual)


@dataclass(frozen=True, slots=True)
class Taken:
    """One capture that was made. seconds: of samples. marks: how the board showed its phases."""

    key: str
    place: FigurePlace
    seconds: float
    marks: str


@dataclass(frozen=True, slots=True)
class FirstInference:
    """Durations (s) of the inferences of one capture: the first, and median and median absolute deviation of the others. u: standard
    uncertainty of one."""

    place: FigurePlace
    first: float
    median: float
    deviation: float
    u: float


@dataclass(frozen=True, slots=True)
class Scored:
    """What the task figures of an accuracy run are of. sha256: of the data set, empty where not told. samples: of those with a label."""

    dataset: str
    sha256: str
    samples: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which the figures were taken, SI units; None and empty: not told.

    nominal_v: the supply that the board is meant for. ambient_c, ambient_half_width_k: of the room, or of the board where the plan tells
    it. regulator: and on which side of the boundary plane it is, as the board file says it. fed_back: lines that may feed the board past
    the meter. flags: instruments that were cold, overdue, or whose state nobody told.
    """

    supply_v: float
    nominal_v: float | None = None
    ambient_c: float | None = None
    ambient_half_width_k: float = 0.0
    regulator: str = ""
    idle_kind: str = ""
    fed_back: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    instruments: tuple[Specimen, ...] = ()

    @property
    def simulated(self) -> bool:
        """Whether any instrument is virtual: a figure is no more real than the least real thing that it rests on."""
        return any(one.virtual for one in self.instruments)


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """target: its key in the use-case card. answer: as `labd.kpi.targets` decides. text: the target and what stands against it."""

    target: str
    answer: Answer
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """name: short, as the comparison calls it. cards: as a run stores them, `model` the card of this side's model alone.

    use_case: in the words of the plan. input: what every inference is given, in words; activity: share of it that changes, None where the
    board is given a file. untold: what the cards leave out, a line each by card. warm_up: inferences before the first that counts, None
    where not told. scored: None without an accuracy run. firmware_sha256: empty where not known. lost: captures that the plan asks for and
    the run does not have, with their traces or without. figures: one for each KPI and place. targets: of its use case, answered.
    """

    name: str
    run: str
    board: str
    model: str
    conditions: Conditions
    settings: Mapping[str, str] = field(default_factory=dict)
    cards: Mapping[str, Any] = field(default_factory=dict)
    use_case: str = ""
    activity: float | None = None
    input: str = ""
    scored: Scored | None = None
    untold: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warm_up: int | None = None
    first: tuple[FirstInference, ...] = ()
    detector: Detector = field(default_factory=Detector)
    battery: Battery | None = None
    harvester: Harvester | None = None
    taken: tuple[Taken, ...] = ()
    lost: tuple[str, ...] = ()
    ended: str = "finished"
    firmware_sha256: str = ""
    labd: str = ""
    figures: tuple[Figure, ...] = ()
    targets: tuple[TargetAnswer, ...] = ()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """That there are figures of, in the order of `Mode`."""
        have = {mode for figure in self.figures for mode in figure.place.modes}
        return tuple(mode for mode in Mode if mode in have)

    @property
    def has_detector(self) -> bool:
        """Whether power and false wakes of a detector are part of what is said of event-based modes."""
        return not self.detector.kind.startswith("none")

    def card(self, kind: str) -> Mapping[str, Any]:
        found = self.cards.get(kind)
        return found if isinstance(found, Mapping) else {}

    def said(self, kind: str, key: str) -> Any:
        """What a card says under a key; None where it says nothing, or that nobody knows."""
        value = self.card(kind).get(key)
        return value if tells(value) else None

    def is_unknown(self, kind: str, key: str) -> bool:
        """Whether a card says that nobody can know."""
        return key in self.card(kind).get("unknown", ())

    def find(self, kpi: str, place: FigurePlace) -> KpiRecord | None:
        return next((one.record for one in self.figures if one.key == (kpi, place)), None)

    def of(self, beginning: str) -> tuple[Figure, ...]:
        """Figures with a value whose id is this or lies below it."""
        return tuple(one for one in self.figures if one.record.value is not None and begins(one.record.id, beginning))


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule has to say. sides: names of those it is about; two: what holds between them. kpis: beginnings of the ids concerned,
    empty: every figure; what is computed from them is concerned too. places: where, empty: everywhere. ranks: False keeps the figures from
    being said to be better or worse."""

    severity: Severity
    sides: tuple[str, ...]
    what: str
    kpis: tuple[str, ...] = ()
    places: tuple[FigurePlace, ...] = ()
    ranks: bool = True

    def concerns(self, kpi: str, place: FigurePlace) -> bool:
        return (not self.kpis or concerned(kpi, self.kpis)) and (not self.places or place in self.places)
