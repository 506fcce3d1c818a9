"""Opens a bench: its place (real, or a virtual one made for it), instruments, interlock and the link to its board."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from labd import bench_file
from labd.bench.clock import BenchClock, WallClock
from labd.bench.interlock import IoLine
from labd.bench.rig import Rig
from labd.bench.station import Station, open_station
from labd.bench.virtual import Addresses, BoardTime, WrongSpec, virtual_bench
from labd.bench_file import Bench
from labd.bench_file import station as translate
from labd.bench_file.virtual import at_fault
from labd.bench_file.virtual import spec as virtual_spec
from labd.daemon.board_gpio import Firing, gpio_settings, io_lines
from labd.dut.agent_link import ANSWER_S, AgentLink, read_key
from labd.dut.device import Device
from labd.dut.dialect import dialect_of
from labd.dut.gpio_link import GpioLink
from labd.dut.interface_board import InterfaceBoard
from labd.dut.serial_link import SerialLink
from labd.errors import DutFailure, FileError
from labd.store.folder import default_folder
from labd.store.lock import bench_lock, in_use
from labd_instruments import loader
from labd_instruments.contract import Identity
from labd_instruments.errors import OutOfRangeError


@dataclass(slots=True)
class OpenBench:
    """A bench with its instruments and, once powered, its board."""

    bench: Bench
    clock: BenchClock
    station: Station
    addresses: Addresses | None
    lines: list[IoLine]
    board: BoardLink
    firing: Firing


class BoardLink:
    """The link as an I/O line of the board: connected after the supply is on, away before it goes off."""

    def __init__(self, port: str, bench: Bench, firing: Firing | None = None) -> None:
        self._port = port
        self._firing = firing
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
        isolated = not self._link.wired or self._link.isolation != "none"
        return IoLine(name, self._link.io_level or 0.0, isolated, self._connect, self._disconnect)

    async def _connect(self) -> None:
        """Raises DutFailure; the port is closed again then, because an open one drives the board."""
        async with AsyncExitStack() as stack:
            link, device = await self._opened(stack)
            await device.identify()
            self._stack, self._device = stack.pop_all(), device
            if self._firing is not None:
                self._firing.link = link

    async def _opened(self, stack: AsyncExitStack) -> tuple[SerialLink, Device]:
        section = self._link
        if section.kind == "agent":
            return await self._agent(stack)
        dialect = dialect_of(self._bench.board.dialect, via=section.via)
        fires = self._bench.trigger  # a line that is active already makes no edge
        dtr, rts = (not fires.asserted if fires.by == line else True for line in ("dtr", "rts"))
        link = await stack.enter_async_context(SerialLink(self._port, baud=section.baud, dtr=dtr, rts=rts, dialect=dialect))
        if dialect.relayed:
            await self._through(InterfaceBoard(link))
        return link, Device(link)

    async def _through(self, board: InterfaceBoard) -> None:
        await board.identify()
        if self._link.dut_baud is not None:
            await board.use_baud(self._link.dut_baud)

    async def _agent(self, stack: AsyncExitStack) -> tuple[SerialLink, Device]:
        section = self._link
        key = read_key(self._bench.path.parent / (section.key_file or ""))
        baud = section.baud if section.wired else None
        link = await stack.enter_async_context(AgentLink(self._port, key, baud=baud, patience_s=section.boot_time))
        wired = any(not line.into_board for line in self._bench.lines.values())
        return link, Device(link, answer_s=ANSWER_S, marker_wired=wired)

    async def _disconnect(self) -> None:
        stack, self._stack, self._device = self._stack, None, None
        if self._firing is not None:
            self._firing.link = None
        if stack is not None:
            await stack.aclose()


@asynccontextmanager
async def open_bench(
    bench: Bench, *, seed: int = 1, record: Path | None = None, met: Mapping[str, Identity] = MappingProxyType({}), patience_s: float = 0.0
) -> AsyncIterator[OpenBench]:
    """Every instrument open and reset, outputs off; leaving ends with outputs verified off. record: a folder for what passes over the
    links. met: who the instruments were when the run began, by name; another one is refused. patience_s: as in `open_station`."""
    async with AsyncExitStack() as stack:
        addresses, clock = await _place(bench, stack, seed)
        tools = [replace(one, met=met.get(one.name)) for one in translate.tools(bench, addresses.instruments if addresses else {}, record)]
        station = await stack.enter_async_context(open_station(tools, translate.limits(bench), clock, patience_s=patience_s))
        source = station.source.driver
        bench_file.check_against(bench, source.source_limits)  # type: ignore[attr-defined]  # open_station refuses a source that is none
        link = next(iter(bench.links.values()))
        gpio = {name: await stack.enter_async_context(GpioLink(gpio_settings(section))) for name, section in bench.gpio.items()}
        firing = Firing(bench, gpio)
        board = BoardLink(link.port or link.address or (addresses.uart if addresses else ""), bench, firing)
        yield OpenBench(bench, clock, station, addresses, [board.line(), *io_lines(bench, gpio)], board, firing)


async def _place(bench: Bench, stack: AsyncExitStack, seed: int) -> tuple[Addresses | None, BenchClock]:
    if not bench.is_virtual:
        return None, WallClock()
    try:
        addresses = await stack.enter_async_context(virtual_bench(virtual_spec(bench, seed=seed)))
    except WrongSpec as error:
        raise at_fault(bench, error.key, error.text) from error
    clock = BoardTime(addresses.control, stepped=bench.clock == "stepped")
    stack.callback(clock.close)
    return addresses, clock


def load_bench(path: Path) -> Bench:
    """A bench file that fits its board and the drivers there are. Raises FileError."""
    bench = bench_file.load_bench(path)
    known = loader.available()
    drivers = {info.name: [option.name for option in info.options] for info in known}
    bench_file.check_drivers(bench, drivers, drivers)  # a virtual instrument is called like the driver it is for
    bench_file.check_leave(bench, [name for name in drivers if loader.needs_leave(name)])
    bench_file.check_options(bench, drivers)
    bench_file.check_roles(bench, {info.name: info.roles for info in known})
    for name, section in bench.instruments.items():
        try:
            loader.check_options(section.driver, name, section.options)
        except OutOfRangeError as error:
            raise FileError(str(bench.path), f"instruments.{name}.options", str(error)) from error
    return bench


@contextmanager
def sole_use(bench: Bench, store: Path) -> Iterator[None]:
    """The bench by its name in this store and, real ones, each instrument and port on this machine: two bench files, or two stores, may
    name the same supply. Raises BenchBusy."""
    with ExitStack() as locks:
        locks.enter_context(bench_lock(store, bench.name))
        for place in sorted(places_of(bench)):
            locks.enter_context(bench_lock(in_use(default_folder()), place))
        yield


def places_of(bench: Bench) -> set[str]:
    """What of this machine the bench needs for itself: addresses of instruments, ports of links, its probe."""
    places = [section.resource for section in bench.instruments.values()]
    places += [place for link in bench.links.values() for place in (link.port, link.address)]
    places += [bench.flash.port] if bench.flash is not None else []
    return {place for place in places if place}


def rig_of(opened: OpenBench, *, settle_s: float) -> Rig:
    bench = opened.bench
    return Rig(
        opened.station,
        opened.board,
        translate.board_facts(bench),
        bench.mains,
        settle_s,
        bench.floor.range,
        bench.floor.largest_u95,
        opened.firing.host_trigger,
        tuple(opened.lines),
    )
