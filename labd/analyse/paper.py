"""A stored run in the lines of a table in the paper's forms."""

from __future__ import annotations

from labd.analyse.wording import section
from labd.report.entries import Entry, of_run
from labd.store.catalogue import Catalogue


def entries_of_run(catalogue: Catalogue, run_id: str) -> list[Entry]:
    """By its stored figures and cards. run_id: as every command takes it. Raises NotFound."""
    run = catalogue.runs.get(run_id)
    board = str(section(run.bench_effective, "board", "board").get("name") or run.bench_name)
    points = [capture.point for capture in catalogue.captures.of(run.id)]
    return list(of_run(board, run.cards, points, catalogue.kpis.of(run.id)))
