"""What a store holds of a run, for the server: its traces and what is to be known of them, its figures and phases."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from labd.errors import NotFound, StoreError
from labd.influx import points
from labd.influx.section import RATE_HZ
from labd.influx.trace_points import zero_of
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from labd.store.trace_window import open_parts

UNREADABLE = (StoreError, OSError, pa.ArrowException)  # what a trace file that is there may raise

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """The traces of a run. recording: those that samples still come to; going_on: more of them may come; board: that they were taken at;
    rate_hz: of their summaries."""

    names: tuple[str, ...] = ()
    recording: frozenset[str] = frozenset()
    going_on: bool = False
    board: str = ""
    rate_hz: float = RATE_HZ


def of_run(bench: str, run_id: str, catalogue: Catalogue) -> list[bytes]:
    """Final figures, and the phases that the analysis has found."""
    found = [figures_of(bench, run_id, catalogue, final=True), *phases_of(bench, run_id, catalogue, without=frozenset()).values()]
    return [body for body in found if body]


def phases_of(bench: str, run_id: str, catalogue: Catalogue, *, without: frozenset[str]) -> dict[str, bytes]:
    """Of each capture that has been analysed, by its key; they do not change when others have been. without: these captures."""
    found: dict[str, bytes] = {}
    for row in catalogue.captures.of(run_id):
        windows = () if row.key in without or not row.trace else catalogue.captures.windows(run_id, row.key)
        if windows:
            try:
                found[row.key] = points.phases(bench, row, windows, zeros_of(catalogue.folder / row.trace))
            except (NotFound, *UNREADABLE) as error:  # a trace that is lost keeps nothing else from being sent
                log.error("influx: phases are left out: %s", error)
                found[row.key] = b""
    return found


def zeros_of(trace: Path) -> dict[int, int]:
    """By stretch: UTC, ns, of the zero of its axis."""
    parts = open_parts(trace)
    return {facts.number: zero_of(parts.capture, facts) for facts in parts.stretches()}


def trace_files(folder: Path) -> list[str]:
    """Names of the traces of a run by their captures' order; one that is being finished has two files, and one name."""
    files = (path.name for path in folder.glob("*.*") if path.name.endswith((".arrows", ".parquet")) and ".pyramid." not in path.name)
    names = {name.split(".")[0] for name in files}
    return sorted(f"{name}.parquet" for name in names)


def files_of(run_id: str, catalogue: Catalogue) -> Files:
    """None of a run that was deleted meanwhile. Files first: one that is there had its row at `recording` before, so that it is never
    taken for one that has ended while samples come to it."""
    names = tuple(trace_files(catalogue.folder / "traces" / run_id))
    rows = catalogue.captures.of(run_id)
    if not rows:
        return Files()
    run = catalogue.runs.get(run_id)
    recording = frozenset(Path(row.trace).name for row in rows if row.state is CaptureState.RECORDING and row.trace)
    return Files(names, recording, run.state is RunState.RUNNING, points.board_of(run), points.rate_of(run))


def figures_of(bench: str, run_id: str, catalogue: Catalogue, *, final: bool) -> bytes:
    by_key = {row.point.key: row.point for row in catalogue.captures.of(run_id)}
    return points.kpis(bench, catalogue.runs.get(run_id), catalogue.kpis.of(run_id), by_key, final=final)
