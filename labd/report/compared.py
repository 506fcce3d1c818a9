"""A comparison of runs as tables and sentences: one table for each place where two sides have figures, then what the rules found. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labd.cards.comparison import ComparedCell, ComparedRow, Difference, FairComparison, Verdict
from labd.cards.rules import RuleFinding
from labd.cards.side import FigurePlace
from labd.kpi.table import begins
from labd.records import Provenance
from labd.report.catalogue import title
from labd.report.numbers import joined, print_unit, quantity, rate_unit, show, two_sided
from labd.report.tables import Table

MAIN = (
    *("task.accuracy", "task.balanced_accuracy", "model.parameters", "model.macs", "model.synops", "model.footprint"),
    *("fit.floor_power", "fit.incremental_energy", "largest_rate", "break_even_rate", "battery_life", "power.idle", "power.sleep"),
    *("power.mean", "energy_per_inference", "latency.pin.mean", "latency.pin.p95", "latency.dut_counter.mean", "wake_up.total"),
    *("energy_per_op", "energy_per_synop", "energy_efficiency", "edp", "start_time", "start_energy", "hardware.peak_throughput"),
)
SENTENCES = {
    Verdict.FAIR: "Like with like: no rule refuses or flags anything.",
    Verdict.FLAGGED: "Comparable with what stands below: read the findings with the figures.",
    Verdict.REFUSED: "Not comparable: no two figures may stand beside each other; the findings say why.",
}
DEPENDS = "*: holds for the rate or the battery of this use case only"
STYLE = "In brackets: declared or estimated by somebody, never measured here, and never ranked."
INTERVALS = "Better: only where the 95 % interval of the difference excludes zero; errors that both share are gone from it."


def sides(comparison: FairComparison) -> Table:
    """What A, B ... are."""
    head = ("", "Run", "Board", "Model", "Supply", "Modes", "Bits", "Optimised for its platform", "Detector")
    rows = tuple(
        (
            one.name,
            one.run,
            one.board,
            one.model,
            quantity(one.supply_v, "V"),
            ", ".join(mode.replace("_", "-") for mode in one.modes),
            one.precision or "not told",
            one.optimised or "not told",
            one.detector,
        )
        for one in comparison.sides
    )
    return Table("Compared", head, rows)


def tables(comparison: FairComparison, *, every: bool = False) -> Iterator[Table]:
    """One a place, without those that no figure stands in. every: also what a reader seldom asks for."""
    if comparison.verdict is Verdict.REFUSED:
        return
    names = tuple(one.name for one in comparison.sides)
    wanted = [row for row in comparison.rows if every or any(begins(row.kpi, one) for one in MAIN)]
    for place in dict.fromkeys(row.place for row in wanted):
        rows = tuple(_row(row) for row in wanted if row.place == place)
        yield Table(_caption(place), ("KPI", *names, "Better", "Difference, 95 %"), rows, frozenset(range(1, len(names) + 1)))


def notes(comparison: FairComparison) -> list[str]:
    """What has to be known to read the tables."""
    if comparison.verdict is Verdict.REFUSED:
        return []
    cells = [cell.figure for row in comparison.rows for cell in row.shown]
    told = [STYLE] if any(figure is not None and figure.provenance in _TOLD for figure in cells) else []
    depends = [DEPENDS] if any(row.of_the_use_case for row in comparison.rows) else []
    return [*depends, *told, INTERVALS]


def findings(comparison: FairComparison) -> Table:
    rows = tuple((str(one.severity), one.rule, one.title, _whom(one), one.what, _concerned(one), one.why) for one in comparison.findings)
    return Table("What the fairness rules found", ("", "Rule", "Asks for", "Of", "Found", "Concerns", "Why"), rows)


def sentences(comparison: FairComparison) -> Iterator[str]:
    """Each finding in two lines."""
    for one in comparison.findings:
        yield f"{one.severity:6} {one.rule} {one.title} ({_whom(one)}): {one.what}"
        concerned = _concerned(one)
        yield f"       {one.why}" + (f"; concerns {concerned}" if concerned else "")


_TOLD = (Provenance.DECLARED, Provenance.ESTIMATED)


def _row(row: ComparedRow) -> tuple[str, ...]:
    better = row.best or ("" if row.way is None or not row.differences else "not resolved")
    shown = [cell.figure for cell in row.shown if cell.figure is not None]
    unit = rate_unit(*shown) if shown else row.unit
    named = title(row.kpi) + (" *" if row.of_the_use_case else "")
    return (named, *(_cell(cell) for cell in row.cells), better, "; ".join(_difference(one, unit) for one in row.differences))


def _cell(cell: ComparedCell) -> str:
    if cell.refused:
        return f"refused: {', '.join(cell.refused)}"
    if cell.figure is None:
        return "—"
    if cell.figure.provenance not in _TOLD:
        return show(cell.figure)
    value = joined(f"{cell.figure.value or 0.0:.6g}", print_unit(rate_unit(cell.figure)))
    return f"({value}, {cell.figure.provenance})"


def _difference(one: Difference, unit: str) -> str:
    return f"{one.side} − {one.against}: {two_sided(one.value, one.low, one.high, unit)}"


def _caption(place: FigurePlace) -> str:
    return str(place).capitalize() or "In no mode: the net, the chip, the task"


def _whom(one: RuleFinding) -> str:
    return ", ".join(one.sides)


def _concerned(one: RuleFinding) -> str:
    """Which figures, in words; nothing for all of them."""
    return _listed(one.kpis) + (f" ({_listed(one.places)})" if one.places else "")


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
