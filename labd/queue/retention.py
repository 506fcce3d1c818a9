"""What the store may use of the disk: no capture without space for it, and old runs go when they must."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from labd.errors import StoreError
from labd.store.catalogue import Catalogue
from labd.store.rows import RunRow, RunState

KEEP = "keep"
TRACES = "traces"
DAY_NS = 86_400 * 10**9

log = logging.getLogger(__name__)


def check_space(folder: Path, needed: int, least_free: int) -> None:
    """Raises StoreError where the disk has less than least_free bytes besides what is needed."""
    free = shutil.disk_usage(folder).free
    if free - needed < least_free:
        raise StoreError(
            f"{folder}: {_size(free)} free, the capture needs up to {_size(needed)} and storage.least_free keeps {_size(least_free)}; "
            "delete runs, or set storage.quota or storage.keep_days"
        )


def sweep(catalogue: Catalogue, *, quota: int | None, keep_days: int | None, now_ns: int, busy: frozenset[str] = frozenset()) -> list[str]:
    """Delete what is too old or, oldest first, too much; returns the ids of the runs deleted.

    Never runs tagged `keep`, running ones, or those in busy (a job goes on with them). Rows go before traces: a kill in between leaves a
    folder that no run knows, which the next sweep removes.
    """
    _remove_orphans(catalogue)
    deleted: list[str] = []
    for run in _due(catalogue, quota=quota, keep_days=keep_days, now_ns=now_ns, busy=busy):
        log.info("run %s is deleted: retention", run.id)
        delete_run(catalogue, run.id)
        deleted.append(run.id)
    return deleted


def delete_run(catalogue: Catalogue, run_id: str) -> None:
    """A run with its traces. Raises NotFound, WrongState for one that goes on."""
    run = catalogue.runs.get(run_id)
    catalogue.runs.delete(run.id)
    shutil.rmtree(catalogue.folder / TRACES / run.id, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _due(catalogue: Catalogue, *, quota: int | None, keep_days: int | None, now_ns: int, busy: frozenset[str]) -> Iterator[RunRow]:
    oldest_first = sorted(catalogue.runs.newest(limit=1_000_000), key=lambda run: run.created_ns)
    may_go = [run for run in oldest_first if KEEP not in run.tags and run.state is not RunState.RUNNING and run.id not in busy]
    used = size_of(catalogue.folder / TRACES)
    for run in may_go:
        old = keep_days is not None and run.created_ns < now_ns - keep_days * DAY_NS
        if old or (quota is not None and used > quota):
            used -= size_of(catalogue.folder / TRACES / run.id)
            yield run


def _remove_orphans(catalogue: Catalogue) -> None:
    known = {run.id for run in catalogue.runs.newest(limit=1_000_000)}
    folder = catalogue.folder / TRACES
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name not in known:
            log.warning("%s belongs to no run and is removed", path)
            shutil.rmtree(path, ignore_errors=True)


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"
