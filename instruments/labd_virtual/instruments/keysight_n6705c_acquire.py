"""Acquisitions of an N678xA: the gap-free external log with its FIFO, and the digitizer's triggered sweep."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labd_virtual.contract import Clock, Pins
from labd_virtual.front_end import Floats, instants
from labd_virtual.instruments.keysight_n6705c_channel import TICK_NS, Channel, Column, Settings
from labd_virtual.scpi_errors import ScpiError

FIFO_S = 20.0  # "holds about 20 seconds of accumulated measurements": N6700 User's Guide, p. 91
LEAST_FIFO_S = 5e-3  # as if nobody had fetched for twenty seconds
_AHEAD = 0.25  # stepped time may run this share of the FIFO ahead of the host
SWEEP_POINTS_MAX = 524288


class State(enum.Enum):
    IDLE = "idle"
    ARMED = "armed"
    RUNNING = "running"
    DONE = "done"


def selected(settings: Settings) -> tuple[Column, ...]:
    """Columns of a record in the documented order: I avg, min, max, V avg, min, max (N6900/N7900 guide, p. 161)."""
    columns: list[Column] = []
    for quantity, on, minmax in (
        ("I", settings.current, settings.current_minmax),
        ("V", settings.voltage, settings.voltage_minmax),
    ):
        if on:
            columns.append((quantity, "AVG"))
            columns += [(quantity, "MIN"), (quantity, "MAX")] if minmax else []
    return tuple(columns)


def elog_period_ns(channels: Sequence[Channel], channel: Channel, *, binary: bool) -> int:
    """The period a log of `channel` will really have: rounded to the resolution, not below 102.4 us a parameter over the whole logger.

    ASCII format makes the floor five times longer (N6700C guide, p. 145 and 146).
    """
    parameters = sum(len(selected(c.elog_measure)) for c in channels)
    step = TICK_NS * (4 if channel.sweep.fine else 8)
    floor = 102_400 * max(1, parameters) * (1 if binary else 5)
    asked = max(1, round(channel.elog.period_s * 1e9 / step)) * step
    return max(asked, -(-floor // step) * step)


class Elog:
    """One channel's gap-free log. When the host is slower than the FIFO its oldest records are overwritten; nothing but the count of
    records against elapsed time shows it (no register of this instrument reports a FIFO overrun)."""

    def __init__(self, clock: Clock, channel: Channel) -> None:
        self._clock, self._channel = clock, channel
        self._owner = f"{channel.setup.name}.elog{channel.number}"
        self.state = State.IDLE
        self._columns: tuple[Column, ...] = ()
        self._period_ns = self._t0_ns = self._next = 0
        self._paced = True

    def initiate(self, period_ns: int) -> None:
        """Raises ScpiError(-213) when under way, -221 without a function, or with more parameters than RES20 can take."""
        if self.state in (State.ARMED, State.RUNNING):
            raise ScpiError(-213)
        self._columns = selected(self._channel.elog_measure)
        if not self._columns:
            raise ScpiError(-221)
        self._period_ns, self.state = period_ns, State.ARMED

    def start(self, now_ns: int) -> None:
        """The trigger."""
        if self.state is not State.ARMED:
            raise ScpiError(-211)
        self._t0_ns, self._next, self.state, self._paced = now_ns, 0, State.RUNNING, True
        self._pace()

    def abort(self) -> None:
        self.state = State.IDLE
        self._clock.set_limit(self._owner, None)

    def host_gone(self) -> None:
        self._paced = False
        self._clock.set_limit(self._owner, None)

    def fetch(self, most: int) -> Floats:
        """Up to `most` records that are there now, float64 [n, columns]. Raises ScpiError(-230) unless a log runs."""
        if self.state is not State.RUNNING:
            raise ScpiError(-230)
        produced = int((self._clock.now_ns() - self._t0_ns) / self._step_ns())
        fifo_s = LEAST_FIFO_S if self._channel.setup.trap == "overrun" else FIFO_S
        capacity = max(1, int(fifo_s * 1e9 / self._period_ns))
        self._next = max(self._next, produced - capacity)
        count = max(0, min(most, produced - self._next))
        edges = instants(self._t0_ns, self._next, count, dt_ns=self._period_ns, timebase=self._channel.timebase)
        if count and edges[-1] > self._clock.now_ns():
            count, edges = count - 1, edges[:-1]
        self._next += count
        self._paced = True
        self._pace()
        return self._channel.columns(self._columns, edges[:-1], edges[1:], self._channel.elog_measure)

    def _step_ns(self) -> float:
        return self._period_ns * (1 + self._channel.timebase)

    def _pace(self) -> None:
        if self._paced:
            fetched_to = self._t0_ns + self._next * self._step_ns()
            self._clock.set_limit(self._owner, round(fetched_to + FIFO_S * _AHEAD * 1e9))


def sweep_interval_ns(channel: Channel) -> int:
    """The interval a sweep will really have ("N6705C User's Guide", p. 213): 5.12 us for one parameter, 10.24 us for two; above
    20.48 us multiples of 20.48 (RES20) or 40.96 us (RES40)."""
    parameters = channel.measure.current + channel.measure.voltage
    asked = max(channel.sweep.interval_s * 1e9, TICK_NS * max(1, parameters))
    coarse = TICK_NS * (4 if channel.sweep.fine else 8)
    step = TICK_NS if asked < 1.5 * TICK_NS else 2 * TICK_NS if asked <= 4 * TICK_NS else coarse
    return max(1, round(asked / step)) * step


class Acquisition:
    """One channel's digitizer sweep. Samples average over the whole interval. A trigger that comes before the pre-trigger points are
    in is ignored ("N6705C User's Guide", p. 213)."""

    def __init__(self, clock: Clock, pins: Pins, channel: Channel) -> None:
        self._clock, self._pins, self._channel = clock, pins, channel
        self.state = State.IDLE
        self._armed_ns = self._begin_ns = self._interval_ns = 0
        self._points = self._offset = 0
        self._ready = asyncio.Event()
        self._data: dict[str, Floats] = {}

    @property
    def armed_until_ns(self) -> int:
        """When the pre-trigger points are in."""
        return self._armed_ns + max(0, -self._offset) * self._interval_ns

    @property
    def last_ns(self) -> int:
        """When the last point of a sweep under way is in."""
        return int(self._edges()[-1])

    def initiate(self, now_ns: int) -> None:
        """Raises ScpiError(-213) when under way."""
        if self.state in (State.ARMED, State.RUNNING):
            raise ScpiError(-213)
        self._interval_ns = sweep_interval_ns(self._channel)
        self._points, self._offset = self._channel.sweep.points, self._channel.sweep.offset
        self._armed_ns, self._data, self.state = now_ns, {}, State.ARMED
        self._ready.clear()

    def accepts_trigger(self, now_ns: int) -> bool:
        return self.state is State.ARMED and now_ns >= self.armed_until_ns

    def start(self, now_ns: int) -> int:
        """The trigger instant is sample 0 of the axis, as well as this unit knows; returns when the last sample is in (board time)."""
        self.state = State.RUNNING
        self._begin_ns = now_ns + self._channel.trigger_late_ns
        return int(self._edges()[-1])

    def finish(self) -> None:
        """All points are in: convert them."""
        if self.state is not State.RUNNING:
            return
        edges = self._edges()
        wanted = selected(self._channel.measure)
        values = self._channel.columns(wanted, edges[:-1], edges[1:], self._channel.measure)
        self._data = {quantity: values[:, k] for k, (quantity, _) in enumerate(wanted)}
        self.state = State.DONE
        self._ready.set()

    def abort(self) -> None:
        if self.state in (State.ARMED, State.RUNNING):
            self.state = State.IDLE
            self._ready.set()

    def pin_edge(self, pin: str, now_ns: int, *, rising: bool) -> int | None:
        """First such edge on a wired pin since the sweep could be triggered, for TRIGger:ACQuire:SOURce PIN<n>."""
        edges = self._pins.edges(pin, self.armed_until_ns, now_ns + 1)
        return next((edge.t_ns for edge in edges if bool(edge.level) == rising), None)

    async def array(self, quantity: str) -> Floats:
        """Waits for a sweep under way. Raises ScpiError(-230) when there is none, or it was not asked to measure this."""
        if self.state in (State.ARMED, State.RUNNING):
            await self._ready.wait()
        if quantity not in self._data:
            raise ScpiError(-230)
        return self._data[quantity]

    def _edges(self) -> NDArray[np.int64]:
        return instants(self._begin_ns, self._offset, self._points, dt_ns=self._interval_ns, timebase=self._channel.timebase)
