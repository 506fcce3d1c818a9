"""Like figures of several runs beside each other, as far as the fairness rules allow, and what the rules found. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from labd.cards.directions import OF_THE_USE_CASE, Better, better, is_any, is_compared
from labd.cards.rules import Rule, RuleFinding, apply, finding
from labd.cards.shared_errors import correlation, half_width
from labd.cards.side import FigurePlace, Found, Severity, Side
from labd.kpi.table import rows as kpi_rows
from labd.records import KpiRecord, Mode, Provenance

_RANKED = (Provenance.MEASURED, Provenance.COMPUTED)


class Verdict(enum.StrEnum):
    """REFUSED: no two figures stand beside each other. FLAGGED: some do not, or there is something to know. FAIR: neither."""

    FAIR = "fair"
    FLAGGED = "flagged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side in a list. name: as cells and findings call it. precision: bits of parameters and activations; optimised: for its platform;
    both in the words of its cards, empty where they tell nothing."""

    name: str
    run: str
    board: str
    model: str
    supply_v: float
    modes: tuple[Mode, ...]
    precision: str
    optimised: str
    detector: str


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """figure: None where this side has none, or where it must not stand here: then `refused` names the rules. ranked: whether it may be
    said to be better or worse: it was measured here, and no rule forbids it."""

    side: str
    figure: KpiRecord | None = None
    ranked: bool = False
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """`side` less `against` in the row's unit, with its 95 % interval: errors that both share are gone from it. excludes_zero: only then is
    one better than the other."""

    side: str
    against: str
    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One KPI at one place. way: less or more is better, None for neither. best: the side that is better than every other one that stands
    here, empty where none is or none may be said to be. differences: of each further side that stands here from the first."""

    kpi: str
    place: FigurePlace
    unit: str
    way: Better | None
    of_the_use_case: bool
    cells: tuple[ComparedCell, ...]
    best: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def shown(self) -> tuple[ComparedCell, ...]:
        return tuple(cell for cell in self.cells if cell.figure is not None)


@dataclass(frozen=True, slots=True)
class FairComparison:
    """rows: KPIs that two sides or more have at one place. findings: refusals first."""

    verdict: Verdict
    sides: tuple[ComparedSide, ...]
    rows: tuple[ComparedRow, ...]
    findings: tuple[RuleFinding, ...]


def compare(sides: Sequence[Side]) -> FairComparison:
    """Sides in the order to show them; each name once. In a row the first stands there, and each further one that no rule refuses beside
    any that stands there already. A row with a single figure left shows none."""
    found = apply(sides)
    by_name = {side.name: side for side in sides}
    keys = sorted({one.key for side in sides for one in side.figures if is_compared(one.record.id)}, key=_order)
    rows = [row for kpi, place in keys if (row := _row(kpi, place, by_name, found)) is not None]
    return FairComparison(_verdict(rows, found), tuple(_told(side) for side in sides), tuple(rows), tuple(finding(r, f) for r, f in found))


def difference(a: Side, first: KpiRecord, b: Side, second: KpiRecord) -> Difference | None:
    """`b` less `a`, None without both intervals. The arms add in quadrature, less what correlated errors have in common (Zou, "Toward using
    confidence intervals to compare correlations", Psychological Methods 12, 2007, p. 399: MOVER), and are no less than what is left of both
    budgets asks for: arms of two rectangular errors, or of a few events below a gain that is gone, add up to too little."""
    if first.value is None or second.value is None:
        return None
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return None
    rho = correlation(a, first, b, second)
    down, up = (second.value - second.low, first.high - first.value), (second.high - second.value, first.value - first.low)
    value, least = second.value - first.value, half_width(first, second, rho)
    return Difference(b.name, a.name, value, value - max(least, _arm(*down, rho)), value + max(least, _arm(*up, rho)))


def _arm(first: float, second: float, rho: float) -> float:
    return math.sqrt(max(0.0, first**2 + second**2 - 2 * rho * first * second))


def _row(kpi: str, place: FigurePlace, sides: dict[str, Side], found: Sequence[tuple[Rule, Found]]) -> ComparedRow | None:
    have = {name: record for name, side in sides.items() if (record := side.find(kpi, place)) is not None and record.value is not None}
    if len(have) < 2:
        return None
    here = [(rule, one) for rule, one in found if one.concerns(kpi, place)]
    refused = _refused(list(have), here)
    standing = [name for name in have if not refused[name]]
    if len(standing) < 2:
        lone = tuple(dict.fromkeys(rule for rules in refused.values() for rule in rules))
        refused, standing = {name: rules or lone for name, rules in refused.items()}, []
    unranked = [frozenset(one.sides) for _, one in here if not one.ranks]
    ranks = {name: have[name].provenance in _RANKED and frozenset((name,)) not in unranked for name in standing}
    cells = [
        ComparedCell(name, _bare(have[name]) if name in standing else None, ranks.get(name, False), refused.get(name, ())) for name in sides
    ]
    row = ComparedRow(kpi, place, next(iter(have.values())).unit, better(kpi), is_any(kpi, OF_THE_USE_CASE), tuple(cells))
    return _judged(row, {name: have[name] for name in standing if ranks[name]}, sides, unranked)


def _refused(names: Sequence[str], here: Sequence[tuple[Rule, Found]]) -> dict[str, tuple[str, ...]]:
    """Of each side the rules that keep it from standing in this row."""
    refusals = [(rule.id, frozenset(one.sides)) for rule, one in here if one.severity is Severity.REFUSE]
    standing: list[str] = []
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        against = {frozenset((name,)), *(frozenset((name, other)) for other in standing)}
        found[name] = tuple(dict.fromkeys(rule for rule, whom in refusals if whom in against))
        if not found[name]:
            standing.append(name)
    return found


def _judged(row: ComparedRow, ranked: dict[str, KpiRecord], sides: dict[str, Side], unranked: Sequence[frozenset[str]]) -> ComparedRow:
    """With the differences between those that may be ranked, and which of all that stand there is better."""
    if row.way is None:
        return row
    pairs: dict[tuple[str, str], Difference] = {}
    for a, b in combinations(ranked, 2):
        found = None if _kept_apart(a, b, unranked) else difference(sides[a], ranked[a], sides[b], ranked[b])
        if found is not None:
            pairs[a, b] = found
    first = next(iter(ranked), "")
    best = [name for name in ranked if all(_beats(name, cell.side, row.way, pairs) for cell in row.shown if cell.side != name)]
    differences = tuple(one for (a, _), one in pairs.items() if a == first)
    return replace(row, best=best[0] if best and len(row.shown) > 1 else "", differences=differences)


def _kept_apart(a: str, b: str, unranked: Sequence[frozenset[str]]) -> bool:
    """Whether some rule keeps two from being ranked: one that is about both of them."""
    return any({a, b} <= whom for whom in unranked)


def _beats(name: str, other: str, way: Better, pairs: dict[tuple[str, str], Difference]) -> bool:
    found, sign = (pairs.get((other, name)), 1) if (other, name) in pairs else (pairs.get((name, other)), -1)
    if found is None or not found.excludes_zero:
        return False
    return (found.value * sign < 0) is (way is Better.LESS)


def _bare(record: KpiRecord) -> KpiRecord:
    return replace(record, budget=(), captures=())


def _verdict(rows: Sequence[ComparedRow], found: Sequence[tuple[Rule, Found]]) -> Verdict:
    if not any(row.shown for row in rows):
        return Verdict.REFUSED
    return Verdict.FLAGGED if any(one.severity is not Severity.TELL for _, one in found) else Verdict.FAIR


def _told(side: Side) -> ComparedSide:
    bits = [f"{key.partition('_')[0]} {side.said('model', f'{key}_bits')}" for key in ("weight", "activation")]
    precision = ", ".join(text for text in bits if not text.endswith(" None"))
    optimised = str(side.said("toolchain", "optimised_for_platform") or "")
    conditions = side.conditions
    return ComparedSide(
        side.name, side.run, side.board, side.model, conditions.supply_v, side.modes, precision, optimised, side.detector.kind
    )


def _order(key: tuple[str, FigurePlace]) -> tuple[object, ...]:
    """What belongs to no mode first, then by mode and rate; in a place in the order of the KPI table."""
    kpi, place = key
    modes = tuple(list(Mode).index(mode) for mode in place.modes)
    return len(modes), modes, -1.0 if place.rate_hz is None else place.rate_hz, next(_ranks(kpi), 0), kpi


def _ranks(kpi: str) -> Iterator[int]:
    yield from (number for number, row in enumerate(kpi_rows()) if row.carries(kpi))
