"""The composition root: opens a bench, runs one plan on it, analyses and stores; everything that the command line does goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from labd import bench_file
from labd.analyse.run import Analysis, analyse_run, store_analysis
from labd.bench.acquire import Rig
from labd.bench.check import Finding, check_station
from labd.bench.clock import BenchClock, WallClock
from labd.bench.expand import CapturePlan, expand
from labd.bench.interlock import IoLine
from labd.bench.progress import Progress
from labd.bench.range_rules import check_ranges
from labd.bench.recorder import Recordings
from labd.bench.runner import Work, run_captures
from labd.bench.station import Station, open_station, unassured
from labd.bench.virtual import Addresses, BoardTime, virtual_bench
from labd.bench_file import Bench, Plan
from labd.bench_file import station as translate
from labd.bench_file.run_facts import instruments, new_run, planned
from labd.bench_file.virtual import spec as virtual_spec
from labd.dut.device import Device
from labd.dut.serial_link import SerialLink
from labd.errors import DutFailure, FileError, Interrupted
from labd.records import Event, KpiRecord, Mode
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder
from labd.store.lock import bench_lock
from labd.store.rows import RunState
from labd.stream.session import InstrumentSession
from labd_instruments import loader
from labd_instruments.errors import OutOfRangeError

T = TypeVar("T")

ANALYSIS_S = 24 * 3600.0  # no limit in practice


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run came to. failed: captures that failed, one line each."""

    run_id: str
    store: Path
    records: tuple[KpiRecord, ...]
    failed: tuple[str, ...]


@dataclass(slots=True)
class OpenBench:
    """A bench with its instruments and, once powered, its board."""

    bench: Bench
    clock: BenchClock
    station: Station
    addresses: Addresses | None
    lines: list[IoLine]
    board: BoardLink


class BoardLink:
    """The serial link as an I/O line of the board: connected after the supply is on, away before it goes off."""

    def __init__(self, port: str, bench: Bench) -> None:
        self._port = port
        self._link = next(iter(bench.links.values()))
        self._bench = bench
        self._stack: AsyncExitStack | None = None
        self._device: Device | None = None

    @property
    def device(self) -> Device:
        if self._device is None:
            raise DutFailure(f"the link to the board on {self._port} is not open: its supply is off")
        return self._device

    def line(self) -> IoLine:
        name = next(iter(self._bench.links))
        return IoLine(name, self._link.io_level, self._link.isolation != "none", self._connect, self._disconnect)

    async def _connect(self) -> None:
        """Raises DutFailure; the port is closed again then, because an open one drives the board."""
        async with AsyncExitStack() as stack:
            link = await stack.enter_async_context(SerialLink(self._port, baud=self._link.baud))
            device = Device(link)
            await device.identify()
            self._stack, self._device = stack.pop_all(), device

    async def _disconnect(self) -> None:
        stack, self._stack, self._device = self._stack, None, None
        if stack is not None:
            await stack.aclose()


@asynccontextmanager
async def open_bench(bench: Bench, *, seed: int = 1) -> AsyncIterator[OpenBench]:
    """Every instrument open and reset, outputs off; leaving ends with outputs verified off."""
    async with AsyncExitStack() as stack:
        addresses, clock = await _place(bench, stack, seed)
        tools = translate.tools(bench, addresses.instruments if addresses else {})
        station = await stack.enter_async_context(open_station(tools, translate.limits(bench), clock))
        source = station.source.driver
        bench_file.check_against(bench, source.source_limits)  # type: ignore[attr-defined]  # open_station refuses a source that is none
        link = next(iter(bench.links.values()))
        board = BoardLink(link.port or (addresses.uart if addresses else ""), bench)
        yield OpenBench(bench, clock, station, addresses, [board.line()], board)


async def _place(bench: Bench, stack: AsyncExitStack, seed: int) -> tuple[Addresses | None, BenchClock]:
    if not bench.is_virtual:
        return None, WallClock()
    addresses = await stack.enter_async_context(virtual_bench(virtual_spec(bench, seed=seed)))
    clock = BoardTime(addresses.control, stepped=bench.clock == "stepped")
    stack.callback(clock.close)
    return addresses, clock


def _load_bench(path: Path) -> Bench:
    """A bench file that fits its board and the drivers there are. Raises FileError."""
    bench = bench_file.load_bench(path)
    drivers = {info.name: [option.name for option in info.options] for info in loader.available()}
    bench_file.check_drivers(bench, drivers, drivers)  # a virtual instrument is called like the driver it is for
    bench_file.check_options(bench, drivers)
    for name, section in bench.instruments.items():
        try:
            loader.check_options(section.driver, name, section.options)
        except OutOfRangeError as error:
            raise FileError(str(bench.path), f"instruments.{name}.options", str(error)) from error
    return bench


async def run_plan(bench_path: Path, plan_path: Path, *, store: Path | None, progress: Progress, stop: asyncio.Event) -> RunOutcome:
    """Measure one plan on one bench and analyse it. `stop` ends it early: outputs off, Interrupted raised, what was captured is stored.

    Raises LabdError of every kind; the run is in the catalogue from its first moment on.
    """
    bench = _load_bench(bench_path)
    plan = bench_file.load_plan(plan_path)
    bench_file.check_plan(bench, plan)
    with Catalogue.open(store) as catalogue, sole_use(bench, catalogue.folder):
        catalogue.runs.interrupt_orphans(bench.name)
        plans = expand(translate.wanted(plan), _method(bench), longest_event_s=bench.board.longest_event)
        run = catalogue.runs.create(new_run(bench, plan, plans), [planned(p) for p in plans])
        progress.run_started(run.id, plans)
        try:
            failed = await stoppable(_measure(bench, plan, plans, catalogue=catalogue, run_id=run.id, progress=progress), stop)
            progress.note("analysing")
            analysis = await stoppable(_analysed(catalogue.folder, run.id), stop)
            store_analysis(catalogue, analysis)
        except BaseException as error:
            interrupted = isinstance(error, Interrupted | asyncio.CancelledError | KeyboardInterrupt)
            state = RunState.INTERRUPTED if interrupted else RunState.FAILED
            catalogue.runs.end(run.id, state, error=str(error) or type(error).__name__)
            raise
        catalogue.runs.end(run.id, RunState.FAILED if failed else RunState.FINISHED, error="; ".join(failed))
        return RunOutcome(run.id, catalogue.folder, analysis.records, tuple(failed))


@contextmanager
def sole_use(bench: Bench, store: Path) -> Iterator[None]:
    """The bench by its name in this store and, real ones, each instrument and port on this machine: two bench files, or two stores, may
    name the same supply. Raises BenchBusy."""
    with ExitStack() as locks:
        locks.enter_context(bench_lock(store, bench.name))
        places = [section.resource for section in bench.instruments.values()] + [link.port for link in bench.links.values()]
        for place in sorted({place for place in places if place}):
            locks.enter_context(bench_lock(default_folder() / "in-use", place))
        yield


async def _analysed(store: Path, run_id: str) -> Analysis:
    """In a thread that nobody has to wait for, with a connection of its own: a signal is heard meanwhile."""

    def analysis() -> Analysis:
        with Catalogue.open(store) as catalogue:
            return analyse_run(catalogue, run_id)

    thread = InstrumentSession("analysis")
    await thread.__aenter__()
    try:
        return await thread.call(analysis, deadline_s=ANALYSIS_S)
    finally:
        thread.abandon()


async def check_bench(path: Path, *, store: Path | None, show: Callable[[Finding], None], stop: asyncio.Event, hold: bool) -> bool:
    """Test a bench, telling each finding as it comes; True when nothing failed. hold: stay open afterwards until `stop`."""
    bench = _load_bench(path)
    findings: list[Finding] = []
    tested = asyncio.Event()

    async def work() -> None:
        async with open_bench(bench) as opened:
            for name, resource in (opened.addresses.instruments if opened.addresses else {}).items():
                show(Finding(name, True, f"virtual; while labd check runs (--hold keeps it), any VISA client can open {resource}"))
            for text in (*unassured(opened.station), *bench_file.notices(bench)):
                show(Finding("notice", None, text))
            async for finding in check_station(_rig(opened, settle_s=0.2), opened.lines, bench.board.supply):
                findings.append(finding)
                show(finding)
            tested.set()
            if hold:
                show(Finding("holding", True, "the bench stays open until Ctrl-C"))
                await stop.wait()

    with Catalogue.open(store) as catalogue, sole_use(bench, catalogue.folder):
        try:
            await stoppable(work(), stop)
        except Interrupted:
            if not tested.is_set():
                raise
    show(Finding("outputs", True, "off, verified"))
    return all(finding.ok is not False for finding in findings)


def _rig(opened: OpenBench, *, settle_s: float) -> Rig:
    bench = opened.bench
    return Rig(
        opened.station, opened.board, translate.board_facts(bench), bench.mains, settle_s, bench.floor.range, bench.floor.largest_u95
    )


@asynccontextmanager
async def _telling(bench: Bench, seed: int, tell: Callable[..., None], recordings: Recordings) -> AsyncIterator[OpenBench]:
    """An open bench; what its way out has to say of its protection is told as well, whatever ended its use."""
    opened: OpenBench | None = None
    try:
        async with open_bench(bench, seed=seed) as opened:
            yield opened
    finally:
        if opened is not None:
            recordings.afterwards(partial(tell, *opened.station.interlock.notices))


async def _measure(
    bench: Bench, plan: Plan, plans: list[CapturePlan], *, catalogue: Catalogue, run_id: str, progress: Progress
) -> list[str]:
    told: list[str] = []

    def tell(*texts: str) -> None:
        for text in texts:
            if text not in told:
                told.append(text)
                catalogue.runs.log(run_id, Event(time.time_ns(), "notice", text))
                progress.note(text)

    async with Recordings() as recordings, _telling(bench, plan.seed, tell, recordings) as opened:
        catalogue.runs.learn(run_id, instruments=instruments(bench, opened.station.tools))
        station = opened.station
        rig = _rig(opened, settle_s=plan.conditions.settle)
        tell(*unassured(station), *bench_file.notices(bench))
        notices = check_ranges(rig, plans)
        await station.interlock.power_up(plans[0].point.supply_v, opened.lines)
        _check_firmware(opened.board.device, plan)
        tell(*notices, *station.interlock.notices)
        work = Work(
            rig,
            catalogue,
            recordings,
            run_id,
            plans,
            opened.lines,
            activity=round(plan.activity * 100),
            model_seed=plan.seed,
            warm_up_inferences=plan.captures.warm_up_inferences,
        )
        return await run_captures(work, progress)


async def stoppable(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T:
    """Run `work` until it ends or `stop` is set; then it is cancelled, its way out is awaited, and Interrupted is raised."""
    task = asyncio.create_task(work, name="run")
    waiter = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((task,))
    finally:
        waiter.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.cancelled():
        raise Interrupted("stopped by a signal; outputs are off, what was captured is stored")
    return task.result()


def _check_firmware(device: Device, plan: Plan) -> None:
    if device.extended:
        return
    event = [str(mode) for mode in plan.modes if mode is not Mode.ALWAYS_ON]
    if event:
        raise DutFailure(f"the board runs stock MLPerf Tiny firmware, which is always_on only; take {', '.join(event)} out of the plan")
    raise DutFailure(
        "the board runs stock MLPerf Tiny firmware, which cannot pace its inferences; "
        "this version of labd sweeps rates with its own firmware (folder firmware/) only"
    )


def _method(bench: Bench) -> Any:
    info = loader.info(bench.instruments[bench.meter].driver)
    return translate.method(bench, stream="Streams" in info.capabilities)
