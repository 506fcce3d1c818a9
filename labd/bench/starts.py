"""Starts of the board, from no supply to ready: the interlock brings it down and up again while the meter logs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from labd.bench import setups
from labd.bench.expand import CapturePlan
from labd.bench.rig import Rig
from labd.bench.running_log import Sink, running_log, streams
from labd.bench.taken import Taken
from labd.errors import InstrumentFailure
from labd_instruments.contract import Acquisition

BEFORE_S = 0.02  # of the log, before the supply rises


@dataclass(slots=True)
class _Logged:
    """What the logs of a capture have come to."""

    acquisition: Acquisition | None = None
    records: int = 0


async def record_starts(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """One stretch a start. Raises InstrumentFailure, DutFailure, DataLost, SafetyRefusal, OutputNotVerifiedOff.

    The supply goes up as it always does, tested and ramped, and the lines to the board stay high-Z until the log has ended: nothing is said
    to a board that starts. As many starts again are timed by this host, in which the lines are connected at once; none on a bench in
    stepped time, which is not the host's.
    """
    interlock = rig.station.interlock
    logged = _Logged()
    for start in range(plan.events):
        await interlock.power_down()
        await interlock.power_up(plan.point.supply_v, list(rig.lines), watched=_log(rig, plan, sink, start, logged))
    if logged.acquisition is None:
        raise InstrumentFailure(f"{plan.key}: no start was asked for")
    host_s = () if rig.station.clock.stepped else tuple([await _by_protocol(rig, plan) for _ in range(plan.events)])
    return Taken(logged.acquisition, logged.records, served=plan.events, host_starts_s=host_s)


async def _by_protocol(rig: Rig, plan: CapturePlan) -> float:
    """A start of its own, without a log: the board is spoken to as soon as it is supplied, and has answered at the end."""
    rose_s = 0.0

    @asynccontextmanager
    async def watched() -> AsyncIterator[None]:
        nonlocal rose_s
        rose_s = time.monotonic()
        yield

    await rig.station.interlock.power_down()
    await rig.station.interlock.power_up(plan.point.supply_v, list(rig.lines), watched=watched)
    return time.monotonic() - rose_s


def _log(rig: Rig, plan: CapturePlan, sink: Sink, start: int, logged: _Logged) -> Callable[[], AbstractAsyncContextManager[None]]:
    return partial(_logging, rig, plan, sink, start, logged)


@asynccontextmanager
async def _logging(rig: Rig, plan: CapturePlan, sink: Sink, start: int, logged: _Logged) -> AsyncIterator[None]:
    """From before the body, in which the supply rises, until the plan's time has passed."""
    meter, clock = rig.station.meter, rig.station.clock
    acquisition = await meter.call(streams(meter).configure_stream, setups.periods_stream(rig, plan))
    if logged.acquisition is None:
        await sink.begin(acquisition)
        logged.acquisition = acquisition
    async with running_log(rig, plan, sink, acquisition, stretch=start) as recording:
        await clock.sleep(BEFORE_S)
        yield
        await clock.sleep(plan.duration_s / plan.events)
    logged.records += recording.end.records
