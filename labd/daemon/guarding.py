"""The guard of a bench: who switches its outputs off should this process not be able to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import platformdirs

from labd.bench.station import STUCK_ENDS_S
from labd.bench_file import Bench
from labd.daemon.opened import OpenBench
from labd.errors import SafetyRefusal
from labd.guard.link import GuardLink
from labd.guard.off import switch_off
from labd.guard.spawn import ensure_guard
from labd.guard.wire import Armament, GuardedSource, OffResult
from labd.store.folder import default_folder, file_slug
from labd_instruments import loader
from labd_instruments.contract import OffAssurance


def socket_of(bench: Bench) -> Path:
    """Where this bench's guard serves: `[guard] socket`, relative to the bench file, or a place by the bench's name."""
    if bench.guard.socket is not None:
        return bench.path.parent / bench.guard.socket
    return Path(platformdirs.user_runtime_dir("labd", appauthor=False)) / f"guard-{file_slug(bench.name)}.sock"


def journal_of(bench: Bench) -> Path:
    return default_folder() / f"guard-{file_slug(bench.name)}.jsonl"


def armament(bench: Bench) -> Armament:
    """What the guard has to switch off: every instrument that feeds the board."""
    sources = [_source(bench, name) for name in bench.with_role("source")]
    limits = bench.limits
    return Armament(bench.name, tuple(sources), limits.off_voltage, limits.off_time, bench.guard.heartbeat)


def _source(bench: Bench, name: str) -> GuardedSource:
    section = bench.instruments[name]
    info = loader.info(section.driver)
    assert section.resource is not None  # a real bench's
    assurance = info.off_assurance
    return GuardedSource(name, section.driver, section.resource, assurance, section.options, info.sees_output_when_off)


@asynccontextmanager
async def guard_of(bench: Bench) -> AsyncIterator[GuardLink | None]:
    """A link to the bench's guard, started where none serves. None for a virtual bench, which ends with this process.

    Raises SafetyRefusal where no guard can be had.
    """
    if bench.is_virtual:
        yield None
        return
    await ensure_guard(socket_of(bench), journal_of(bench))
    async with GuardLink(socket_of(bench)) as link:
        yield link


class Hangs:
    """Whether an instrument's thread hangs for longer than the bench's own way out needs; then only the guard is left."""

    def __init__(self) -> None:
        self.opened: OpenBench | None = None
        self._since_s: float | None = None

    def __call__(self) -> bool:
        tools = self.opened.station.tools.values() if self.opened is not None else ()
        if not any(tool.session.stuck and not tool.session.abandoned for tool in tools):
            self._since_s = None
            return False
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s > STUCK_ENDS_S


@asynccontextmanager
async def guarded(bench: Bench, guard: GuardLink | None) -> AsyncIterator[Hangs]:
    """The guard answers for the bench's outputs as long as the body runs; the body tells what it has opened. Raises SafetyRefusal."""
    hangs = Hangs()
    if guard is None:
        yield hangs
        return
    async with guard.armed(armament(bench), beyond_help=hangs):
        yield hangs


def refuse_unattended(bench: Bench, *, attended: bool) -> None:
    """Raises SafetyRefusal for a source that nothing is known to switch off, unless somebody stays with the bench."""
    if bench.is_virtual or attended or bench.guard.attended:
        return
    for name in bench.with_role("source"):
        if loader.info(bench.instruments[name].driver).off_assurance is OffAssurance.NONE:
            raise SafetyRefusal(
                f"{name} ({bench.instruments[name].driver}) has no assured way off when labd hangs or dies: unattended runs are refused; "
                f"stay with the bench and submit the job as attended, or set guard.attended = true in {bench.path}"
            )


async def off_beside(bench: Bench) -> list[OffResult]:
    """Switch everything off, whatever labd is doing on the bench: through its guard, or by sessions of our own."""
    if bench.is_virtual:
        return []
    return await switch_off(armament(bench), socket=socket_of(bench))
