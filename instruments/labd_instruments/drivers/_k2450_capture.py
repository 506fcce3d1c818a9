"""Digitizing around a trigger with the trigger model of a 2461: one trigger an arming, pre-trigger readings included.

Pages as in `_k2450`. Two models:

- the DUT or the bus triggers: the loop-until-event template (p. 6-229, 6-230) fills a circular buffer until the event and then the
  rest of it; the position, in percent of the buffer, is where the trigger lies.
- the SMU fires the DUT (`fire_dut`): a wait for `*TRG`, an endless digitize block in the background (p. 6-202), a constant delay as
  long as the pre-trigger, a notify block whose event drives the digital line. The position of the edge among the readings is known to
  the latency of the blocks, which the manual does not give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import configured, same, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._k2450 import BUFFER, Smu
from labd_instruments.drivers._k2450_trigger import SMALLEST_BUFFER, TriggerModel, refuse
from labd_instruments.errors import OutOfRangeError

LOWEST_RATE_HZ = 1_000  # p. 6-71
HIGHEST_RATE_HZ = 1_000_000  # p. 6-71
SPARE = 0.01  # the firing model digitizes this share and ...
SPARE_S = 1e-3  # ... this time longer than needed, into a buffer that has twice as much room to spare: overflowing is an error event


@dataclass(frozen=True, slots=True)
class _Capture:
    """What the trigger model is loaded with."""

    rate_hz: int
    points: int
    pretrigger: int
    room: int
    range_a: float
    fire_dut: bool
    voltage: bool

    @property
    def dt_ns(self) -> int:
        return 1_000_000_000 // self.rate_hz


class TriggeredDigitizer:
    """The digitize function of one 2461 under its trigger model."""

    def __init__(self, smu: Smu) -> None:
        self._smu = smu
        self._model = TriggerModel(smu)
        self._capture: _Capture | None = None

    def forget(self) -> None:
        """Nothing is configured; its buffer is still there."""
        self._capture = None

    def reset(self) -> None:
        """A reset of the instrument has deleted its buffer too."""
        self.forget()
        self._model.forget()

    def configure(self, setup: CaptureSetup) -> Acquisition:
        """Raises OutOfRangeError before anything is sent, ReadBackError, RefusedError."""
        rate_hz = self._rate(setup.dt_s)
        refuse(self._smu, setup, least_before=1 if setup.fire_dut else 0)
        position, points, pretrigger, room = self._layout(setup, rate_hz)
        range_a = self._smu.range_for(setup.current_range_a)
        self._smu.link.write(":ABOR")
        self._digitize_function(range_a, rate_hz)
        capture = _Capture(rate_hz, points, pretrigger, room, range_a, setup.fire_dut, self._smu.options.voltage_readback)
        # the template overwrites the oldest reading until the event; the firing model keeps the first ones
        self._model.make_buffer(room, "ONCE" if setup.fire_dut else "CONT")
        if setup.fire_dut:
            self._load_firing_model(capture)
        else:
            # without ENTer an event seen before would end the loop at once
            self._smu.link.write(f':TRIG:LOAD "LoopUntilEvent",{self._model.event()},{position},ENT,0,{BUFFER}')  # p. 6-229
        self._smu.check_errors("the set-up of its digitizer")
        self._capture = capture
        return self._record(capture)

    def interval_s(self, wanted_s: float) -> float:
        """Of the sample rates whose interval is a whole number of nanoseconds."""
        rate_hz = min(max(math.floor((1 + intervals.SLACK) / wanted_s), LOWEST_RATE_HZ), HIGHEST_RATE_HZ)
        while 1_000_000_000 % rate_hz:
            rate_hz -= 1  # ends: 1000 readings/s is such a rate
        return 1 / rate_hz

    def _rate(self, dt_s: float) -> int:
        rate_hz = round(1.0 / dt_s) if dt_s > 0 else 0
        what = f"{self._smu.name}: sample rate"
        within(what, rate_hz, low=LOWEST_RATE_HZ, high=HIGHEST_RATE_HZ, unit="readings/s", limit="p. 6-71")
        if 1_000_000_000 % rate_hz:
            raise OutOfRangeError(f"{what} is {rate_hz}/s, whose interval is no whole number of nanoseconds")
        return rate_hz

    def _layout(self, setup: CaptureSetup, rate_hz: int) -> tuple[int, int, int, int]:
        """Position in percent, points, pre-trigger points, and room in the buffer.

        The template takes whole percents only: the pre-trigger is rounded up to one, and the points to where it is a whole reading.
        """
        if setup.fire_dut:
            extra = math.ceil(2 * (SPARE * setup.points + SPARE_S * rate_hz)) + SMALLEST_BUFFER
            return 0, setup.points, setup.pretrigger_points, setup.points + extra
        percent = -(-100 * setup.pretrigger_points // setup.points)
        within(f"{self._smu.name}: pre-trigger", percent, low=0, high=99, unit="% of the points", limit="p. 6-230")
        step = 100 // math.gcd(percent, 100)
        points = -(-setup.points // step) * step
        return percent, points, points * percent // 100, points

    def _digitize_function(self, range_a: float, rate_hz: int) -> None:
        link = self._smu.link
        link.write(':SENS:DIG:FUNC "CURR"')  # p. 6-71
        self._smu.set_range(":SENS:DIG:CURR", range_a)
        link.write(f":SENS:DIG:CURR:SRAT {rate_hz}")  # p. 6-71: before the aperture
        link.write(":SENS:DIG:CURR:APER AUTO")  # p. 6-52: as long as the interval, so nothing falls between readings
        self._smu.set_read_back(self._smu.options.voltage_readback)
        got = self._smu.number(":SENS:DIG:CURR:SRAT?", "the sample rate")
        same(f"{self._smu.name}: sample rate", rate_hz, got, tolerance=0.5)

    def _load_firing_model(self, capture: _Capture) -> None:
        link = self._smu.link
        before_s = capture.pretrigger / capture.rate_hz
        after_s = (capture.points * (1 + SPARE) - capture.pretrigger) / capture.rate_hz + SPARE_S
        self._model.wire_output()
        link.write(':TRIG:LOAD "Empty"')  # p. 6-225
        link.write(f":TRIG:BLOC:BUFF:CLE 1,{BUFFER}")  # p. 6-202
        link.write(":TRIG:BLOC:WAIT 2,COMM,ENT")  # p. 6-209
        link.write(f":TRIG:BLOC:DIG 3,{BUFFER},INF")  # p. 6-202: goes on in the background
        link.write(f":TRIG:BLOC:DEL:CONS 4,{scpi.number(before_s)}")  # p. 6-202
        link.write(":TRIG:BLOC:NOT 5,1")  # [D]
        link.write(f":TRIG:BLOC:DEL:CONS 6,{scpi.number(after_s)}")
        link.write(f":TRIG:BLOC:DIG 7,{BUFFER},0")  # p. 6-202: stops the background readings

    def _record(self, capture: _Capture) -> Acquisition:
        line = self._smu.options.trigger_line
        trigger = "fires the DUT by a delay block, latency not specified" if capture.fire_dut else f"line {line}" if line else "bus"
        return Acquisition(
            dt_ns=capture.dt_ns,
            columns=("current", "voltage") if capture.voltage else ("current",),
            aperture_s=capture.dt_ns * 1e-9,
            current_range_a=capture.range_a,
            voltage_range_v=self._smu.source_range() if capture.voltage else None,
            remote_sense=self._smu.remote_sense(":SENS:DIG:CURR"),
            points=capture.points,
            pretrigger_points=capture.pretrigger,
            settings={"acquisition": "digitize", "trigger": trigger, "filter": "none", **self._smu.clamp_settings(capture.range_a)},
        )

    def arm(self) -> None:
        """Raises LinkTimeoutError when the trigger model does not get to where it waits, RefusedError when it failed."""
        capture = self._captured()
        self._smu.link.write(':SENS:DIG:FUNC "CURR"')  # a quick reading in between has selected a measure function
        self._model.start()
        if not capture.fire_dut:
            self._model.until(lambda: self._model.filled() >= capture.pretrigger, "the pre-trigger readings do not come")

    def fire(self) -> None:
        self._model.fire(fire_dut=self._captured().fire_dut)

    def captured(self) -> bool:
        return self._model.ended()

    def fetch(self) -> tuple[Block, ...]:
        capture = self._captured()
        elements = ("READ", "SOUR") if capture.voltage else ("READ",)
        most = capture.room if capture.fire_dut else capture.points
        columns = self._model.readings(elements, points=capture.points, room=capture.room, most=most).T
        self._smu.check_errors("its capture")
        current, bad_i = scpi.without_sentinels(np.ascontiguousarray(columns[0]))
        voltage, bad_v = scpi.without_sentinels(np.ascontiguousarray(columns[1])) if capture.voltage else (None, False)
        flags = BlockFlag.OVER_RANGE if bad_i or bad_v else BlockFlag.NONE
        if bool(np.any(np.abs(current) >= capture.range_a)):
            flags |= BlockFlag.CLIPPED
        return (Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, voltage, flags=flags),)

    def _captured(self) -> _Capture:
        return configured(self._capture, self._smu.name, "capture")
