"""Lines of mean power over rate from different runs, and where they cross.

A stored fit is a value with its budget: signed terms by name. Two figures of one run share every term of one name; figures of two runs
share gain and timebase of an instrument that is the same specimen in both, and nothing else: offsets drift between runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labd.kpi.break_even import BreakEven, ModeLine, break_even
from labd.kpi.draws import Draws
from labd.kpi.inputs import Detector
from labd.kpi.rate_model import Line
from labd.kpi.terms import Term, Terms, Uncertain, parts
from labd.records import KpiRecord, Mode

SHARED = (".gain", "timebase")  # ends of the names of terms that one specimen brings to every run


@dataclass(frozen=True, slots=True)
class StoredLine:
    """P(r) = floor + slope r of one mode of one run. run: its id. specimens: maker, model, serial number and date of calibration by the
    name that the bench gives an instrument. detector: that the run was told of."""

    run: str
    mode: Mode
    floor: KpiRecord
    slope: KpiRecord
    r_max_hz: float | None
    measured_hz: float
    specimens: Mapping[str, str]
    detector: Detector


def uncertain(record: KpiRecord, terms: Terms, run: str, specimens: Mapping[str, str]) -> Uncertain:
    """A published figure as the value that it was, on these terms. Raises ValueError without an interval: its budget is not whole."""
    if record.value is None or record.u is None:
        raise ValueError(f"{record.id} at {record.at} has no interval")
    value: Uncertain = record.value
    for line in record.budget:
        instrument, _, rest = line.name.partition(":")
        shared = line.kind == "B" and instrument in specimens and line.name.endswith(SHARED)
        name = f"{specimens[instrument]}:{rest}" if shared else f"{run}:{line.name}"
        term = Term(name, line.kind, line.distribution, line.dof)
        value = value + line.u / term.unit_u * terms.unit(term)
    return value


def fitted(line: StoredLine, terms: Terms) -> Line:
    """With the power and the false wakes of its detector, where the mode needs one. Raises ValueError without an interval."""
    floor, slope = (uncertain(record, terms, line.run, line.specimens) for record in (line.floor, line.slope))
    if line.mode.is_event:
        told = line.detector
        floor = floor + told.power_w + terms.limit(f"{line.run}:detector:power", told.power_half_width_w)
        floor = floor + (told.false_wake_hz + terms.limit(f"{line.run}:detector:false_wakes", told.false_wake_half_width_hz)) * slope
    return Line(floor, slope, None, 0, tuple(dict.fromkeys((*line.floor.flags, *line.slope.flags))))


def crossing(lighter: StoredLine, deeper: StoredLine, *, seed: int) -> BreakEven:
    """Where `deeper`, which needs less at rate 0, stops needing less. Raises ValueError where one has no interval."""
    terms = Terms()
    lines = [ModeLine(one.mode, fitted(one, terms), one.r_max_hz, one.measured_hz) for one in (lighter, deeper)]
    return break_even(*lines, detector=Detector(), terms=terms, draws=Draws(seed, f"{lighter.run}{lighter.mode}|{deeper.run}{deeper.mode}"))


def covariance(first: Uncertain, second: Uncertain) -> float:
    """By the terms that both share (JCGM 100:2008, F.1.2.3)."""
    other = {variable.tag.name: c for variable, c in parts(second)}
    return float(sum(c * other.get(v.tag.name, 0.0) * v.tag.unit_u**2 for v, c in parts(first)))


def covariance_of(floor: KpiRecord, slope: KpiRecord) -> float:
    """Of two figures of one run, in the product of their units; 0 where one has no interval."""
    try:
        terms = Terms()
        return covariance(uncertain(floor, terms, "", {}), uncertain(slope, terms, "", {}))
    except ValueError:
        return 0.0


def cheapest(lines: Mapping[str, tuple[float, float, float | None]], rates_hz: Iterable[float]) -> list[tuple[float, str]]:
    """Which line is lowest from which rate on. lines: floor (W), slope (J) and largest rate (Hz, None: unknown) by name."""
    found: list[tuple[float, str]] = []
    for rate in rates_hz:
        able = {name: floor + slope * rate for name, (floor, slope, limit) in lines.items() if limit is None or rate <= limit}
        best = min(able, key=lambda name: able[name]) if able else ""
        if best and (not found or found[-1][1] != best):
            found.append((rate, best))
    return found
