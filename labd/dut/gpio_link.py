"""GPIO lines through libgpiod, version 2: outputs that float until the DUT has its supply, inputs with the kernel's own time stamps.

Linux only (host.HAS_GPIO). An output that a killed process held keeps its level; what must be low then needs a pull-down on the board.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, TypeVar

from labd.dut.edge_queue import EdgeQueue
from labd.dut.errors import LineFailure
from labd.dut.gpio_chip import Wire, chip_path, input_settings, offsets, why
from labd.dut.lines import Edge
from labd.stream.session import InstrumentSession, SessionAbandoned, SessionStuck

if TYPE_CHECKING:
    import gpiod

    Config = dict[Iterable[int | str] | int | str, gpiod.LineSettings | None]

T = TypeVar("T")

CONSUMER = "labd"
KERNEL_KEEPS = 1024  # edges of one request, whatever is asked for [drivers/gpio/gpiolib-cdev.c, GPIO_V2_LINES_MAX * 16]
CALL_S = 5.0  # an expander behind I2C or USB takes milliseconds
BY_THE_KERNEL = f"the kernel keeps {KERNEL_KEEPS} and drops the oldest when they are not read"
TOO_FAST = "they came faster than the kernel took them, or belong to another line"
NO_GPIOD = "GPIO needs the package gpiod, version 2 (Linux): python -m pip install 'labd[gpio]'"


@dataclass(frozen=True, slots=True)
class GpioSettings:
    """chip: `/dev/gpiochip0`, `gpiochip0` or its label. outputs (into the DUT), inputs: by the name they have on this bench."""

    chip: str
    outputs: Mapping[str, Wire] = field(default_factory=lambda: MappingProxyType({}))
    inputs: Mapping[str, Wire] = field(default_factory=lambda: MappingProxyType({}))


class GpioLink:
    """Async context manager: the lines of one chip. Every output is an input (high-Z) until `connect`, and again after `disconnect`."""

    def __init__(self, settings: GpioSettings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()
        self._session = InstrumentSession(f"GPIO {settings.chip}")
        self._outputs: gpiod.LineRequest | None = None
        self._inputs: gpiod.LineRequest | None = None
        self._offsets: dict[str, int] = {}
        self._driven = False
        self._queues = {name: EdgeQueue(f"{settings.chip}, {name}") for name in settings.inputs}
        self._seen = Seen()

    async def __aenter__(self) -> GpioLink:
        """Raises LineFailure."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._session)
            stack.push_async_callback(self._release)
            await self._do(self._request)
            if self._inputs is not None:
                asyncio.get_running_loop().add_reader(self._inputs.fd, self._readable)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    def line(self, name: str) -> GpioLine:
        """Raises LineFailure for a name that the settings do not have."""
        if name not in self._offsets:
            raise LineFailure(f"{self.settings.chip}: no line is called {name!r} here; there are {', '.join(self._offsets) or 'none'}")
        return GpioLine(self, name)

    async def connect(self) -> None:
        """Drive the outputs, all inactive: the DUT has its supply now. Raises LineFailure."""
        await self._do(partial(self._drive, driven=True))
        self._driven = True

    async def disconnect(self) -> None:
        """Float the outputs. Raises LineFailure."""
        self._driven = False
        await self._do(partial(self._drive, driven=False))

    @property
    def driven(self) -> bool:
        """Whether the outputs are driven."""
        return self._driven

    def pulsed_at(self, name: str) -> tuple[int, int]:
        """Descriptor of the request that holds an output, and its bit there: what another process drives it by. Raises LineFailure."""
        return self._outputs_for(name).fd, list(self.settings.outputs).index(name)

    async def set(self, name: str, *, active: bool) -> None:
        """Raises LineFailure, also for an output that floats."""
        request = self._outputs_for(name)
        from gpiod.line import Value

        await self._do(partial(request.set_value, self._offsets[name], Value.ACTIVE if active else Value.INACTIVE))

    async def get(self, name: str) -> bool:
        request = self._outputs if name in self.settings.outputs else self._inputs
        if request is None:
            raise self._closed()
        value = await self._do(partial(request.get_value, self._offsets[name]))
        return bool(value.value)

    def edges(self, name: str) -> AsyncGenerator[Edge, None]:
        if name not in self._queues:
            raise LineFailure(f"{self.settings.chip}: {name} is an output, which gives no edges")
        return self._queues[name].read()

    def forget(self, name: str) -> None:
        if name in self._queues:
            self._queues[name].forget()

    def _outputs_for(self, name: str) -> gpiod.LineRequest:
        if name not in self.settings.outputs:
            raise LineFailure(f"{self.settings.chip}: {name} is no output of this bench and is not driven")
        if self._outputs is None:
            raise self._closed()
        if not self._driven:
            raise LineFailure(f"{self.settings.chip}: {name} floats while the DUT has no supply: power up first, then the lines")
        return self._outputs

    def _request(self) -> None:
        """In the session's thread: everything is looked at before anything is asked for. Raises LineFailure."""
        try:
            import gpiod
        except ImportError as error:
            raise LineFailure(NO_GPIOD) from error
        settings = self.settings
        path = chip_path(settings.chip)
        with gpiod.Chip(path) as chip:
            self._offsets = offsets(chip, {**settings.outputs, **settings.inputs})
        if settings.outputs:
            self._outputs = gpiod.request_lines(path, consumer=CONSUMER, config=self._output_config(driven=False))
        if settings.inputs:
            config: Config = {self._offsets[name]: input_settings(wire) for name, wire in settings.inputs.items()}
            self._inputs = gpiod.request_lines(path, consumer=CONSUMER, config=config, event_buffer_size=KERNEL_KEEPS)

    def _output_config(self, *, driven: bool) -> Config:
        import gpiod
        from gpiod.line import Direction, Value

        direction = Direction.OUTPUT if driven else Direction.INPUT
        return {
            self._offsets[name]: gpiod.LineSettings(direction=direction, active_low=wire.active_low, output_value=Value.INACTIVE)
            for name, wire in self.settings.outputs.items()
        }

    def _drive(self, *, driven: bool) -> None:
        if self._outputs is not None:
            self._outputs.reconfigure_lines(self._output_config(driven=driven))

    async def _release(self) -> None:
        """Outputs float before they are given back; every reader is told."""
        if self._inputs is not None:
            asyncio.get_running_loop().remove_reader(self._inputs.fd)
        with suppress(LineFailure):
            await self.disconnect()
        requests, self._outputs, self._inputs = (self._outputs, self._inputs), None, None
        for request in requests:
            if request is not None:
                with suppress(LineFailure):
                    await self._do(request.release)
        for queue in self._queues.values():
            queue.end(self._closed())

    def _readable(self) -> None:
        """The kernel has edges; reading them now does not wait."""
        if self._inputs is None:
            return
        try:
            events = self._inputs.read_edge_events()
        except OSError as error:
            asyncio.get_running_loop().remove_reader(self._inputs.fd)
            for queue in self._queues.values():
                queue.end(LineFailure(f"{self.settings.chip}: its edges cannot be read: {error.strerror or error}"))
            return
        names = {offset: name for name, offset in self._offsets.items()}
        for event in events:
            self._heard(names[event.line_offset], event)

    def _heard(self, name: str, event: gpiod.EdgeEvent) -> None:
        """A gap in the request's own numbers may hold edges of any line: all are told, with what is known of their own.

        Seen on a real kernel: an edge that comes before the interrupt's thread has taken the one before is numbered over the request, not
        over its line, and is no event of its own.
        """
        rising = event.event_type is event.Type.RISING_EDGE
        lost, own = self._seen.gap(name, event.global_seqno, event.line_seqno)
        if self._seen.twice(name, rising=rising, gap=bool(lost)):
            self._queues[name].lost(f"it {'rose' if rising else 'fell'} twice: an edge between was too short to be seen")
        for other, queue in self._queues.items() if lost else ():
            told = f", {own} of them of this line" if other == name else ""
            queue.lost(f"{lost} edges of this chip were lost{told}: {BY_THE_KERNEL if own else TOO_FAST}")
        self._queues[name].put(Edge(rising, event.timestamp_ns, event.timestamp_ns))

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await self._session.call(work, deadline_s=CALL_S)
        except OSError as error:
            raise LineFailure(f"{self.settings.chip}: {why(error)}") from error
        except (SessionAbandoned, SessionStuck) as error:
            raise LineFailure(f"{self.settings.chip}: {error}") from error

    def _closed(self) -> LineFailure:
        return LineFailure(f"{self.settings.chip}: its lines are closed")


class GpioLine:
    """One line of a link, as `labd.dut.lines.Line`. Closing it floats an output; the link itself stays open."""

    def __init__(self, link: GpioLink, name: str) -> None:
        self._link = link
        self._name = name

    async def set(self, *, active: bool) -> None:
        await self._link.set(self._name, active=active)

    async def get(self) -> bool:
        return await self._link.get(self._name)

    def edges(self) -> AsyncGenerator[Edge, None]:
        return self._link.edges(self._name)

    def forget(self) -> None:
        self._link.forget(self._name)

    async def close(self) -> None:
        if self._name in self._link.settings.outputs and self._link.driven:
            await self._link.disconnect()


class Seen:
    """The kernel numbers edges from 1, over all lines of a request and of each line by itself; what it drops leaves a gap."""

    def __init__(self) -> None:
        self._last = 0
        self._of_line: dict[str, int] = {}
        self._rising: dict[str, bool] = {}

    def gap(self, name: str, number: int, of_line: int) -> tuple[int, int]:
        """How many edges were lost before this one, of the whole request and of its line."""
        lost = number - self._last - 1
        own = of_line - self._of_line.get(name, 0) - 1
        self._last, self._of_line[name] = number, of_line
        return lost, own

    def twice(self, name: str, *, rising: bool, gap: bool) -> bool:
        """Whether a line went the same way twice with nothing known to be lost between: one that is alone in its request has no other sign
        of an edge that was too short."""
        again = not gap and self._rising.get(name) is rising
        self._rising[name] = rising
        return again
