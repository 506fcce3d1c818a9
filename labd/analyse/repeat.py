"""An analysis that is repeated: what it gives beside the stored figures, and when it may replace them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labd.analyse.compare import differences, rule
from labd.analyse.environment import environment, versions
from labd.analyse.run import Analysis, store_analysis
from labd.errors import StoreError
from labd.records import KpiRecord
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState


@dataclass(frozen=True, slots=True)
class Comparison:
    """figures: computed now, from so many captures; stored: how many there were before. rule: of agreement; differences: a line each.

    problems: what could not be had.
    """

    run: str
    captures: int
    figures: int
    stored: int
    rule: str
    differences: Sequence[str]
    problems: Sequence[str]


def compare(analysis: Analysis, stored: Sequence[KpiRecord]) -> Comparison:
    """Nothing stored: nothing differs."""
    run = analysis.run
    applies = rule((run.environment, run.versions), (environment(), versions()))
    found = differences(stored, analysis.records, applies) if stored else []
    return Comparison(run.id, len(analysis.captures), len(analysis.records), len(stored), str(applies), found, analysis.problems)


def replace_figures(catalogue: Catalogue, analysis: Analysis) -> None:
    """Raises StoreError while the run is going on: it stores its figures itself."""
    if catalogue.runs.get(analysis.run.id).state is RunState.RUNNING:
        raise StoreError(f"run {analysis.run.id} is still running; its figures are stored when it ends")
    store_analysis(catalogue, analysis)
