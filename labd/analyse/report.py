"""A stored run as the report's data: what was measured, on what, with what, and every figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from labd.analyse import facts
from labd.analyse.accuracy import accuracies
from labd.analyse.aims import KEPT, aim_facts, kept
from labd.analyse.curves import Figures, break_evens, curves, keys
from labd.analyse.disclosure import disclosure
from labd.analyse.excerpt import current_range, excerpt, representative
from labd.analyse.imported import beside_of
from labd.analyse.instruments import acquisition_of
from labd.analyse.run import Analysis, analyse_run, setup_of, trace_of
from labd.analyse.setup import AnalysisSetup
from labd.analyse.setup_card import setup_card
from labd.analyse.temperature import outside_k
from labd.analyse.too_long import too_long
from labd.analyse.wording import quantity_text, section
from labd.errors import NotFound, StoreError
from labd.kpi.capture import CaptureResult
from labd.kpi.estimate import unit_of
from labd.kpi.inputs import Detector
from labd.kpi.least_squares import NOT_LINEAR
from labd.records import CaptureState, KpiRecord, Mode, OperatingPoint, Phase, Provenance, Role
from labd.report import data
from labd.report.data import CaptureFacts, Excerpt, InferenceSeries, Notice, PhaseEnergy, RunReport, curve_key
from labd.report.numbers import significant
from labd.store.catalogue import Catalogue
from labd.store.jsonform import from_json
from labd.store.rows import CaptureRow, RunRow, RunState
from labd.trigger.jitter import Jitter
from labd_instruments.contract import Acquisition

PHASES = (Phase.WAKE, Phase.LOAD, Phase.INFER, Phase.TAIL)
SERIES = ("energy_per_inference", "latency", "start_time")
VIRTUAL = "virtual instrument: no figure of this report says anything about real silicon"
NOT_ZEROED = "its log is not zeroed by labd: the offset limits of its document or certificate stand for that"
_NAMED = 3  # captures named in one notice
ENDED = {RunState.FAILED: "it failed", RunState.INTERRUPTED: "it was interrupted"}
_LOST = (CaptureState.FAILED, CaptureState.INTERRUPTED)


def report_of(store: Path | None, run_id: str) -> RunReport:
    """The report of a run, by its id or any short form that `Runs.get` takes; store None is the user's data folder.

    Works for failed and interrupted runs with what there is. Raises NotFound without such a run, StoreError for a broken catalogue.
    """
    with Catalogue.open_read_only(store) as catalogue:
        return stored_report(catalogue, run_id)


def stored_report(catalogue: Catalogue, run_id: str) -> RunReport:
    """The same from a catalogue that is open. Traces that are gone cost the plots and are told, the stored figures stay."""
    run = catalogue.runs.get(run_id)
    rows = catalogue.captures.of(run.id)
    stored = catalogue.kpis.of(run.id)
    try:
        analysis = analyse_run(catalogue, run.id)
        shown = excerpts(catalogue, rows, analysis)
    except (NotFound, StoreError) as error:
        report = _told(build(run, rows, stored, analysis=None), catalogue, run)
        lost = Notice("warning", "traces", f"the stored traces could not be analysed again: {error}")
        return replace(report, notices=(*report.notices, lost))
    return _told(build(run, rows, stored, analysis=analysis, shown=shown), catalogue, run)


def _told(report: RunReport, catalogue: Catalogue, run: RunRow) -> RunReport:
    """With what the run told before it measured: a protection that is too coarse, a range that clamps, an accuracy that nobody gives; with
    what the board's predictions are worth, where an accuracy run knows; and with the figures of others for the same net."""
    aimed = kept(run).why  # which the table of aims has
    events = [event for event in catalogue.runs.events(run.id) if event.kind == "notice" and event.text not in aimed]
    told = [Notice("warning", "bench", event.text) for event in events]
    task = accuracies(catalogue.folder, report.board.name, {point.model for point in report.points}, run.tags)
    kpis = (*report.kpis, *(record for one in task for record in one.kpis))
    try:
        others = beside_of(catalogue, run.id)
    except StoreError as error:
        told.append(Notice("warning", "imported", str(error)))
        others = ()
    return replace(report, kpis=kpis, task=task, beside=others, notices=(*report.notices, *told))


def excerpts(catalogue: Catalogue, rows: Iterable[CaptureRow], analysis: Analysis) -> tuple[Excerpt, ...]:
    """One period of each mode."""
    by_key = {row.key: row for row in rows}
    found = []
    for result in representative(analysis.captures).values():
        row = by_key[result.key]
        taken = acquisition_of(row)
        found.append(excerpt(result, trace_of(catalogue, row), marker_high_v=analysis.setup.marker_high_v, acquisition=taken))
    return tuple(item for item in found if item is not None)


def build(
    run: RunRow,
    rows: Sequence[CaptureRow],
    stored: Sequence[KpiRecord],
    *,
    analysis: Analysis | None,
    shown: tuple[Excerpt, ...] = (),
) -> RunReport:
    """Pure. stored: the KPI records of the run; where there are none (it ended before they were stored) those of the analysis.

    analysis None: no band of a fit, no excerpt, no series.
    """
    records = list(stored) or list(analysis.records if analysis else ())
    figures = Figures.of(records)
    setup = _setup(run)
    captured = [row.point for row in rows]
    points = ordered([*captured, *composed(captured, figures, setup.rates_hz if setup else ())])
    comparisons = break_evens(points, figures, setup.detector if setup else Detector())
    compared = {id(item.record) for item in comparisons}
    kpis = tuple(record for record in figures.every() if id(record) not in compared)
    return RunReport(
        run=facts.run_facts(run, rows),
        plan=facts.plan_facts(run),
        bench=facts.bench_facts(run, rows),
        board=facts.board_facts(run),
        conditions=facts.conditions(run),
        points=points,
        captures=tuple(capture_facts(row) for row in rows),
        kpis=kpis,
        curves=tuple(curves(points, figures, analysis.sweep.fits if analysis else ())),
        break_evens=tuple(comparisons),
        detector=detector(setup.detector if setup else Detector()),
        disclosure=disclosure(run, rows),
        setup=setup_card(run, rows),
        aims=aim_facts(analysis) if analysis else (),
        aims_end=kept(run) if KEPT in run.plan_expanded else None,
        cards=run.cards,
        phase_energies=tuple(phase_energies(points, records, rows)),
        excerpts=shown,
        series=series(analysis.captures) if analysis else (),
        notices=(*notices(run, rows, analysis, setup), *bent(figures)),
        edge_cases=tuple(record for record in kpis if record.value is None),
    )


def _setup(run: RunRow) -> AnalysisSetup | None:
    try:
        return setup_of(run)
    except StoreError:
        return None


def ordered(points: Iterable[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """Each once: by mode, supply, model and settings, then ascending in rate."""
    found = {point.key: point for point in points}
    return tuple(sorted(found.values(), key=lambda p: (list(Mode).index(p.mode), curve_key(p), p.rate_hz)))


def composed(captured: Sequence[OperatingPoint], figures: Figures, rates_hz: Sequence[float]) -> list[OperatingPoint]:
    """Operating points that were asked for and not captured, because their power is composed from the floor and single events."""
    at = [replace(point, rate_hz=rate) for point in captured if point.rate_hz == 0 for rate in rates_hz]
    return [point for point in at if figures.get("power.mean", point.key) is not None]


def capture_facts(row: CaptureRow) -> CaptureFacts:
    taken = acquisition_of(row)
    apart = row.role in (Role.EVENT, Role.START)  # a stretch each
    return CaptureFacts(
        key=row.key,
        point=row.point.key,
        role=row.role,
        state=row.state,
        samples=row.samples,
        gaps=int("gap_before" in row.flags) if apart else max(row.stretches - 1, 0),
        events=int(row.acquisition.get("served") or 0),
        dt_s=taken.dt_ns * 1e-9 if taken else None,
        settings=(settings(taken) if taken else {}) | fired_by_host(row),
        flags=row.flags,
    )


def fired_by_host(row: CaptureRow) -> dict[str, str]:
    """How well the host met its instants, where it fired."""
    found = row.acquisition.get("jitter")
    return {} if found is None else {"host trigger": from_json(Jitter, found).text}


def settings(taken: Acquisition) -> dict[str, str]:
    """What the instrument was set to, as it read back."""
    found = {
        "range": current_range(taken),
        "voltage range": "" if taken.voltage_range_v is None else quantity_text(taken.voltage_range_v, "V"),
        "aperture": quantity_text(taken.aperture_s, "s"),
        "sense": "4-wire" if taken.remote_sense else "2-wire",
        "records before the trigger": str(taken.pretrigger_points) if taken.pretrigger_points else "",
    }
    return {name: text for name, text in (found | dict(taken.settings)).items() if text}


def detector(found: Detector) -> data.Detector:
    """What decides that an event happened, with its share of the figures where it has one."""
    if found.kind.startswith("none"):
        return data.Detector("host-triggered", found.kind)
    by = Provenance.MEASURED if found.kind == "measured" else Provenance.DECLARED
    power = _within("detector.power", found.power_w, "W", half_width=found.power_half_width_w, by=by)
    rate = _within("detector.false_wake_rate", found.false_wake_hz, "Hz", half_width=found.false_wake_half_width_hz, by=by)
    return data.Detector(found.kind, found.kind, power, rate)


def _within(kpi: str, value: float, unit: str, *, half_width: float, by: Provenance) -> KpiRecord:
    """A figure known to lie within limits, all values in between alike likely (JCGM 100:2008, 4.3.7): 95 % of them are the interval."""
    half = 0.95 * half_width
    u = half_width / math.sqrt(3)
    return KpiRecord(kpi, "detector", value, unit, u, value - half, value + half, 1, by, "limits given in the plan")


def phase_energies(points: Sequence[OperatingPoint], records: Sequence[KpiRecord], rows: Sequence[CaptureRow]) -> list[PhaseEnergy]:
    """Of each curve and phase one figure: from the triggered captures where they resolved it, since they have the finest records."""
    by_key, place = keys(points), {p.key: p for p in points}
    roles = {row.key: row.role for row in rows}
    found = []
    for key in dict.fromkeys(by_key.values()):
        for phase in PHASES:
            own = [r for r in records if r.id == f"phase_energy.{phase}" and by_key.get(r.at) == key]
            own.sort(key=lambda r: (r.value is None, not any(roles.get(c) is Role.EVENT for c in r.captures)))
            found += [PhaseEnergy(key, place[r.at].mode, phase, r) for r in own[:1]]
    return found


def series(results: Iterable[CaptureResult]) -> tuple[InferenceSeries, ...]:
    """One value an inference; repeats of an operating point one after the other."""
    found: dict[tuple[str, str], list[float]] = {}
    for result in results:
        for kpi, values in result.per_event.items():
            if kpi.startswith(SERIES):
                found.setdefault((result.point.key, kpi), []).extend(values)
    return tuple(InferenceSeries(at, kpi, unit_of(kpi), tuple(values)) for (at, kpi), values in found.items())


def notices(run: RunRow, rows: Sequence[CaptureRow], analysis: Analysis | None, setup: AnalysisSetup | None) -> list[Notice]:
    """What a reader must know, errors first."""
    failed = same_told_once("error", [(row.key, row.error or str(row.state)) for row in rows if row.state in _LOST])
    missing = sum(row.state in (CaptureState.PLANNED, CaptureState.RECORDING) for row in rows)
    found = [Notice("error", "run", f"{ENDED.get(run.state, run.state)}: {run.error}")] if run.error and not failed else []
    found += failed
    if missing:
        found.append(Notice("warning", "run", f"{missing} of {len(rows)} captures {'was' if missing == 1 else 'were'} not made"))
    if run.state is RunState.RUNNING:
        found.append(Notice("warning", "run", "it is still going on, or the process that ran it died"))
    if setup is not None:
        found += [Notice("warning", "instruments", f"{flag}; limits of error are widened by {setup.widen:g}") for flag in setup.flags]
        if kelvin := outside_k(setup):
            found.append(
                Notice("info", "ambient", f"up to {kelvin:.2g} K outside 18 to 28 °C; limits of error with a coefficient are widened")
            )
    if analysis is not None:
        if told := too_long(run, analysis.captures, analysis.setup.burst_bound_s):
            found.append(Notice("warning", "board", told))
        found += problems(analysis.captures)
        found += [Notice("warning", "sweep", text) for text in analysis.sweep.problems]
    found += [Notice("info", name, NOT_ZEROED) for name, item in run.instruments.items() if section(item).get("streams")]
    return found + [Notice("info", name, VIRTUAL) for name, item in run.instruments.items() if section(item).get("virtual")]


def bent(figures: Figures) -> list[Notice]:
    """Modes whose mean power does not lie on a straight line over the rate: their two figures are averages over the rates measured."""
    found = []
    for (kpi, at), record in figures.first.items():
        if kpi == "fit.floor_power" and NOT_LINEAR in record.flags:
            lack = figures.get("fit.chi2_per_dof", at)
            how = f" (chi²/dof {significant(lack.value, 2)})" if lack is not None and lack.value is not None else ""
            text = f"mean power is not on a straight line over the rate{how}; floor and incremental energy are widened accordingly"
            found.append(Notice("warning", at, text))
    return found


def problems(results: Iterable[CaptureResult]) -> list[Notice]:
    """What the analysis found odd."""
    return same_told_once("warning", [(result.key, text) for result in results for text in result.problems])


def same_told_once(severity: str, told: Iterable[tuple[str, str]]) -> list[Notice]:
    """told: (capture, text); the same text of several captures becomes one notice."""
    where: dict[str, list[str]] = {}
    for capture, text in told:
        where.setdefault(text, []).append(capture)
    return [_of_captures(severity, text, captures) for text, captures in where.items()]


def _of_captures(severity: str, text: str, captures: Sequence[str]) -> Notice:
    if len(captures) == 1:
        return Notice(severity, captures[0], text)
    named = ", ".join(captures[:_NAMED]) + (" ..." if len(captures) > _NAMED else "")
    return Notice(severity, f"{len(captures)} captures", f"{text} ({named})")
