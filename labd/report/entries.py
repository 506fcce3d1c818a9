"""A line of a table in the paper's forms: a card with the figures that its source gives, or a net on a board that a run measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.report.catalogue import MODES, rate_label
from labd.report.data import curve_key
from labd.report.numbers import show


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: a value, one of least and most, or a value with its interval from least to most; unit: UCUM code. shown: as printed
    with its interval, of a run's records; empty: as the source gives it. scope, clock_hz, conditions, batch: that the source says it holds
    for."""

    id: str
    value: float | None
    unit: str
    least: float | None = None
    most: float | None = None
    least_open: bool = False
    u: float | None = None
    scope: str = ""
    clock_hz: float | None = None
    source: str = ""
    provenance: str = Provenance.DECLARED
    shown: str = ""
    conditions: str = ""
    batch: int | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of 95 % coverage: those of the record; those of a normal distribution where only a standard uncertainty is given."""
        if self.value is None:
            return None
        if self.least is not None and self.most is not None:
            return self.least, self.most
        return None if self.u is None else (self.value - 1.96 * self.u, self.value + 1.96 * self.u)

    def of(self, kpi: str) -> bool:
        """Whether it is this KPI or a kind of it: `latency.pin.mean` of `latency`; `x[small]` is another than `x`."""
        return self.id == kpi or self.id.startswith(f"{kpi}.")


@dataclass(frozen=True, slots=True)
class Taken:
    """How a run took an entry's figures. use_case: its name, empty where nobody tells. simulated: by a virtual instrument. mode, rate_hz:
    of its operating point. has_detector: whether the power of what decides that something happened is told."""

    mode: Mode
    rate_hz: float
    use_case: str = ""
    simulated: bool = False
    has_detector: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """name: of the line. hardware, model: cards as a run stores them, empty where there is none. net: that the figures were taken with;
    batch, clock_hz, precision: likewise, None and empty where nobody says. model_name: as the plan of a run names its net; taken: how, of a
    run's, None of a card's."""

    name: str
    hardware: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    net: str = ""
    batch: int | None = None
    clock_hz: float | None = None
    precision: str = ""
    model_name: str = ""
    taken: Taken | None = None

    @property
    def of_run(self) -> bool:
        return self.taken is not None

    def figure(self, *kpis: str, scope: str | None = None) -> Figure | None:
        """The first of these that there is. scope: that it has to have, whatever the case of its letters; None: any."""
        wanted = (f for kpi in kpis for f in self.figures if f.of(kpi) and (scope is None or f.scope.lower() == scope.lower()))
        return next(wanted, None)


def of_card(card: Mapping[str, Any]) -> Iterator[Entry]:
    """One entry, or one for each net that the card's figures were taken with. card: as a run stores it."""
    name, kind, given = str(card["name"]), str(card["card"]), card.get("given", ())
    for net in dict.fromkeys(str(one["model"]) for one in given) or ("",):
        mine = [one for one in given if one["model"] == net]
        yield Entry(
            name,
            hardware=card if kind == "hardware" else {},
            model=card if kind == "model" else {},
            figures=tuple(_given(one) for one in mine),
            net=net,
            batch=_one(mine, "batch"),
            clock_hz=_si(_one(mine, "clock")),
            precision=_one(mine, "precision") or "",
        )


def of_run(
    board: str,
    cards: Mapping[str, Any],
    points: Iterable[OperatingPoint],
    records: Sequence[KpiRecord],
    *,
    use_case: str = "",
    simulated: bool = False,
    has_detector: bool = False,
) -> Iterator[Entry]:
    """One entry for each mode, supply, model and setting of a run, at its largest rate; figures that hold for the model alone are in
    each of its entries. use_case, simulated, has_detector: see `Taken`."""
    largest: dict[str, OperatingPoint] = {}
    for point in points:
        if point.rate_hz >= largest.get(curve_key(point), point).rate_hz:
            largest[curve_key(point)] = point
    hardware = cards.get("hardware", {})
    for point in largest.values():
        model = cards.get("model", {}).get(point.model, {})
        mine = [record for record in records if record.at in (point.key, point.model)]
        yield Entry(
            f"{board}, {point.model}, {MODES[point.mode]} at {rate_label(point.rate_hz)}",
            hardware=hardware,
            model=model,
            figures=tuple(_measured(record) for record in mine if record.value is not None),
            net=str(model.get("name", point.model)),
            batch=1,
            clock_hz=_si(hardware.get("clock")),
            precision=str(model.get("weight_bits", "")),
            model_name=point.model,
            taken=Taken(point.mode, point.rate_hz, use_case, simulated, has_detector),
        )


def _given(one: Mapping[str, Any]) -> Figure:
    numbers = {key: one[key] for key in ("least", "most", "least_open", "u", "scope", "source", "provenance", "conditions")}
    numbers["batch"] = one.get("batch")
    return Figure(one["id"], one["value"], one["unit"], clock_hz=_si(one["clock"]), **numbers)


def _measured(record: KpiRecord) -> Figure:
    return Figure(
        record.id, record.value, record.unit, record.low, record.high, u=record.u, provenance=record.provenance, shown=show(record)
    )


def _one(given: Sequence[Mapping[str, Any]], key: str) -> Any:
    """What all of them say; None where they differ or say nothing."""
    said = {str(one[key]): one[key] for one in given}
    return next(iter(said.values())) if len(said) == 1 else None


def _si(quantity: Any) -> float | None:
    return float(quantity["value"]) if isinstance(quantity, Mapping) else None
