"""Stored runs as lines of tables and charts, each by the name of its board."""

from __future__ import annotations

from collections.abc import Sequence

from labd.analyse.accuracy import accuracies
from labd.analyse.run import setup_of
from labd.analyse.wording import section
from labd.errors import StoreError
from labd.report.entries import Entry, of_run
from labd.store.catalogue import Catalogue
from labd.store.rows import RunRow


def entries_of_runs(catalogue: Catalogue, run_ids: Sequence[str]) -> list[Entry]:
    """By their stored figures and cards, with what the board's predictions are worth where an accuracy run knows. run_ids: as every command
    takes them. Raises NotFound."""
    found: list[Entry] = []
    for run, name in named(catalogue, run_ids):
        points = [capture.point for capture in catalogue.captures.of(run.id)]
        scored = accuracies(catalogue.folder, board_of(run), {point.model for point in points}, run.tags)
        records = [*catalogue.kpis.of(run.id), *(record for one in scored for record in one.kpis)]
        use_case = str(section(run.cards, "use_case").get("name") or section(run.plan_expanded, "plan", "plan").get("use_case") or "")
        simulated = any(one.get("virtual") for one in run.instruments.values())
        found += of_run(name, run.cards, points, records, use_case=use_case, simulated=simulated, has_detector=_has_detector(run))
    return found


def _has_detector(run: RunRow) -> bool:
    try:
        return not setup_of(run).detector.kind.startswith("none")
    except StoreError:
        return False


def board_of(run: RunRow) -> str:
    return str(section(run.bench_effective, "board", "board").get("name") or run.bench_name)


def named(catalogue: Catalogue, run_ids: Sequence[str]) -> list[tuple[RunRow, str]]:
    """Each run once, by the name of its board; runs of one board are told apart by the end of their ids."""
    runs = list({run.id: run for run in (catalogue.runs.get(one) for one in run_ids)}.values())
    boards = [board_of(run) for run in runs]
    return [(run, name if boards.count(name) == 1 else f"{name} {run.id[-4:]}") for run, name in zip(runs, boards, strict=True)]
