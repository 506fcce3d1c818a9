"""Runs a plan's captures on a station, one after the other, each stored before the next begins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from labd import logs
from labd.bench.acquire import CaptureUnfit, acquire
from labd.bench.clock import TOO_SLOW, Pace
from labd.bench.control import RunControl
from labd.bench.cross_check import cross_check
from labd.bench.expand import CapturePlan
from labd.bench.explained import explained
from labd.bench.interlock import IoLine
from labd.bench.journal import Journal
from labd.bench.recorder import Recorder, Recordings, Subject
from labd.bench.rig import Rig
from labd.bench.station import Station, not_reached
from labd.bench.taken import Taken
from labd.errors import DutFailure, InstrumentFailure, LabdError
from labd.records import Role
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import CaptureRow
from labd.store.session import CatalogueSession
from labd.stream.news import NewsKind

log = logging.getLogger(__name__)


class CaptureRefused(LabdError):
    """A capture failed, and the run was told to stop then."""

    exit_code = DutFailure.exit_code


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run does about failures. stop_at_failure: end after the first capture that fails for good; retries: of a failed capture."""

    stop_at_failure: bool = False
    retries: int = 0


class NotBack(DutFailure):
    """The board failed in a capture, and does not answer after a power cycle either."""


class BrokenOff(InstrumentFailure):
    """The connection to an instrument broke in a capture that may be made again, once the bench was opened anew."""


@dataclass(slots=True)
class Progress:
    """How far a run is, kept where its bench is opened anew.

    plans: captures still to be made. attempt: of the first of them, from 0. failed: errors of those that failed for good. behind: by key,
    in which captures a virtual bench did not keep real time.
    """

    plans: list[CapturePlan]
    attempt: int = 0
    failed: list[str] = field(default_factory=list)
    behind: dict[str, Pace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What the runner is given: an opened rig, where to store, what to do. activity in percent; model_seed: of the input data.
    input: what stock firmware is loaded with, None for labd's own.

    before: awaited before each capture, raises what forbids it (no space). after: told each capture that is stored, must not block.
    rested: told how much bench time a pause took.
    """

    rig: Rig
    catalogue: CatalogueSession
    recordings: Recordings
    journal: Journal
    control: RunControl
    run_id: str
    progress: Progress
    lines: list[IoLine]
    activity: int
    model_seed: int
    warm_up_inferences: int
    rules: Rules
    before: Callable[[CapturePlan], Awaitable[None]]
    after: Callable[[CapturePlan], None]
    input: bytes | None = None
    rested: Callable[[float], None] = lambda _seconds: None


async def run_captures(work: Work) -> list[str]:
    """All captures in order; returns the errors of those that failed, and goes on after a failure that leaves the board usable.

    Raises BrokenOff, and what ends a run: SafetyRefusal, an instrument that does not answer, a full disk, cancellation. The capture
    under way is then marked failed or interrupted, and its trace is readable, once `work.recordings` is left (after the outputs are off).
    """
    sweep = _Sweep(work)
    progress = work.progress
    while progress.plans:
        plan = progress.plans[0]
        error = await sweep.capture(plan)
        progress.plans.pop(0)
        progress.attempt = 0
        if error:
            progress.failed.append(f"{plan.key}: {error}")
            if work.rules.stop_at_failure:
                raise CaptureRefused(f"{progress.failed[0]} (the rest was left out: after_failure is stop)")
    return progress.failed


class _Sweep:
    """Goes through the captures; knows which operating point the board is at."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._loaded: tuple[float, str, float | None] | None = None

    async def capture(self, plan: CapturePlan) -> str:
        """Make one capture, again where it fails and may be repeated. Returns its last error, empty when it is stored."""
        work = self._work
        for attempt in range(work.progress.attempt, work.rules.retries + 1):
            await self._pause(plan)
            await work.before(plan)
            if attempt:
                await work.catalogue.do(partial(_again, work.run_id, plan.key))
            try:
                with logs.about(capture=plan.key):
                    await self._once(plan, attempt)
            except CaptureUnfit as error:
                work.recordings.afterwards(partial(_tell_end, work, plan, str(error), goes_on=True))
                if attempt < work.rules.retries and not_reached(error):
                    work.progress.attempt = attempt + 1
                    raise BrokenOff(str(error)) from error
                await work.recordings.finish()
                return str(error)
            except InstrumentFailure as error:
                work.progress.attempt = attempt + 1
                if attempt < work.rules.retries and not_reached(error):
                    raise BrokenOff(str(error)) from error
                raise
            except DutFailure as error:
                text = str(error)
                work.recordings.afterwards(partial(_tell_end, work, plan, text, goes_on=True))
                await self._restart(plan, error)
                await work.recordings.finish()
                self._loaded = None
                continue
            await _tell_end(work, plan, "")
            work.after(plan)
            return ""
        return text

    async def _restart(self, plan: CapturePlan, error: DutFailure) -> None:
        """Raises NotBack where the board does not come back: what it failed of first is what there is to say, not what it fails of now."""
        try:
            await restart(self._work.rig.station, plan.point.supply_v, self._work.lines)
        except DutFailure as after:
            log.info("after a power cycle: %s", after)
            raise NotBack(f"{plan.key}: {error}; the board did not come back from a power cycle") from error

    async def _once(self, plan: CapturePlan, attempt: int) -> None:
        work = self._work
        wanted = (plan.point.supply_v, plan.point.model, plan.point.clock_hz)
        again = f", attempt {attempt + 1}" if attempt else ""
        await work.journal.tell(NewsKind.CAPTURE_STARTED, f"{plan.key}{again}", capture=plan.key, order=plan.order, attempt=attempt)
        starts = plan.role is Role.START
        await _one(work, plan, load=self._loaded != wanted and not starts)
        self._loaded = None if starts else wanted  # a board that has started anew holds what its boot loads

    async def _pause(self, plan: CapturePlan) -> None:
        """Outputs off for as long as somebody wants the run to wait; the board starts from power-off afterwards."""
        work = self._work
        if not work.control.paused:
            return
        clock = work.rig.station.clock.for_drivers
        began_s = await asyncio.to_thread(clock.now_s)
        await work.rig.station.interlock.power_down()
        await work.journal.tell(NewsKind.RUN_PAUSED, "paused, outputs off")
        await work.control.until_going_on()
        await work.rig.station.interlock.power_up(plan.point.supply_v, work.lines)
        work.rested(await asyncio.to_thread(clock.now_s) - began_s)
        await work.journal.tell(NewsKind.RUN_CONTINUED, "goes on")
        self._loaded = None


async def _load(work: Work, plan: CapturePlan) -> None:
    """The operating point's supply and model; parameters are resident, and warm-up inferences done, before anything is timed. Stock
    firmware holds its one model, and keeps an input as long as it is powered."""
    station = work.rig.station
    await station.interlock.set_voltage(plan.point.supply_v)
    if work.input is not None:
        if not work.rig.device.holds(work.input):
            await work.rig.device.load_input(work.input)
        return
    if plan.point.clock_hz is not None:
        await work.rig.device.set_clock(plan.point.clock_hz)
    await work.rig.device.set_workload(plan.point.model, activity=work.activity, seed=work.model_seed)
    if work.warm_up_inferences:
        await work.rig.device.infer(1, warmups=work.warm_up_inferences)


async def _one(work: Work, plan: CapturePlan, *, load: bool) -> None:
    """One capture, after loading its operating point where that is another one than before."""
    row = await work.catalogue.do(lambda catalogue: catalogue.captures.begin(work.run_id, plan.key))
    samples = 0
    try:
        await work.rig.station.clock.pace()  # what was before is nothing of this capture's
        try:
            if load:
                await _load(work, plan)
            async with work.recordings.recorder(work.catalogue.folder / row.trace, Subject(work.run_id, plan)) as sink:
                try:
                    measure = acquire if plan.instrument == work.rig.station.meter.spec.name else cross_check
                    taken = await measure(work.rig, plan, sink)
                finally:
                    samples = sink.samples
        except DutFailure as error:
            known = await explained(work.rig, plan, error, await _pace(work, plan))
            if known is None:
                raise
            raise known from error
        pace = await _pace(work, plan)
    except BaseException as error:
        interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        why = "interrupted" if interrupted else str(error) or type(error).__name__
        work.recordings.afterwards(partial(_fail, work, row, why, interrupted=interrupted, samples=samples))
        if not isinstance(error, DutFailure | CaptureUnfit):
            work.recordings.afterwards(partial(_tell_end, work, plan, why))
        raise
    await work.catalogue.do(partial(_finish, row, sink, replace(taken, flags=taken.flags if pace.kept else (*taken.flags, TOO_SLOW))))


async def _pace(work: Work, plan: CapturePlan) -> Pace:
    """How a virtual bench kept real time in this capture; kept for the run's own account where it did not."""
    pace = await work.rig.station.clock.pace()
    if not pace.kept:
        work.progress.behind[plan.key] = pace
    return pace


def told_of_pace(behind: Mapping[str, Pace]) -> list[str]:
    """The notice of a run in real time that this machine was too slow for; none where it kept up. behind: by capture."""
    if not behind:
        return []
    worst = max(behind.values(), key=lambda pace: pace.behind_s)
    where = next(iter(behind)) if len(behind) == 1 else f"{len(behind)} captures, first in {next(iter(behind))}"
    return [f"{worst.text} at worst, in {where}; the figures of such a capture carry a flag"]


def _finish(row: CaptureRow, sink: Recorder, taken: Taken, catalogue: Catalogue) -> None:
    flags = (*sink.flags, *taken.flags)
    catalogue.captures.learn(row.run_id, row.key, acquisition=to_json(taken))
    catalogue.captures.finish(row.run_id, row.key, samples=sink.samples, stretches=sink.stretches, flags=flags)


async def _fail(work: Work, row: CaptureRow, why: str, *, interrupted: bool, samples: int) -> None:
    await work.catalogue.do(lambda catalogue: catalogue.captures.fail(row.run_id, row.key, why, interrupted=interrupted, samples=samples))


def _again(run_id: str, key: str, catalogue: Catalogue) -> None:
    catalogue.captures.again(run_id, key)


async def _tell_end(work: Work, plan: CapturePlan, error: str, *, goes_on: bool = False) -> None:
    """goes_on: the run does, although this capture failed."""
    text = f"{plan.key} failed: {error}" if error else plan.key
    await work.journal.tell(NewsKind.CAPTURE_ENDED, text, capture=plan.key, order=plan.order, error=error, goes_on=goes_on or not error)


async def restart(station: Station, supply_v: float, lines: list[IoLine]) -> None:
    """After a failure the board starts from power-off. Raises LabdError when it does not come back: then the run ends.

    Power goes down in order before anything is reset: a line that idles high would feed a board whose supply is gone.
    """
    await station.interlock.power_down()
    for tool in station.tools.values():
        await tool.call(tool.driver.make_safe)
        await tool.call(tool.driver.reset)
    await station.interlock.power_up(supply_v, lines)
