"""The guard of a bench: who switches its outputs off should this process not be able to."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from labd import host
from labd.bench.station import STUCK_ENDS_S
from labd.bench_file import Bench
from labd.daemon.component import component
from labd.daemon.guard_place import SERVICE_DATA, socket_place, socket_places
from labd.daemon.opened import OpenBench
from labd.errors import SafetyRefusal
from labd.guard.holder import Holder
from labd.guard.journal import Incident, mark_reported, unreported
from labd.guard.link import GuardLink
from labd.guard.off import release as release_guard
from labd.guard.off import switch_off
from labd.guard.spawn import ensure_guard
from labd.guard.wire import Armament, GuardedSource, OffResult
from labd.records import Event
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder, file_slug
from labd.store.lock import Held, held, in_use, lock_holder
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind
from labd_instruments import loader
from labd_instruments.contract import OffAssurance

REVIVE_S = 1.0
BACK_S = 15.0  # for a guard that was lost to be back before a job is refused
GUARD_ENV, BY_SERVICE = "LABD_GUARD", "service"

log = logging.getLogger(__name__)


def socket_of(bench: Bench) -> Path:
    """Where this bench's guard serves."""
    return socket_place(bench.path, bench.name, bench.guard.socket)


def sockets_of(bench: Bench) -> list[Path]:
    """Where a guard of this bench may serve, whoever started it."""
    return socket_places(bench.path, bench.name, bench.guard.socket)


def journal_of(bench: Bench) -> Path:
    """Beside the socket where the bench file names one."""
    if bench.guard.socket is not None:
        return socket_of(bench).with_suffix(".jsonl")
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


def kept_by_service() -> bool:
    """Whether a service keeps the guard: one that this process started would stay in its own control group and end with it."""
    return os.environ.get(GUARD_ENV) == BY_SERVICE


@asynccontextmanager
async def guard_of(bench: Bench) -> AsyncIterator[GuardLink | None]:
    """A link to the bench's guard, started where none serves. None where there is none to be had and none is needed: for a virtual bench,
    which ends with this process, and for an attended one on a system without guards.

    Raises SafetyRefusal where no guard can be had.
    """
    if _needs_none(bench):
        yield None
        return
    await _started(bench)
    async with GuardLink(socket_of(bench), patience_s=BACK_S) as link:
        yield link


@asynccontextmanager
async def kept_guard(bench: Bench, news: Hub[News]) -> AsyncIterator[GuardLink | None]:
    """Like `guard_of` for a daemon: who watches hears of a guard that is lost or back; where no service keeps one it is started again."""
    if _needs_none(bench):
        yield None
        return
    lost = asyncio.Event()

    def changed(alive: bool, text: str) -> None:  # noqa: FBT001  the link's callback
        log.log(logging.INFO if alive else logging.ERROR, "guard: %s", text)
        news.publish(News(time.time_ns(), NewsKind.GUARD, text, data={"alive": alive}))
        if not alive:
            lost.set()

    await _started(bench)
    async with (
        GuardLink(socket_of(bench), on_change=changed, patience_s=BACK_S) as link,
        component(_revive(bench, link, lost), "guard kept"),
    ):
        if not link.alive:
            changed(False, f"no guard serves {link.socket}: nothing is measured before its service does")
        yield link


def _needs_none(bench: Bench) -> bool:
    """Raises SafetyRefusal for a bench that needs one on a system that has none."""
    if bench.is_virtual:
        return True
    if host.HAS_GUARD:
        return False
    if bench.guard.attended:
        return True
    raise SafetyRefusal(
        "labd has a guard, who switches outputs off should labd hang or die, on Linux only: unattended runs are refused here; "
        f"stay with the bench and set guard.attended = true in {bench.path}"
    )


async def _started(bench: Bench) -> None:
    if not kept_by_service():
        await ensure_guard(socket_of(bench), journal_of(bench))


async def _revive(bench: Bench, link: GuardLink, lost: asyncio.Event) -> None:
    while True:
        await lost.wait()
        lost.clear()
        told = ""
        while not link.alive:
            try:
                await _started(bench)
                await link.connect()
            except SafetyRefusal as error:
                if told != str(error):
                    told = str(error)
                    log.error("no guard: %s", told)
                await asyncio.sleep(REVIVE_S)


async def report_incidents(journal: Path, catalogue: CatalogueSession, news: Hub[News], bench: str) -> None:
    """What the guard did since the last start: into the log of the run that was going on, and to whoever watches."""

    def report(opened: Catalogue) -> list[Incident]:
        found = unreported(journal)
        for incident in found:
            interrupted = [run for run in opened.runs.newest(limit=5, bench=bench) if run.created_ns <= incident.t_ns]
            if interrupted and (interrupted[0].ended_ns is None or interrupted[0].ended_ns >= incident.t_ns):
                opened.runs.log(interrupted[0].id, Event(incident.t_ns, NewsKind.GUARD, incident.text))
        mark_reported(journal, found)
        return found

    for incident in await catalogue.do(report):
        log.error("the guard switched %s off: %s", incident.bench, incident.text)
        news.publish(News(incident.t_ns, NewsKind.GUARD, incident.text, data={"off": incident.off}))


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


async def off_beside(bench: Bench, *, by: str = "") -> list[OffResult]:
    """Switch everything off, whatever labd is doing on the bench: through its guard, or by sessions of our own.

    by: who wants it, where not this process's user. The bench is held off until `release`.
    """
    if bench.is_virtual:
        return []
    return await switch_off(armament(bench), sockets=sockets_of(bench), holder=_user_of(bench), journal=journal_of(bench), by=by)


async def release(bench: Bench, *, by: str = "") -> None:
    """Let the bench be used again after an emergency stop. Raises SafetyRefusal (its guard is another user's), OSError."""
    if not bench.is_virtual:
        await release_guard(bench.name, sockets=sockets_of(bench), journal=journal_of(bench), by=by)


def in_use_here() -> list[Held]:
    """Instruments, ports and probes of this machine that labd holds, as far as this user may see: this user's and the service's."""
    return [one for folder in dict.fromkeys((default_folder(), SERVICE_DATA)) for one in held(in_use(folder))]


def _user_of(bench: Bench) -> Holder | None:
    """The process that uses the bench's sources now, by the lock that it holds on them."""
    resources = [section.resource for name in bench.with_role("source") if (section := bench.instruments[name]).resource]
    pids = (lock_holder(in_use(folder), resource) for folder in (default_folder(), SERVICE_DATA) for resource in resources)
    return next((holder for pid in pids if pid is not None and (holder := Holder.of(pid)) is not None), None)
