"""The digitizer of an N6705C: a stretch around a trigger, steady means and quick readings, all from one sweep system.

Letters name the documents listed in `_n6705c`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block
from labd_instruments.checks import configured, require_points, within
from labd_instruments.contract import Acquisition, CaptureSetup, MeanSetup, Reading
from labd_instruments.drivers._n6705c import MARKER_V, MEASURING, READY_S, RESOLUTION_S, WAITING_FOR_TRIGGER, Mainframe, at, flags
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError

POINTS_MOST = 524_288  # [V]
SMALLEST_STEP_S = 20.48e-6  # of the coarser of the two grids of intervals [U p213]
LONGEST_S = 40_000.0
QUICK_S = 1024 * RESOLUTION_S["RES20"]  # of a quick reading: a period of the mains, or nearly


@dataclass(frozen=True, slots=True)
class _Sweep:
    """What the digitizer is set to."""

    dt_s: float
    points: int
    pretrigger: int
    marker: bool
    full_scale_a: float | None = None

    @property
    def dt_ns(self) -> int:
        return round(self.dt_s * 1e9)


class Digitizer:
    """The sweep system of one mainframe."""

    def __init__(self, box: Mainframe) -> None:
        self._box = box
        self.forget()

    def forget(self) -> None:
        """After a reset nothing is configured."""
        self._capture: _Sweep | None = None
        self._pin: int | None = None  # whose edge starts the capture
        self._mean: _Sweep | None = None
        self._loaded: _Sweep | None = None

    def measure(self) -> Reading:
        """One quick reading (about 21 ms) with the ranges as they are."""
        dt_s = self._box.resolution_s
        return self._measure(_Sweep(dt_s, points=round(QUICK_S / dt_s), pretrigger=0, marker=False))

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        """What does not fire the DUT starts at the DUT's edge on trigger_pin, where the bench file names one."""
        dt_s = self._checked(setup)
        channels = self._box.channels(marker=setup.with_marker)
        self._configured_nothing()
        self._sense_functions(setup.current_range_a, setup.voltage_range_v, marker=setup.with_marker)
        self._pin = None if setup.fire_dut else self._box.options.trigger_pin
        self._box.link.write(f"TRIG:ACQ:SOUR {'BUS' if self._pin is None else f'PIN{self._pin}'},{at(*channels)}")  # [C], a pin [V] [T]
        # [A p222] *TRG also leaves on the trigger output pins
        self._box.set_word("DIG:TOUT:BUS", "ON" if setup.fire_dut else "OFF", "the trigger's way out")
        sweep = _Sweep(dt_s, setup.points, setup.pretrigger_points, setup.with_marker, setup.current_range_a)
        self._load(sweep)
        self._box.ranges_held("SENS", setup.current_range_a, setup.voltage_range_v)
        if setup.with_marker:
            self._box.marker_range_held("SENS")
        self._box.same_word("the trigger source", f"TRIG:ACQ:SOUR? {self._box.main}", "BUS" if self._pin is None else f"PIN{self._pin}")
        self._capture = sweep
        return self._capture_record(setup, sweep)

    def _configured_nothing(self) -> None:
        """Captures and means share ranges and sweep: whatever was configured before does not hold any more."""
        self._capture = self._pin = self._mean = None

    def _checked(self, setup: CaptureSetup) -> float:
        """The sample interval that will be, in seconds. Raises OutOfRangeError before anything is sent."""
        name = self._box.name
        if setup.count != 1:
            raise OutOfRangeError(f"{name}: {setup.count} triggers for one arming, the digitizer serves 1: arm each event by itself")
        if setup.fire_dut and self._box.options.fire_pin is None:
            raise OutOfRangeError(f"{name}: fire_dut needs option fire_pin, the digital pin wired to the DUT")
        within(f"{name}: points", setup.points, low=1, high=POINTS_MOST, unit="points", limit="one sweep")
        limit = "points of the capture"
        within(f"{name}: pre-trigger", setup.pretrigger_points, low=0, high=setup.points - 1, unit="points", limit=limit)
        self._box.check_ranges(setup.current_range_a, setup.voltage_range_v)
        return self._tick(setup.dt_s, parameters=2 + setup.with_marker)

    def interval_s(self, wanted_s: float, *, parameters: int) -> float:
        """Whole ticks; above 20.48 us whole steps of option resolution."""
        floor_s, tick_s = self._floor_s(parameters), 2 * self._box.module.tick_s
        fine_s = intervals.in_steps(wanted_s, low_s=floor_s, high_s=LONGEST_S, step_s=tick_s)
        if fine_s < SMALLEST_STEP_S * (1 - intervals.SLACK):
            return fine_s
        return intervals.in_steps(wanted_s, low_s=floor_s, high_s=LONGEST_S, step_s=self._box.resolution_s)

    def _floor_s(self, parameters: int) -> float:
        tick_s = self._box.module.tick_s
        return {1: tick_s, 2: 2 * tick_s}.get(parameters, self._box.resolution_s)  # [U p213]

    def _tick(self, dt_s: float, *, parameters: int) -> float:
        tick_s = self._box.module.tick_s
        floor_s = self._floor_s(parameters)
        within(
            f"{self._box.name}: sample interval",
            dt_s,
            low=floor_s,
            high=LONGEST_S,
            unit="s",
            limit=f"{parameters} parameters, N6705C guide p213",
        )
        step_s = 2 * tick_s if dt_s < SMALLEST_STEP_S else self._box.resolution_s
        return max(1, round(dt_s / step_s)) * step_s

    def _sense_functions(self, current_range_a: float | None, voltage_range_v: float, *, marker: bool) -> None:
        self._box.link.write(f"SENS:FUNC:CURR ON,{self._box.main}")  # [V]
        self._box.link.write(f"SENS:FUNC:VOLT ON,{self._box.main}")  # [V]
        self._box.set_ranges("SENS", current_range_a, voltage_range_v)
        if marker:
            self._box.link.write(f"SENS:FUNC:VOLT ON,{at(self._box.marker())}")
            self._box.link.write(f"SENS:VOLT:RANG {scpi.number(MARKER_V)},{at(self._box.marker())}")
        self._box.set_resolution()

    def _load(self, sweep: _Sweep) -> None:
        """Send the sweep unless it is there already: digitizer, means and quick readings share one. Raises RefusedError, ReadBackError."""
        if sweep == self._loaded:
            return
        self._loaded = None
        channels = self._box.channels(marker=sweep.marker)
        where = at(*channels)
        self._box.link.write(f"SENS:SWE:TINT {scpi.number(sweep.dt_s)},{where}")  # [U p213]
        self._box.link.write(f"SENS:SWE:POIN {sweep.points},{where}")  # [U p213]
        self._box.link.write(f"SENS:SWE:OFFS:POIN {-sweep.pretrigger},{where}")  # [U p213] negative: before the trigger
        self._box.check_errors("the set-up of its digitizer")
        self._box.same_in(channels, "sample interval", "SENS:SWE:TINT?", sweep.dt_s, 1e-4 * sweep.dt_s)
        self._box.same_in(channels, "points", "SENS:SWE:POIN?", sweep.points, 0.0)
        self._box.same_in(channels, "pre-trigger", "SENS:SWE:OFFS:POIN?", -sweep.pretrigger, 0.0)
        self._loaded = sweep

    def _capture_record(self, setup: CaptureSetup, sweep: _Sweep) -> Acquisition:
        return Acquisition(
            dt_ns=sweep.dt_ns,
            columns=("current", "voltage", "marker") if setup.with_marker else ("current", "voltage"),
            aperture_s=sweep.dt_s,
            current_range_a=setup.current_range_a,
            voltage_range_v=setup.voltage_range_v,
            seamless=setup.current_range_a is None,
            ranges_a=self._box.ranges_a(setup.current_range_a),
            remote_sense=self._box.remote_sense(),
            points=sweep.points,
            pretrigger_points=sweep.pretrigger,
            settings={"acquisition": "digitizer", "trigger": self._trigger(fire=setup.fire_dut), "filter": "none"},
        )

    def _trigger(self, *, fire: bool) -> str:
        if fire:
            return "bus, out on the digital pin"
        return "bus" if self._pin is None else f"digital pin {self._pin}, {self._box.options.trigger_polarity} edge"

    def arm(self) -> None:
        """Raises LinkTimeoutError when the acquisition does not get ready.

        A trigger before the pre-trigger points are there is ignored by the instrument [U p213]: they are waited for.
        """
        sweep = self._captured_sweep()
        self._load(sweep)
        where = at(*self._box.channels(marker=sweep.marker))
        self._box.link.write(f"ABOR:ACQ {where}")  # an acquisition that nobody triggered would refuse the next one
        before_s = self._box.clock.now_s()
        self._box.link.write(f"INIT:ACQ {where}")
        self._operation(sweep)
        # a clock without uncertainty stands still while nobody waits: only the earlier instant is sure to be passed by the pre-trigger
        since_s = before_s if self._box.clock.u_s == 0 else self._box.clock.now_s() + READY_S
        self._await_ready(sweep, since_s + sweep.pretrigger * sweep.dt_s)

    def _await_ready(self, sweep: _Sweep, ready_s: float) -> None:
        deadline = time.monotonic() + self._box.options.timeout_s + sweep.pretrigger * sweep.dt_s
        while True:
            bits = self._operation(sweep)
            filled = self._box.clock.now_s() >= ready_s - 1e-9
            if filled and all(b & (WAITING_FOR_TRIGGER | MEASURING) for b in bits):
                return
            if time.monotonic() > deadline:
                self._box.check_errors("its arming")
                raise LinkTimeoutError(f"{self._box.name}: the digitizer is not ready {self._box.options.timeout_s:g} s after INIT:ACQ")

    def _operation(self, sweep: _Sweep) -> tuple[int, ...]:
        query = f"STAT:OPER:COND? {at(*self._box.channels(marker=sweep.marker))}"  # [O p350]
        return scpi.integers(self._box.ask(query, "its operation status"), f"{self._box.name}: the operation status")

    def fire(self) -> None:
        self._captured_sweep()
        if self._pin is not None:
            raise OutOfRangeError(f"{self._box.name}: this capture waits for the DUT's edge on pin {self._pin}, the bus cannot trigger it")
        self._box.link.write("*TRG")  # [C p146]

    def captured(self) -> bool:
        return not any(bits & MEASURING for bits in self._operation(self._captured_sweep()))

    def fetch(self) -> tuple[Block, ...]:
        sweep = self._captured_sweep()
        current, bad_i = self._array("CURR", self._box.options.channel, sweep)
        voltage, bad_v = self._array("VOLT", self._box.options.channel, sweep)
        marker, bad_m = self._array("VOLT", self._box.marker(), sweep) if sweep.marker else (None, False)
        self._box.check_errors("its capture")
        found = flags(current, sweep.full_scale_a, over_range=bad_i or bad_v or bad_m)
        return (Block(0, -sweep.pretrigger * sweep.dt_ns, sweep.dt_ns, current, voltage, marker, flags=found),)

    def _array(self, quantity: str, channel: int, sweep: _Sweep) -> tuple[NDArray[np.float32], bool]:
        what = f"the capture of {quantity} on channel {channel}"
        data = self._box.block(f"FETC:ARR:{quantity}? {at(channel)}", sweep.points, what)
        require_points(self._box.name, what, expected=sweep.points, received=len(data))
        return scpi.without_sentinels(data)

    def _captured_sweep(self) -> _Sweep:
        return configured(self._capture, self._box.name, "capture")

    def aperture_s(self, wanted_s: float) -> float:
        """Of a mean: whole samples."""
        dt_s = self._box.resolution_s
        return intervals.in_steps(wanted_s, low_s=dt_s, high_s=POINTS_MOST * dt_s, step_s=dt_s)

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        dt_s = self._box.resolution_s
        points = round(setup.aperture_s / dt_s)
        within(f"{self._box.name}: aperture", points, low=1, high=POINTS_MOST, unit=f"points of {dt_s * 1e6:g} us", limit="one sweep")
        self._box.check_ranges(setup.current_range_a, setup.voltage_range_v)
        self._configured_nothing()
        self._sense_functions(setup.current_range_a, setup.voltage_range_v, marker=False)
        self._box.check_errors("the set-up of its means")
        mean = _Sweep(dt_s, points, pretrigger=0, marker=False, full_scale_a=setup.current_range_a)
        self._load(mean)
        self._box.ranges_held("SENS", setup.current_range_a, setup.voltage_range_v)
        self._mean = mean
        return Acquisition(
            dt_ns=round(points * dt_s * 1e9),
            columns=("current", "voltage"),
            aperture_s=points * dt_s,
            current_range_a=setup.current_range_a,
            voltage_range_v=setup.voltage_range_v,
            seamless=setup.current_range_a is None,
            ranges_a=self._box.ranges_a(setup.current_range_a),
            remote_sense=self._box.remote_sense(),
            settings={"acquisition": "sweep mean", "zero": "the module offers none"},
        )

    def read_mean(self) -> Reading | None:
        return self._measure(configured(self._mean, self._box.name, "mean"))

    def _measure(self, sweep: _Sweep) -> Reading:
        """Current and voltage of one and the same sweep, triggered at once whatever the trigger source is."""
        self._load(sweep)
        self._box.link.write(f"ABOR:ACQ {self._box.main}")
        self._box.link.write(f"INIT:ACQ {self._box.main}")
        self._box.link.write(f"TRIG:ACQ {self._box.main}")
        deadline = time.monotonic() + self._box.options.timeout_s + 2 * sweep.points * sweep.dt_s
        while any(bits & MEASURING for bits in self._operation(sweep)):
            if time.monotonic() > deadline:
                raise LinkTimeoutError(f"{self._box.name}: a reading of {sweep.points * sweep.dt_s:g} s does not end")
        # FORM REAL concerns arrays and the log, scalars stay text [-]
        return Reading(self._box.number("FETC:CURR?", "the current"), self._box.number("FETC:VOLT?", "the voltage"))
