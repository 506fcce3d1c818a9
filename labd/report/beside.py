"""Figures of others beside the measured ones, with their ratio; never ranked: lines stand in the order in which they were given. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from labd.records import Provenance
from labd.report.data import Beside
from labd.report.entries import Entry, Figure
from labd.report.numbers import interval, quantity, two_sided
from labd.report.tables import Table

CAPTION = "Beside the figures of others"
HEAD = ("Figure", "Run", "Measured", "Other", "Their figure", "By", "Theirs / measured", "Holds for")
FOREIGN = frozenset({3, 4, 5})  # columns of HEAD that hold what is not measured here
PER_SECOND = ("Hz", "/s", "1/s")
OTHER_NET = "another net, no ratio"
NOTES = (
    "[...]: not measured here. Lines stand in the order given, not in one of merit.",
    "A ratio's interval is Fieller's, both figures taken to be independent; where theirs has none, it is that of the measured alone.",
)
OF_A_RATE = ("power.mean", "duty_cycle", "inference_rate", "throughput.at_rate", "energy_per_inference.at_rate")  # of what was asked for
NOT_TOLD = "mode and rate not told, no ratio"
_OF_THE_DEVICE = ("power.idle", "power.sleep", "hardware")  # whatever the net
_PREFERRED = (".mean", ".gross", ".back_to_back")


def beside(measured: Sequence[Entry], others: Iterable[Entry]) -> tuple[Beside, ...]:
    """Each figure of the others beside each run's own of the same KPI; figures that no run has are left out."""
    return tuple(line for other in others for entry in measured for line in _lines(entry, other))


def _lines(entry: Entry, other: Entry) -> Iterator[Beside]:
    for figure in other.figures:
        own = counterpart(figure.id, entry.figures)
        if own is not None and own.value is not None:
            yield _line(entry, own, other, figure)


def counterpart(kpi: str, figures: Iterable[Figure]) -> Figure | None:
    """The measured figure of a KPI: of the same id; else of an id that says more, word by word: `latency.pin.p95` of `latency.p95`,
    `energy_per_inference.gross` of `energy_per_inference`. `x[small]` is another than `x`."""
    known = [figure for figure in figures if figure.value is not None]
    exact = next((figure for figure in known if figure.id == kpi), None)
    if exact is not None:
        return exact
    fitting = [figure for figure in known if _says_more(figure.id, kpi)]
    return min(fitting, key=lambda one: (not one.id.endswith(_PREFERRED), len(one.id)), default=None)


def _says_more(own: str, kpi: str) -> bool:
    words = iter(own.split("."))
    asked = kpi.split(".")
    return own.startswith(f"{asked[0]}.") and all(word in words for word in asked)  # in their order: `in` uses up the words before


def _line(entry: Entry, own: Figure, other: Entry, theirs: Figure) -> Beside:
    assert own.value is not None
    mine, their = own.interval, theirs.interval
    limits = (theirs.least, theirs.most) if theirs.value is None else (their or (None, None))
    ratio, (low, high), why = None, (None, None), _no_ratio(entry, own, other, theirs)
    if not why and theirs.value is not None:
        ratio = theirs.value / own.value
        low, high = ratio_interval((theirs.value, their), (own.value, mine))
    measured_low, measured_high = mine or (None, None)
    return Beside(
        kpi=theirs.id,
        at=entry.name,
        measured_kpi=own.id,
        unit=own.unit,
        measured=own.value,
        measured_low=measured_low,
        measured_high=measured_high,
        other=other.name,
        value=theirs.value,
        low=limits[0],
        high=limits[1],
        their_unit=theirs.unit,
        provenance=str(theirs.provenance),
        source=theirs.source,
        model=other.net,
        scope=theirs.scope,
        conditions=theirs.conditions,
        batch=theirs.batch,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        why=why,
    )


def _no_ratio(entry: Entry, own: Figure, other: Entry, theirs: Figure) -> str:
    """Why there is none; empty where there is one."""
    if theirs.unit != own.unit and {theirs.unit, own.unit} - set(PER_SECOND):
        return f"in {theirs.unit}, measured in {own.unit}"
    if not _same_net(entry, other, own.id):
        return OTHER_NET
    if theirs.id in OF_A_RATE or own.id in OF_A_RATE:
        return NOT_TOLD
    if theirs.batch not in (None, 1) and not own.id.startswith((*_OF_THE_DEVICE, "task", "model")):
        return f"batch {theirs.batch}, no ratio"
    if own.value is None or own.value <= 0:
        return "nothing to divide by"
    return "their limits alone" if theirs.value is None else ""


def _same_net(entry: Entry, other: Entry, kpi: str) -> bool:
    """Nobody tells their net: taken for the same, and the line shows that none is told."""
    return (
        kpi.startswith(_OF_THE_DEVICE)
        or not other.net
        or other.net.lower() in {net.lower() for net in (entry.net, entry.model_name) if net}
    )


def ratio_interval(
    above: tuple[float, tuple[float, float] | None], below: tuple[float, tuple[float, float] | None]
) -> tuple[float | None, float | None]:
    """95 % interval of the ratio of two independent figures, each a value with its interval or None (Fieller, J. R. Stat. Soc. B 16(2),
    1954, with each arm of an interval taken for its own side). Both None where neither has one; an end None where it is without bound."""
    (a, of_a), (b, of_b) = above, below
    if of_a is None and of_b is None:
        return None, None
    low_a, high_a = of_a or (a, a)
    low_b, high_b = of_b or (b, b)
    return _end(a, b, max(a - low_a, 0.0), max(high_b - b, 0.0), -1), _end(a, b, max(high_a - a, 0.0), max(b - low_b, 0.0), 1)


def _end(a: float, b: float, of_a: float, of_b: float, sign: int) -> float | None:
    """Of (a b +- sqrt(a^2 U_b^2 + b^2 U_a^2 - U_a^2 U_b^2)) / (b^2 - U_b^2)."""
    if sign > 0 and of_b >= b:
        return None
    if of_b >= b:  # its lower end is still bounded by what the divisor is at most
        return max(a - of_a, 0.0) / (b + of_b)
    inside = (a * of_b) ** 2 + (b * of_a) ** 2 - (of_a * of_b) ** 2
    return (a * b + sign * math.sqrt(max(inside, 0.0))) / (b**2 - of_b**2)


def beside_table(lines: Iterable[Beside]) -> Table:
    """As text: what is not measured here stands in square brackets."""
    return Table(CAPTION, HEAD, tuple(_row(line) for line in lines), frozenset({2, 4, 6}))


def _row(line: Beside) -> tuple[str, ...]:
    batch = f"batch {line.batch}" if line.batch not in (None, 1) else ""
    told = ", ".join(filter(None, (line.model or "net not told", line.scope, batch)))
    measured = _figure(line.measured, line.measured_low, line.measured_high, line.unit)
    kind = "" if line.measured_kpi == line.kpi else f" ({line.measured_kpi})"
    by = "computed from their samples" if line.provenance == Provenance.COMPUTED else line.provenance
    return (
        line.kpi,
        line.at,
        f"{measured}{kind}",
        line.other,
        f"[{_figure(line.value, line.low, line.high, line.unit)}]",
        by,
        _ratio(line),
        told,
    )


def _figure(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    unit = "/s" if unit == "Hz" and abs(value or high or 0.0) < 1000 else unit
    if value is not None:
        return quantity(value, unit, 4) if low is None or high is None else two_sided(value, low, high, unit)
    if low is not None and high is not None:
        return interval(low, high, unit)
    return f"< {quantity(high, unit)}" if high is not None else f"> {quantity(low or 0.0, unit)}"


def _ratio(line: Beside) -> str:
    if line.ratio is None:
        return line.why
    if line.ratio_low is None and line.ratio_high is None:
        return quantity(line.ratio, "1")
    if line.ratio_low is None or line.ratio_high is None:
        return f"{quantity(line.ratio, '1')} (no upper limit)"
    return two_sided(line.ratio, line.ratio_low, line.ratio_high, "1")


def given_text(one: Mapping[str, Any]) -> str:
    """A figure of a card, as a run stores it, in a line."""
    value, least, most = one["value"], one["least"], one["most"]
    told = ", ".join(filter(None, (one["model"], one["scope"], one["source"])))
    return f"{one['id']} {_figure(value, least, most, one['unit'])} ({one['provenance']}: {told})"
