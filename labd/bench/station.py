"""An opened bench: every instrument behind its own thread, the interlock before the source, and a way out that ends with outputs off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from labd.bench.clock import BenchClock
from labd.bench.feeding import fed
from labd.bench.interlock import DISCHARGE_NOT_SEEN, Interlock, Limits, Power, wait_discharged
from labd.bench.on_time import OnTime
from labd.deadline import deadline
from labd.errors import InstrumentFailure, LabdError, OutputNotVerifiedOff
from labd.stream.session import InstrumentSession, SessionStuck
from labd_instruments import loader
from labd_instruments.accuracy import AccuracyRow
from labd_instruments.contract import Identity, Instrument, OffAssurance, Sources
from labd_instruments.errors import InstrumentError, LinkTimeoutError, NotConnectedError, WrongInstrumentError

T = TypeVar("T")
log = logging.getLogger(__name__)

CALL_S = 20.0  # one call into a driver; a driver's own exchanges have shorter time-outs
SAFE_S = 3.0  # switching off in the measuring session, before a second session does it
STUCK_S = 0.1  # the same where that session is known to be stuck
PANIC_S = 3.0
AGAIN_S = 1.0  # between tries to switch off a source that is not reached
LINES_S = 0.5
STUCK_ENDS_S = STUCK_S + LINES_S + SAFE_S + 2 * PANIC_S  # the way out around a hung session: at most; then only a guard is left
WATCHDOG_S = 1.0  # of a source that guards itself: the shortest, for a kill with the network cut to end within two seconds


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One instrument to open. roles: source, meter, cross_check. record: a file for what passes over its link.

    met: who it was when the run began; another one is refused and sent nothing but the questions of its driver's opening.
    """

    name: str
    driver: str
    resource: str
    roles: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    declared: tuple[AccuracyRow, ...] = ()
    remote_sense: bool = True
    record: Path | None = None
    met: Identity | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One opened instrument: its driver is only ever called in its session's thread."""

    spec: ToolSpec
    driver: Instrument
    session: InstrumentSession
    identity: Identity

    async def call(self, function: Callable[..., T], /, *args: object, deadline_s: float = CALL_S) -> T:
        """Run a driver's function. Raises InstrumentFailure with the driver's own sentence."""
        try:
            return await self.session.call(partial(function, *args), deadline_s=deadline_s)
        except InstrumentError as error:
            raise InstrumentFailure(self.named(str(error))) from error

    def named(self, text: str) -> str:
        """A driver's sentence with the instrument's name on this bench: people know it by that, not by its address."""
        return text if self.spec.name in text else f"{self.spec.name}: {text}"


@dataclass(frozen=True, slots=True)
class Station:
    """What a run works with."""

    clock: BenchClock
    tools: Mapping[str, Tool]
    source: Tool
    meter: Tool
    interlock: Interlock
    limits: Limits


def not_reached(error: BaseException | None) -> bool:
    """Whether the connection to an instrument is what failed: opened anew it may work."""
    while error is not None and not isinstance(error, SessionStuck):
        if isinstance(error, NotConnectedError | LinkTimeoutError):
            return True
        error = error.__cause__
    return False


def unassured(station: Station, *, guard_alive: bool = False) -> tuple[str, ...]:
    """What must be told of a source that nothing is known to switch off while a read of it hangs; unattended runs are refused on it."""
    tool = station.source
    needs_guard = tool.driver.off_assurance is OffAssurance.GUARD_OWNS_LINK
    if tool.driver.off_assurance is not OffAssurance.NONE and (guard_alive or not needs_guard):
        return ()
    advice = "stay with the bench, or let a guard run" if needs_guard else "stay with the bench"
    return (f"switching off while a read hangs is not assured for {tool.spec.name} ({tool.spec.driver}): {advice}",)


@asynccontextmanager
async def open_station(
    specs: list[ToolSpec], limits: Limits, clock: BenchClock, *, watchdog_s: float | None = WATCHDOG_S, patience_s: float = 0.0
) -> AsyncIterator[Station]:
    """Open and reset every instrument; on every way out all outputs are off, verified, or OutputNotVerifiedOff is raised.

    patience_s: for how long switching off a source that is not reached is tried again on the way out.
    watchdog_s: of a source that has a watchdog of its own; None leaves it alone, and so does stepped time, in which a second of the
    bench's may pass between two commands. Raises InstrumentFailure (not found, wrong instrument, refused).
    """
    watchdog_s = None if clock.stepped else watchdog_s
    async with AsyncExitStack() as stack:
        tools: dict[str, Tool] = {}
        try:
            for spec in specs:
                tools[spec.name] = await _open_tool(spec, clock, stack)
            on_time = OnTime(limits)
            station = _station(tools, limits, clock, on_time.powered, watchdog_s)
        except BaseException as error:
            await _uninterrupted(_leave(tools, error, patience_s=patience_s))
            raise
        try:
            async with fed(station.interlock, station.source, watchdog_s), on_time.watched():
                yield station
        except BaseException as error:
            await _uninterrupted(_leave(tools, error, station, patience_s=patience_s))
            raise
        await _uninterrupted(_leave(tools, None, station, patience_s=patience_s))


def _station(
    tools: Mapping[str, Tool], limits: Limits, clock: BenchClock, powered: Callable[[bool], None], watchdog_s: float | None
) -> Station:
    source = _with_role(tools, "source")
    driver = source.driver
    if not isinstance(driver, Sources):
        raise InstrumentFailure(f"{source.spec.name}: {source.spec.driver} cannot feed a board; give another instrument the role source")
    interlock = Interlock(
        driver, source, limits, clock=clock, remote_sense=source.spec.remote_sense, powered=powered, watchdog_s=watchdog_s
    )
    return Station(clock, tools, source, _with_role(tools, "meter"), interlock, limits)


async def _open_tool(spec: ToolSpec, clock: BenchClock, stack: AsyncExitStack) -> Tool:
    session = await stack.enter_async_context(InstrumentSession(spec.name))
    try:
        driver = await session.call(_opening(spec, clock), deadline_s=CALL_S)
        stack.push_async_callback(_close, session, driver)
        if spec.met is not None:
            await session.call(partial(_same, spec, driver), deadline_s=CALL_S)
        async with _safe_unless_ready(Tool(spec, driver, session, Identity("", "", "", ""))):
            identity = await session.call(driver.identify, deadline_s=CALL_S)
            await session.call(driver.reset, deadline_s=CALL_S)
    except InstrumentError as error:
        raise InstrumentFailure(_with_place(spec, str(error))) from error
    return Tool(spec, driver, session, identity)


def _same(spec: ToolSpec, driver: Instrument) -> None:
    """Before anything is set: another specimen has other errors, and may feed another board. Raises WrongInstrumentError."""
    found = driver.identify()
    if spec.met is not None and found != spec.met:
        raise WrongInstrumentError(f"{spec.name} ({spec.resource}): {_said(found)} answers where {_said(spec.met)} was")


def _said(who: Identity) -> str:
    serial = f", serial {who.serial}" if who.serial else ""
    return f"{who.maker} {who.model}{serial}, firmware {', '.join((who.firmware, *who.options))}"


@asynccontextmanager
async def _safe_unless_ready(tool: Tool) -> AsyncIterator[None]:
    """An output may have been on before labd came: it is switched off although its instrument cannot be used."""
    try:
        yield
    except BaseException:
        await _uninterrupted(_make_safe(tool))
        raise


def _opening(spec: ToolSpec, clock: BenchClock) -> Callable[[], Instrument]:
    return partial(
        loader.open_driver, spec.driver, spec.name, spec.resource, spec.options, spec.declared, clock=clock.for_drivers, record=spec.record
    )


def _with_place(spec: ToolSpec, text: str) -> str:
    return text if spec.resource in text or text.startswith(spec.name) else f"{spec.name} ({spec.resource}): {text}"


async def _close(session: InstrumentSession, driver: Instrument) -> None:
    """A session that was given up has a link all the same, which another thread closes; one that hangs keeps it."""
    if session.stuck:
        return
    try:
        if not session.abandoned:
            await session.call(driver.close, deadline_s=2.0)
            return
        async with InstrumentSession(f"{session.name} close") as second:
            await second.call(driver.close, deadline_s=2.0)
    except (InstrumentFailure, InstrumentError) as error:
        log.warning("%s", error)


def _with_role(tools: Mapping[str, Tool], role: str) -> Tool:
    found = next((tool for tool in tools.values() if role in tool.spec.roles), None)
    if found is None:
        raise InstrumentFailure(f"no instrument on this bench has the role {role}")
    return found


async def _leave(tools: Mapping[str, Tool], why: BaseException | None, station: Station | None = None, *, patience_s: float = 0.0) -> None:
    """Lines high-Z, outputs off in the sessions that work and by a second session where one hangs, then the board below off_voltage.

    All instruments at once: one that hangs does not delay another. why: what ended the bench's use, for the message; station None: the
    bench never came so far that anything was switched on. Raises OutputNotVerifiedOff.
    """
    failures: list[BaseException] = []
    if station is not None:
        await _release_lines(station)
        failures = await _power_down_in_order(station, why)
    ends = await asyncio.gather(*(_make_safe(tool, patience_s) for tool in tools.values()), return_exceptions=True)
    failures += [end for end in ends if isinstance(end, BaseException)]
    if station is not None and not failures and station.interlock.state is not Power.OFF:
        try:
            await _verify_discharged(station)
        except LabdError as error:
            failures.append(error)
    if failures:
        after = f" (after: {why})" if isinstance(why, LabdError) else ""
        text = "; ".join(map(str, failures))
        raise OutputNotVerifiedOff(f"{text}: the board may still be powered or charged, cut its supply by hand{after}") from why


async def _release_lines(station: Station) -> None:
    """A line that cannot be let go does not keep the supply on: what it feeds back shows in the voltage after switching off."""
    try:
        async with deadline(LINES_S):
            await station.interlock.release_lines()
    except (LabdError, OSError, TimeoutError) as error:
        log.warning("a line to the board could not be released: %s", error or "it takes too long")


async def _power_down_in_order(station: Station, why: BaseException | None) -> list[BaseException]:
    """The discharge can be seen only while the output is on; an instrument that fails or hangs is switched off at once instead.

    Returns what is wrong with the board, never what is wrong with the instrument: that shows when it is made safe next.
    """
    if isinstance(why, InstrumentFailure) or not await _responds(station.source.session):
        return []
    try:
        async with deadline(SAFE_S + station.limits.off_time_s):
            await station.interlock.power_down()
    except OutputNotVerifiedOff as error:
        return [error]
    except Exception as error:  # noqa: BLE001  the edge: whatever a driver raises, its output is switched off next
        log.warning("%s: could not be powered down in order: %s", station.source.spec.name, error or type(error).__name__)
    return []


async def _responds(session: InstrumentSession) -> bool:
    """False for a thread that is still inside a call when STUCK_S have passed."""
    try:
        await session.call(_nothing, deadline_s=STUCK_S)
    except InstrumentFailure:
        return False
    return True


def _nothing() -> None:
    return None


async def _verify_discharged(station: Station) -> None:
    """Through a session of its own where the first one hangs. Raises LabdError."""
    tool = station.source
    if not station.interlock.source.sees_output_when_off:
        station.interlock.tell(DISCHARGE_NOT_SEEN)
        return
    if not tool.session.abandoned:
        await station.interlock.power_down()
        return
    async with InstrumentSession(f"{tool.spec.name} check") as second:
        try:
            driver = await second.call(_opening(tool.spec, station.clock), deadline_s=PANIC_S)
            measure = driver.measure_output  # type: ignore[attr-defined]  # a station's source is one
            await wait_discharged(partial(second.call, measure, deadline_s=PANIC_S), station.limits, clock=station.clock)
            await second.call(driver.close, deadline_s=PANIC_S)
        except InstrumentError as error:
            raise OutputNotVerifiedOff(f"{tool.spec.name} is off, but whether the board is discharged cannot be seen: {error}") from error


async def _make_safe(tool: Tool, patience_s: float = 0.0) -> None:
    """Raises OutputNotVerifiedOff."""
    try:
        await tool.session.call(tool.driver.make_safe, deadline_s=STUCK_S if tool.session.stuck else SAFE_S)
        return
    except Exception as error:  # noqa: BLE001  the edge: whatever a driver raises, a source is switched off by a second session
        if not isinstance(tool.driver, Sources):
            log.warning("%s: %s", tool.spec.name, error or type(error).__name__)
            return
        log.warning("%s: %s; switching off through a second session", tool.spec.name, error)
    tool.session.abandon()
    end_s = time.monotonic() + patience_s
    while True:
        try:
            await _panic(tool)
            return
        except OutputNotVerifiedOff as error:
            if time.monotonic() >= end_s or not not_reached(error):
                raise
            log.error("%s: trying again for %.0f s", error, end_s - time.monotonic())
            await asyncio.sleep(AGAIN_S)


async def _panic(tool: Tool) -> None:
    """A fresh thread and a fresh session: whatever hangs in the first one does not matter.

    Off is said to whoever answers, at once; then it has to be the instrument that fed the board. Raises OutputNotVerifiedOff.
    """
    async with InstrumentSession(f"{tool.spec.name} off") as second:
        try:
            await second.call(partial(loader.panic_off, tool.spec.driver, tool.spec.resource), deadline_s=PANIC_S)
            if tool.identity.serial and not tool.session.stuck:  # a session that hangs is still there, and time is short then
                await second.call(partial(_was_it, tool), deadline_s=PANIC_S)
        except Exception as error:
            raise OutputNotVerifiedOff(f"{tool.spec.name}: switching off through a second session failed too: {error}") from error


def _was_it(tool: Tool) -> None:
    """Raises WrongInstrumentError where the instrument that was switched off is not the one that this tool is."""
    spec = tool.spec
    try:
        driver = loader.open_driver(spec.driver, spec.name, spec.resource, spec.options)
    except (NotConnectedError, LinkTimeoutError) as error:
        log.warning("%s: switched off; it cannot be asked who it is: %s", spec.name, error)
        return
    with contextlib.closing(driver):
        _same(replace(spec, met=tool.identity), driver)


async def _uninterrupted(work: Coroutine[None, None, None]) -> None:
    """Finish `work` although the caller is cancelled meanwhile (a second SIGTERM); the cancellation is raised afterwards."""
    task = asyncio.create_task(work, name="outputs off")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except LabdError:
            break
    task.result()
    if cancelled is not None:
        raise cancelled
