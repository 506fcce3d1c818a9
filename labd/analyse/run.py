"""Analyses a stored run: traces in, figures out, the same ones each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labd.analyse import declared
from labd.analyse.analyzer import analyzer_readings, is_cross_check
from labd.analyse.capture import capture_input
from labd.analyse.counts import counted
from labd.analyse.disclosure import untold
from labd.analyse.setup import AnalysisSetup
from labd.errors import StoreError
from labd.kpi.aimed import Asked
from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.combined import combined
from labd.kpi.draws import Draws
from labd.kpi.inputs import AnalyzerReadings
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.kpi.terms import Terms
from labd.records import CaptureState, KpiRecord, Role
from labd.store.catalogue import Catalogue
from labd.store.jsonform import from_json
from labd.store.rows import CaptureRow, RunRow
from labd.store.trace import Trace
from labd.store.trace_reader import read_trace


@dataclass(frozen=True, slots=True)
class Analysis:
    """Figures of one run. records: of captures in the order they were planned, of the sweep, what joins both with the
    work an inference is, and what the cards declare. asked: see `asked_of`."""

    run: RunRow
    setup: AnalysisSetup
    captures: tuple[CaptureResult, ...]
    sweep: SweepResult
    records: tuple[KpiRecord, ...]
    problems: tuple[str, ...]
    asked: tuple[Asked, ...]


def analyse_run(catalogue: Catalogue, run_id: str) -> Analysis:
    """Everything from the finished captures of a run. Raises StoreError when its traces or its setup cannot be read."""
    run = catalogue.runs.get(run_id)
    setup = setup_of(run)
    terms = Terms()
    results: list[CaptureResult] = []
    checks: list[AnalyzerReadings] = []
    made: list[CaptureRow] = []
    rows = catalogue.captures.of(run.id)
    for row in rows:
        if row.state is not CaptureState.FINISHED:
            continue
        if is_cross_check(run, row):
            checks.append(analyzer_readings(run, row, setup))
        else:
            results.append(analyse_stored(catalogue, run, row, setup=setup, terms=terms))
            made.append(row)
    sweep = compared(results, setup, checks)
    nets = declared.joined(counted(made), declared.models(run.cards))
    joined = combined(results, nets, declared.hardware(run.cards), terms=terms, draws=Draws(setup.seed, "combined"))
    told = tuple(declared.records(run.cards))
    records = tuple(record for result in results for record in result.records) + sweep.records + joined + told
    problems = tuple(f"{r.key}: {text}" for r in results for text in r.problems) + sweep.problems
    return Analysis(run, setup, tuple(results), sweep, records, problems, asked_of(run, rows))


def asked_of(run: RunRow, rows: Sequence[CaptureRow]) -> tuple[Asked, ...]:
    """Captures that tell the figures that a plan may aim at, made or not."""
    own = [row for row in rows if row.role is not Role.START and not is_cross_check(run, row)]
    return tuple(Asked(row.point, row.role, row.error) for row in own)


def compared(results: Sequence[CaptureResult], setup: AnalysisSetup, analyzer: Sequence[AnalyzerReadings] = ()) -> SweepResult:
    """What the captures of a run say about its modes."""
    return analyse_sweep(
        results,
        detector=setup.detector,
        battery=setup.battery,
        harvester=setup.harvester,
        seed=setup.seed,
        analyzer=analyzer,
        rates_hz=setup.rates_hz,
        supply_min_v=setup.supply_min_v,
    )


def analyse_stored(catalogue: Catalogue, run: RunRow, row: CaptureRow, *, setup: AnalysisSetup, terms: Terms) -> CaptureResult:
    """Figures of one stored capture."""
    instrument = run.instruments.get(str(row.plan.get("instrument", "")))
    if instrument is None:
        raise StoreError(f"run {run.id} does not say which instrument made capture {row.key}")
    return analyse_capture(capture_input(row, trace_of(catalogue, row), instrument, setup, instruments=run.instruments), terms=terms)


def store_analysis(catalogue: Catalogue, analysis: Analysis) -> None:
    """Store the figures of a run, the windows they rest on, and what is not told of it; replaces those of an earlier analysis."""
    catalogue.kpis.put(analysis.run.id, analysis.records)
    catalogue.runs.disclosed(analysis.run.id, untold(analysis.run, catalogue.captures.of(analysis.run.id)))
    for result in analysis.captures:
        catalogue.captures.put_windows(analysis.run.id, result.key, result.windows)


def trace_of(catalogue: Catalogue, row: CaptureRow) -> Trace:
    return read_trace(catalogue.trace_path(row))


def setup_of(run: RunRow) -> AnalysisSetup:
    """What the run stored for its analysis. Raises StoreError where it did not."""
    stored = run.plan_expanded.get("analysis")
    if stored is None:
        raise StoreError(f"run {run.id} holds no setup for its analysis")
    return from_json(AnalysisSetup, stored)
