"""What the process that computes is asked to do; every function takes and returns what can be pickled."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from labd.analyse import imported
from labd.analyse.analyzer import is_cross_check
from labd.analyse.board_curves import board_curves
from labd.analyse.entries import entries_of_runs
from labd.analyse.environment import versions
from labd.analyse.imported import ImportedCard
from labd.analyse.report import report_of
from labd.analyse.run import Analysis, analyse_run, analyse_stored, asked_of, compared, setup_of
from labd.analyse.too_long import too_long
from labd.interchange import document
from labd.interchange.foreign import Added
from labd.interchange.kinds import Kind
from labd.kpi.aimed import standings
from labd.kpi.aims import Advice, Place, Standing, advice
from labd.kpi.capture import CaptureResult
from labd.kpi.terms import Terms
from labd.records import CaptureState, KpiRecord, Window
from labd.report import csv, html, json, markdown, text
from labd.report.charts import Asked, Chart, ChartAnswer, ChartText, charts, page
from labd.report.charts import picture as drawing
from labd.report.data import RunReport
from labd.report.entries import of_card
from labd.store.catalogue import Catalogue
from labd.store.parquet import finish_trace

RUNS_KEPT = 2  # whose captures' results are remembered while they go on

RENDERS: dict[str, Callable[[RunReport], str]] = {
    "html": html.render,
    "md": markdown.render,
    "csv": csv.render,
    "json": json.render,
    "text": text.render,
    "ascii": partial(text.render, ascii_only=True),
}


def finish(path: Path) -> None:
    finish_trace(path)


def analyse(store: Path, run_id: str) -> Analysis:
    """Afresh, whatever was computed on the way: the figures of a run do not depend on when somebody looked."""
    _going.pop((store, run_id), None)
    with Catalogue.open_read_only(store) as catalogue:
        return analyse_run(catalogue, run_id)


def render(store: Path, run_id: str, form: str) -> str:
    return RENDERS[form](report_of(store, run_id))


def chart(store: Path, asked: Asked, runs: Sequence[str], cards: Sequence[Mapping[str, Any]], picture: str) -> ChartAnswer:
    """Charts of cards, as a run stores them, and runs, and a picture of them: svg, html, or empty for none. Raises NotFound."""
    with Catalogue.open_read_only(store) as catalogue:
        entries = [entry for card in cards for entry in of_card(card)]
        entries += entries_of_runs(catalogue, runs)
        made = charts(asked, entries, board_curves(catalogue, runs))
    return answered(made, picture)


def answered(made: Sequence[Chart], picture: str) -> ChartAnswer:
    text = drawing(made) if picture == "svg" else page(made, version=versions()["labd"]) if picture == "html" else ""
    return ChartAnswer(tuple(ChartText(one.title, one.tables, one.notes) for one in made), text)


def interchange(store: Path, run_id: str, form: str, model: str | None) -> str:
    """A run for other programs: `json`, or `mlperf-tiny` of one model. Raises NotFound, StoreError, WrongState."""
    report = report_of(store, run_id)
    return document.render(report) if form == "json" else document.mlperf_results(report, model)


def take_in(files: Mapping[str, bytes], kind: Kind | None, asked: Added, store: Path | None) -> tuple[Kind, list[ImportedCard]]:
    return imported.take_in(files, kind, asked, store=store)


@dataclass(frozen=True, slots=True)
class FiguresSoFar:
    """records: of all finished captures, and of the sweep as far as it goes. windows: by capture, of those not told before. warning: what
    makes the rest of the run worth little, empty where nothing does. standings: of what the plan aims at."""

    records: tuple[KpiRecord, ...]
    windows: Mapping[str, tuple[Window, ...]]
    warning: str = ""
    standings: tuple[Standing, ...] = ()


def figures_so_far(store: Path, run_id: str) -> FiguresSoFar:
    """Each capture is analysed once."""
    so_far = _so_far(store, run_id)
    before = set(so_far.results)
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.get(run_id)
        setup = setup_of(run)
        rows = catalogue.captures.of(run.id)
        for row in rows:
            if row.state is CaptureState.FINISHED and not is_cross_check(run, row) and row.key not in so_far.results:
                so_far.results[row.key] = analyse_stored(catalogue, run, row, setup=setup, terms=so_far.terms)
    results = list(so_far.results.values())
    sweep = compared(results, setup)
    records = tuple(record for result in results for record in result.records) + sweep.records
    windows = {key: result.windows for key, result in so_far.results.items() if key not in before}
    stand = standings(setup.aims, sweep, results, asked_of(run, rows), seed=setup.seed)
    return FiguresSoFar(records, windows, too_long(run, results, setup.burst_bound_s), tuple(stand))


def advised(standings: Sequence[Standing], places: Sequence[Place]) -> Advice:
    """What the next seconds of measuring are best spent on."""
    return advice(standings, places)


@dataclass(slots=True)
class _SoFar:
    terms: Terms = field(default_factory=Terms)
    results: dict[str, CaptureResult] = field(default_factory=dict)


_going: OrderedDict[tuple[Path, str], _SoFar] = OrderedDict()  # a cache of this process, and nothing else's state


def _so_far(store: Path, run_id: str) -> _SoFar:
    found = _going.setdefault((store, run_id), _SoFar())
    _going.move_to_end((store, run_id))
    while len(_going) > RUNS_KEPT:
        _going.popitem(last=False)
    return found
