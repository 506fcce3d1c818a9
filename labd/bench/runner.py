"""Runs a plan's captures on a station, one after the other, each stored before the next begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from labd.bench.acquire import BrownOut, Rig, Taken, acquire, on_range, rest_range
from labd.bench.cross_check import cross_check
from labd.bench.expand import CapturePlan
from labd.bench.interlock import IoLine
from labd.bench.progress import Progress
from labd.bench.recorder import Recordings
from labd.bench.station import Station
from labd.dut.serial_link import DutRebooted
from labd.errors import DutFailure
from labd.records import Event, Role
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json


@dataclass(frozen=True, slots=True)
class Work:
    """What the runner is given: an opened rig, where to store, what to do. activity in percent; model_seed: of the input data."""

    rig: Rig
    catalogue: Catalogue
    recordings: Recordings
    run_id: str
    plans: Sequence[CapturePlan]
    lines: list[IoLine]
    activity: int
    model_seed: int
    warm_up_inferences: int


async def run_captures(work: Work, progress: Progress) -> list[str]:
    """All captures in order; returns the errors of those that failed, and goes on after a failure that leaves the board usable.

    Raises what ends a run: SafetyRefusal, an instrument that does not answer, cancellation. The capture under way is then marked
    failed or interrupted, and its trace is readable, once `work.recordings` is left (after the outputs are off).
    """
    failed: list[str] = []
    loaded: tuple[float, str] | None = None
    for plan in work.plans:
        progress.capture_started(plan)
        wanted = (plan.point.supply_v, plan.point.model)
        try:
            await _one(work, plan, load=loaded != wanted)
            loaded = wanted
        except DutFailure as error:
            text = await _explained(work, plan, error)
            work.recordings.afterwards(partial(_note, work, plan, text))
            failed.append(f"{plan.key}: {text}")
            progress.capture_ended(plan, text)
            await restart(work.rig.station, plan.point.supply_v, work.lines)
            await work.recordings.finish()
            loaded = None
            continue
        progress.capture_ended(plan, "")
    return failed


async def _load(work: Work, plan: CapturePlan) -> None:
    """The operating point's supply and model; parameters are resident, and warm-up inferences done, before anything is timed."""
    station = work.rig.station
    await station.interlock.set_voltage(plan.point.supply_v)
    await work.rig.device.set_workload(plan.point.model, activity=work.activity, seed=work.model_seed)
    if work.warm_up_inferences:
        await work.rig.device.infer(1, warmups=work.warm_up_inferences)


async def _one(work: Work, plan: CapturePlan, *, load: bool) -> Taken:
    """One capture, after loading its operating point where that is another one than before."""
    row = work.catalogue.captures.begin(work.run_id, plan.key)
    facts = {"run": work.run_id, "key": plan.key, "role": str(plan.role), "point": to_json(plan.point)}
    samples = 0
    try:
        if load:
            await _load(work, plan)
        async with work.recordings.recorder(work.catalogue.trace_path(row), facts) as sink:
            try:
                measure = acquire if plan.instrument == work.rig.station.meter.spec.name else cross_check
                taken = await measure(work.rig, plan, sink)
            finally:
                samples = sink.samples
    except BaseException as error:
        interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        why = "interrupted" if interrupted else str(error) or type(error).__name__
        fail = partial(work.catalogue.captures.fail, work.run_id, plan.key, why, interrupted=interrupted, samples=samples)
        work.recordings.afterwards(fail)
        raise
    work.catalogue.captures.learn(work.run_id, plan.key, acquisition=to_json(taken))
    work.catalogue.captures.finish(work.run_id, plan.key, samples=samples, stretches=sink.stretches, flags=(*sink.flags, *taken.flags))
    return taken


async def _explained(work: Work, plan: CapturePlan, error: DutFailure) -> str:
    """Why the DUT failed, as far as the supply can tell: a limit that is active when the board reboots is a brown-out."""
    text = str(error)
    if isinstance(error, BrownOut):
        return text
    trip = await work.rig.station.interlock.tripped()
    if not isinstance(error, DutRebooted) and trip is None:
        return text
    meter = work.rig.station.meter
    range_a = rest_range(work.rig, plan) if plan.role is Role.FLOOR else None
    return f"brown-out: {text}; {f'{trip} is active, ' if trip else ''}the capture was {on_range(meter, range_a)}"


async def restart(station: Station, supply_v: float, lines: list[IoLine]) -> None:
    """After a failure the board starts from power-off. Raises LabdError when it does not come back: then the run ends.

    Power goes down in order before anything is reset: a line that idles high would feed a board whose supply is gone.
    """
    await station.interlock.power_down()
    for tool in station.tools.values():
        await tool.call(tool.driver.make_safe)
        await tool.call(tool.driver.reset)
    await station.interlock.power_up(supply_v, lines)


def _note(work: Work, plan: CapturePlan, text: str) -> None:
    work.catalogue.runs.log(work.run_id, Event(time.time_ns(), "capture_failed", text, plan.key))
