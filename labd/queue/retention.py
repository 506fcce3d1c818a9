"""What the store may use of the disk: no capture without space for it, old runs go when they must, what belongs to nobody is cleared."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labd.errors import StoreError
from labd.store.archive import TRANSFER
from labd.store.catalogue import Catalogue
from labd.store.rows import RunAge
from labd.store.session import CatalogueSession
from labd.stream.session import InstrumentSession

KEEP = "keep"
TRACES = "traces"
DAY_NS = 86_400 * 10**9
YOUNG_NS = 3600 * 10**9  # a folder without rows, or half a transfer, may belong to somebody at work while it is younger than this
DISK_S = 3600.0  # to measure or to delete a store of terabytes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a store may hold. quota: bytes of traces. keep_days: age of a run. None: no limit."""

    quota: int | None
    keep_days: int | None


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A folder of traces. size: bytes. changed_ns: when a name was last added to it, or taken away."""

    size: int
    changed_ns: int


def check_space(folder: Path, needed: int, least_free: int, *, what: str = "the capture") -> None:
    """Raises StoreError where the disk has less than least_free bytes besides what is needed."""
    free = shutil.disk_usage(folder).free
    if free - needed < least_free:
        raise StoreError(
            f"{folder}: {_size(free)} free, {what} needs up to {_size(needed)} and storage.least_free keeps {_size(least_free)}; "
            "delete runs, or set storage.quota or storage.keep_days"
        )


async def sweep(catalogue: CatalogueSession, keeping: Keeping, *, now_ns: int) -> list[str]:
    """Delete what is too old or, oldest first, too much; returns the ids of the runs deleted. Raises StoreError.

    Never runs tagged `keep`, running ones, or those that a job goes on with. Rows go before traces: a kill in between leaves a folder that
    no run knows, which the next sweep removes. The disk is measured and cleared in a thread of its own.
    """
    async with InstrumentSession("retention") as disk:
        # folders before ids: a run that another process makes meanwhile is in neither, or in both
        folders = await disk.call(partial(traces_of, catalogue.folder, measured=keeping.quota is not None), deadline_s=DISK_S)
        known, deleted = await catalogue.do(partial(_delete_due, folders, keeping, now_ns))
        nobodys = [name for name, one in folders.items() if name not in known and one.changed_ns < now_ns - YOUNG_NS]
        for name in nobodys:
            log.warning("%s belongs to no run and is removed", catalogue.folder / TRACES / name)
        for name in (*deleted, *nobodys):
            await disk.call(remove_traces, catalogue.folder, name, deadline_s=DISK_S)
        await disk.call(_clear_transfers, catalogue.folder, now_ns - YOUNG_NS, deadline_s=DISK_S)
    return deleted


def due(runs: Sequence[RunAge], folders: Mapping[str, OnDisk], keeping: Keeping, *, now_ns: int, needed: Iterable[str] = ()) -> list[str]:
    """Which of the runs, given oldest first, are to go. needed: those that a job goes on with."""
    sizes = {run.id: folders[run.id].size for run in runs if run.id in folders}
    used = sum(sizes.values())
    going: list[str] = []
    for run in runs:
        if run.going_on or KEEP in run.tags or run.id in needed:
            continue
        old = keeping.keep_days is not None and run.created_ns < now_ns - keeping.keep_days * DAY_NS
        if old or (keeping.quota is not None and used > keeping.quota):
            used -= sizes.get(run.id, 0)
            going.append(run.id)
    return going


def delete_run(catalogue: Catalogue, run_id: str) -> None:
    """A run with its traces. Raises NotFound, WrongState for one that goes on."""
    catalogue.runs.delete(run_id)
    remove_traces(catalogue.folder, run_id)


def remove_traces(folder: Path, run_id: str) -> None:
    """Of a run whose rows are gone."""
    shutil.rmtree(folder / TRACES / run_id, ignore_errors=True)


def traces_of(folder: Path, *, measured: bool) -> dict[str, OnDisk]:
    """The folders of traces by their run's id. measured: with their sizes, else these are 0."""
    found: dict[str, OnDisk] = {}
    traces = folder / TRACES
    for path in traces.iterdir() if traces.is_dir() else ():
        try:
            if path.is_dir():
                found[path.name] = OnDisk(size_of(path) if measured else 0, path.stat().st_mtime_ns)
        except OSError:  # gone meanwhile
            continue
    return found


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _delete_due(folders: Mapping[str, OnDisk], keeping: Keeping, now_ns: int, catalogue: Catalogue) -> tuple[frozenset[str], list[str]]:
    """Decided and done in one go, so that nobody tags or resumes a run in between. Every id before it, and those that are deleted."""
    runs, running = catalogue.runs.ages(), catalogue.jobs.under_way()
    needed = {job.run_id for job in (*catalogue.jobs.waiting(), *([running] if running else ()))}
    deleted = due(runs, folders, keeping, now_ns=now_ns, needed=needed)
    for run_id in deleted:
        log.info("run %s is deleted: retention", run_id)
        catalogue.runs.delete(run_id)
    return frozenset(run.id for run in runs), deleted


def _clear_transfers(folder: Path, before_ns: int) -> None:
    """What an upload or a download left behind whose client, or whose daemon, went away."""
    transfers = folder / TRANSFER
    for path in transfers.iterdir() if transfers.is_dir() else ():
        try:
            if path.stat().st_mtime_ns >= before_ns:
                continue
            log.warning("%s belongs to no transfer under way and is removed", path)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:  # ended by itself meanwhile, or not ours to remove; the next sweep sees
            continue


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"
