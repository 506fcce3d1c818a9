"""Which figure of each entry goes into a chart: the same KPI of all of them, for figures of two kinds are not comparable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labd.kpi.table import Domain, row_of
from labd.records import Provenance
from labd.report.entries import Entry, Figure
from labd.report.paper import counted, scaled

ACCURACY = ("task.accuracy", "task.balanced_accuracy", "task.mean_average_precision", "task.auc", "task.objective", "accuracy")
ENERGY = tuple(f"energy_per_inference.{kind}" for kind in ("gross", "per_event", "at_rate", "net_of_idle", "net_of_sleep"))
LATENCY = ("latency.pin.mean", "latency.dut_counter.mean", "latency.pin.p95", "latency.dut_counter.p95", "latency.host.mean", "latency")
OPERATIONS = ("throughput.one_in_flight", "throughput.at_rate", "throughput", "hardware.peak_throughput")
_CLAIMED = (Provenance.DECLARED, Provenance.ESTIMATED)


@dataclass(frozen=True, slots=True)
class Quantity:
    """name: in words. ids: KPIs that may stand for it, best first. larger: whether more is better. log: how its axis is drawn."""

    name: str
    ids: tuple[str, ...]
    larger: bool
    log: bool = True


@dataclass(frozen=True, slots=True)
class Chosen:
    """A quantity with the one KPI that it is told by; kpi empty: nobody has any."""

    quantity: Quantity
    kpi: str

    @property
    def title(self) -> str:
        rest = self.kpi.partition(".")[2].replace(".", ", ").replace("_", " ")
        told = "" if not rest or rest.lower() in self.quantity.name.lower() else f" ({rest})"
        return f"{self.quantity.name}{told}"


QUANTITIES = {
    "accuracy": Quantity("Accuracy", ACCURACY, larger=True, log=False),
    "energy": Quantity("Energy per inference", ENERGY, larger=False),
    "latency": Quantity("Latency", LATENCY, larger=False),
    "operations": Quantity("Operations per second", OPERATIONS, larger=True),
    "parameters": Quantity("Parameters", ("model.parameters",), larger=False),
    "footprint": Quantity("Footprint", ("card.footprint",), larger=False),
}


def chosen(name: str, entries: Sequence[Entry], wanted: str = "") -> Chosen:
    """By the KPI that most entries have, the first of several. wanted: this one and no other; a kind of energy may stand alone."""
    quantity = QUANTITIES[name]
    if wanted:
        return Chosen(quantity, wanted if "." in wanted or name != "energy" else f"energy_per_inference.{wanted}")
    counts = {kpi: sum(figure_of(entry, kpi) is not None for entry in entries) for kpi in quantity.ids}
    best = max(quantity.ids, key=lambda kpi: (counts[kpi], -quantity.ids.index(kpi)))
    return Chosen(quantity, best if counts[best] else "")


def wrong_wish(energy: str, metric: str) -> tuple[str, str] | None:
    """What of a wish names no figure, `energy` or `metric`, and what would be right; None where both can be meant. Empty: no wish."""
    kinds = [one.partition(".")[2] for one in ENERGY]
    if energy and energy.removeprefix("energy_per_inference.") not in kinds:
        return "energy", f"expected one of {', '.join(kinds)}, got {energy!r}"
    row = row_of(metric) if metric else None
    if metric and metric not in ACCURACY and (row is None or row.domain is not Domain.TASK):
        return "metric", f"expected a task KPI such as {', '.join(ACCURACY[:2])} (`labd kpis` lists them), got {metric!r}"
    return None


def figure_of(entry: Entry, kpi: str) -> Figure | None:
    """With a value; counts of the model card count as figures. Percent become shares."""
    if kpi in ("model.parameters", "card.footprint"):
        return _count(entry, kpi)
    if not kpi:
        return None
    valued = [f for f in entry.figures if f.value is not None]
    found = next((f for f in valued if f.id == kpi), None) or next((f for f in valued if kpi != "latency" and f.of(kpi)), None)
    if found is None or found.unit != "%" or found.value is None:
        return found
    low, high = found.interval or (None, None)
    ends = [None if one is None else one / 100 for one in (low, high)]
    return Figure(found.id, found.value / 100, "1", ends[0], ends[1], source=found.source, provenance=found.provenance)


def _count(entry: Entry, kpi: str) -> Figure | None:
    measured = next((f for f in entry.figures if f.id == kpi and f.value is not None), None)
    value = entry.model.get(kpi.partition(".")[2])
    if measured is not None or value is None:
        return measured
    return Figure(kpi, float(value), "By" if kpi.endswith("footprint") else "1", source=str(entry.model.get("source", "")))


def claimed(figures: Iterable[Figure]) -> bool:
    """Whether one of them was not measured."""
    return any(figure.provenance in _CLAIMED for figure in figures)


def shown(figure: Figure | None) -> str:
    """With its interval where it has one, and what it is where it was not measured."""
    if figure is None or figure.value is None:
        return "-"
    if figure.shown:
        return figure.shown
    if figure.unit == "1":
        text = counted(figure.value) if figure.value > 1 else f"{100 * figure.value:.1f} %"
    else:
        text = scaled(figure.value, "B" if figure.unit == "By" else "OPS" if figure.unit in ("1/s", "/s") else figure.unit)
    return f"{text} ({figure.provenance})" if claimed([figure]) else text
