"""Switches one source off by a session of its own, again and again until it is verified off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from labd.errors import InstrumentFailure
from labd.guard.holder import Holder
from labd.guard.wire import Armament, GuardedSource, OffResult
from labd.stream.session import InstrumentSession
from labd_instruments import loader
from labd_instruments.contract import OffAssurance, Sources
from labd_instruments.errors import InstrumentError, OutputNotOffError

FIRST_S = 0.5  # time-out of one exchange in the first attempt; doubles up to LONGEST_S
LONGEST_S = 2.0
EXCHANGES = 8  # an attempt is given up when it takes longer than this many time-outs: it hangs
PAUSE_S = 0.1
LOOK_S = 0.02
TELL_AGAIN_S = 60.0

Tell = Callable[[str, int], Awaitable[None]]
InTheWay = Callable[[], Holder | None]


async def until_off(
    source: GuardedSource, armament: Armament, *, in_the_way: InTheWay, tell: Tell, give_up_s: float | None = None
) -> OffResult:
    """Try until the source reads back off (and discharged where it sees the board), for ever unless give_up_s is given.

    in_the_way: the process whose session may be in the way, should it be ended by now; where the link is exclusive before the first
    attempt, elsewhere once an attempt beside it has failed. tell: hears why an attempt failed and its number: the first one, each new
    reason, and once a minute.
    """
    begun_s = time.monotonic()
    exclusive = source.off_assurance is OffAssurance.GUARD_OWNS_LINK
    ended = False
    attempts, told, told_s = 0, "", begun_s
    while True:
        if not ended and (exclusive or attempts) and (holder := in_the_way()) is not None:
            ended = await holder.end()
        attempts += 1
        try:
            discharged = await _attempt(source, armament, min(LONGEST_S, FIRST_S * 2 ** min(attempts - 1, 8)))
        except Exception as error:  # noqa: BLE001  the edge: whatever a driver raises, the next attempt comes
            reason = str(error) or type(error).__name__
        else:
            return OffResult(source.name, True, discharged, "off", time.monotonic() - begun_s, attempts)
        if reason != told or time.monotonic() - told_s > TELL_AGAIN_S:
            told, told_s = reason, time.monotonic()
            await tell(reason, attempts)
        if give_up_s is not None and time.monotonic() - begun_s > give_up_s:
            return OffResult(source.name, False, None, reason, time.monotonic() - begun_s, attempts)
        await asyncio.sleep(PAUSE_S)


async def _attempt(source: GuardedSource, armament: Armament, timeout_s: float) -> bool | None:
    """A fresh thread each time: one that hangs is left behind."""
    async with InstrumentSession(f"{source.name} off") as session:
        try:
            return await session.call(
                partial(_switch_off, source, armament, timeout_s), deadline_s=EXCHANGES * timeout_s + armament.off_time_s
            )
        except InstrumentFailure:
            session.abandon()
            raise


def _switch_off(source: GuardedSource, armament: Armament, timeout_s: float) -> bool | None:
    """True: seen discharged. None: off, but the source does not see the board then. Raises InstrumentError."""
    loader.panic_off(source.driver, source.resource, timeout_s=timeout_s)
    if not source.sees_output_when_off:
        return None
    driver = loader.open_driver(source.driver, source.name, source.resource, source.options)
    try:
        if not isinstance(driver, Sources):
            return None
        _await_discharged(driver, armament)
    finally:
        with suppress(InstrumentError):
            driver.close()
    return True


def _await_discharged(source: Sources, armament: Armament) -> None:
    end_s = time.monotonic() + armament.off_time_s
    while abs(volt := source.measure_output().voltage_v) >= armament.off_voltage_v:
        if time.monotonic() > end_s:
            raise OutputNotOffError(
                f"off, but {volt:.3g} V at the board after {armament.off_time_s:g} s; off means below {armament.off_voltage_v:g} V"
            )
        time.sleep(LOOK_S)
