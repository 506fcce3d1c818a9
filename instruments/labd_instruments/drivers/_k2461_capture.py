"""Digitizing around a trigger with the trigger model of a 2461: one trigger an arming, pre-trigger readings included.

Pages as in `_k2461`. Two models:

- the DUT or the bus triggers: the loop-until-event template (p. 6-229, 6-230) fills a circular buffer until the event and then the
  rest of it; the position, in percent of the buffer, is where the trigger lies.
- the SMU fires the DUT (`fire_dut`): a wait for `*TRG`, an endless digitize block in the background (p. 6-202), a constant delay as
  long as the pre-trigger, a notify block whose event drives the digital line. The position of the edge among the readings is known to
  the latency of the blocks, which the manual does not give.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import require_points, same, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._k2461 import BUFFER, Smu
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError, RefusedError, ReplyError

LOWEST_RATE_HZ = 1_000  # p. 6-71
HIGHEST_RATE_HZ = 1_000_000  # p. 6-71
SMALLEST_BUFFER = 10
LARGEST_BUFFER = 6_875_000  # p. 6-167, standard readings
FIRE_PULSE_S = 100e-6
SPARE = 0.01  # the firing model digitizes this share and ...
SPARE_S = 1e-3  # ... this time longer than needed, into a buffer that has twice as much room to spare: overflowing is an error event
RUNNING = ("RUNNING", "WAITING")  # p. 6-235
ENDED = ("IDLE",)
BROKEN = ("FAILED", "ABORTED", "ABORTING", "EMPTY", "BUILDING")


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
        self._capture: _Capture | None = None

    def forget(self) -> None:
        """After a reset nothing is configured."""
        self._capture = None

    def configure(self, setup: CaptureSetup) -> Acquisition:
        self._refuse(setup)
        rate_hz = self._rate(setup.dt_s)
        within(self._what("points"), setup.points, low=SMALLEST_BUFFER, high=LARGEST_BUFFER, unit="readings", limit="p. 6-167")
        position, points, pretrigger, room = self._layout(setup, rate_hz)
        self._smu.link.write(":ABOR")
        range_a = self._digitize_function(setup, rate_hz)
        capture = _Capture(rate_hz, points, pretrigger, room, range_a, setup.fire_dut, self._smu.options.voltage_readback)
        self._make_buffer(capture)
        if setup.fire_dut:
            self._load_firing_model(capture)
        else:
            self._load_template(position)
        self._smu.check_errors("the set-up of its digitizer")
        self._capture = capture
        return self._record(setup, capture)

    def _what(self, quantity: str) -> str:
        return f"{self._smu.name}: {quantity}"

    def _refuse(self, setup: CaptureSetup) -> None:
        if setup.count != 1:
            raise OutOfRangeError(f"{self._what('captures')}: {setup.count} triggers for one arming, the template serves 1")
        if setup.with_marker:
            raise OutOfRangeError(f"{self._what('captures')}: a 2461 has no input for a marker column; wire the marker to trigger_line")
        if setup.fire_dut and self._smu.options.fire_line is None:
            raise OutOfRangeError(f"{self._what('fire_dut')} needs option fire_line, the digital line wired to the DUT")
        limit = "points of the capture"
        lowest = 1 if setup.fire_dut else 0
        within(self._what("pre-trigger"), setup.pretrigger_points, low=lowest, high=setup.points - 1, unit="points", limit=limit)

    def _rate(self, dt_s: float) -> int:
        rate_hz = round(1.0 / dt_s) if dt_s > 0 else 0
        within(self._what("sample rate"), rate_hz, low=LOWEST_RATE_HZ, high=HIGHEST_RATE_HZ, unit="readings/s", limit="p. 6-71")
        if 1_000_000_000 % rate_hz:
            raise OutOfRangeError(f"{self._what('sample rate')} is {rate_hz}/s, whose interval is no whole number of nanoseconds")
        return rate_hz

    def _layout(self, setup: CaptureSetup, rate_hz: int) -> tuple[int, int, int, int]:
        """Position in percent, points, pre-trigger points, and room in the buffer.

        The template takes whole percents only: the pre-trigger is rounded up to one, and the points to where it is a whole reading.
        """
        if setup.fire_dut:
            extra = math.ceil(2 * (SPARE * setup.points + SPARE_S * rate_hz)) + SMALLEST_BUFFER
            return 0, setup.points, setup.pretrigger_points, setup.points + extra
        percent = -(-100 * setup.pretrigger_points // setup.points)
        within(self._what("pre-trigger"), percent, low=0, high=99, unit="% of the points", limit="p. 6-230")
        step = 100 // math.gcd(percent, 100)
        points = -(-setup.points // step) * step
        return percent, points, points * percent // 100, points

    def _digitize_function(self, setup: CaptureSetup, rate_hz: int) -> float:
        link = self._smu.link
        link.write(':SENS:DIG:FUNC "CURR"')  # p. 6-71
        range_a = self._smu.set_range(":SENS:DIG:CURR", setup.current_range_a)
        link.write(f":SENS:DIG:CURR:SRAT {rate_hz}")  # p. 6-71: before the aperture
        link.write(":SENS:DIG:CURR:APER AUTO")  # p. 6-52: as long as the interval, so nothing falls between readings
        link.write(f":SOUR:VOLT:READ:BACK {'ON' if self._smu.options.voltage_readback else 'OFF'}")  # p. 6-99
        got = self._smu.number(":SENS:DIG:CURR:SRAT?", "the sample rate")
        same(self._what("sample rate"), rate_hz, got, tolerance=0.5)
        return range_a

    def _make_buffer(self, capture: _Capture) -> None:
        link = self._smu.link
        if self._capture is not None:
            link.write(f":TRAC:DEL {BUFFER}")  # [D]
        link.write(f":TRAC:MAKE {BUFFER},{capture.room}")  # p. 6-167
        # the template overwrites the oldest reading until the event; the firing model keeps the first ones
        link.write(f":TRAC:FILL:MODE {'ONCE' if capture.fire_dut else 'CONT'},{BUFFER}")  # [D] clears the buffer

    def _load_template(self, position: int) -> None:
        link, options = self._smu.link, self._smu.options
        event = "COMM"
        if options.trigger_line is not None:
            event = f"DIG{options.trigger_line}"
            link.write(f":DIG:LINE{options.trigger_line}:MODE TRIG,IN")  # [D]
            link.write(f":TRIG:DIG{options.trigger_line}:IN:EDGE {options.trigger_edge}")  # [D]
        # without ENTer an event seen before would end the loop at once
        link.write(f':TRIG:LOAD "LoopUntilEvent",{event},{position},ENT,0,{BUFFER}')  # p. 6-229

    def _load_firing_model(self, capture: _Capture) -> None:
        link, line = self._smu.link, self._smu.options.fire_line
        before_s = capture.pretrigger / capture.rate_hz
        after_s = (capture.points * (1 + SPARE) - capture.pretrigger) / capture.rate_hz + SPARE_S
        link.write(f":DIG:LINE{line}:MODE TRIG,OUT")  # [D]
        link.write(f":TRIG:DIG{line}:OUT:STIM NOT1")  # [D]
        link.write(f":TRIG:DIG{line}:OUT:LOG POS")  # p. 6-230 names the command
        link.write(f":TRIG:DIG{line}:OUT:PULS {scpi.number(FIRE_PULSE_S)}")  # [-]
        link.write(':TRIG:LOAD "Empty"')  # p. 6-225
        link.write(f":TRIG:BLOC:BUFF:CLE 1,{BUFFER}")  # p. 6-202
        link.write(":TRIG:BLOC:WAIT 2,COMM,ENT")  # p. 6-209
        link.write(f":TRIG:BLOC:DIG 3,{BUFFER},INF")  # p. 6-202: goes on in the background
        link.write(f":TRIG:BLOC:DEL:CONS 4,{scpi.number(before_s)}")  # p. 6-202
        link.write(":TRIG:BLOC:NOT 5,1")  # [D]
        link.write(f":TRIG:BLOC:DEL:CONS 6,{scpi.number(after_s)}")
        link.write(f":TRIG:BLOC:DIG 7,{BUFFER},0")  # p. 6-202: stops the background readings

    def _record(self, setup: CaptureSetup, capture: _Capture) -> Acquisition:
        line = self._smu.options.trigger_line
        trigger = "fires the DUT by a delay block, latency not specified" if capture.fire_dut else f"line {line}" if line else "bus"
        return Acquisition(
            dt_ns=capture.dt_ns,
            columns=("current", "voltage") if capture.voltage else ("current",),
            aperture_s=capture.dt_ns * 1e-9,
            current_range_a=capture.range_a,
            voltage_range_v=setup.voltage_range_v if capture.voltage else None,
            remote_sense=self._smu.remote_sense(":SENS:DIG:CURR"),
            points=capture.points,
            pretrigger_points=capture.pretrigger,
            settings={"acquisition": "digitize", "trigger": trigger, "filter": "none", **self._smu.clamp_settings(capture.range_a)},
        )

    def arm(self) -> None:
        """Raises LinkTimeoutError when the trigger model does not get to where it waits, RefusedError when it failed."""
        capture = self._captured()
        self._smu.link.write(':SENS:DIG:FUNC "CURR"')  # a quick reading in between has selected a measure function
        self._smu.link.write(":INIT")
        self._until(lambda: self._state() in RUNNING, "the trigger model does not start")
        if not capture.fire_dut:
            self._until(lambda: self._filled() >= capture.pretrigger, "the pre-trigger readings do not come")

    def _until(self, done: Any, complaint: str) -> None:
        deadline = time.monotonic() + self._smu.options.timeout_s
        while not done():
            if time.monotonic() > deadline:
                self._smu.check_errors("its arming")
                raise LinkTimeoutError(f"{self._smu.name}: {complaint} within {self._smu.options.timeout_s:g} s of :INIT")

    def _state(self) -> str:
        """State of the trigger model: first field of `IDLE;IDLE;9` (p. 6-235), quotes dropped. Raises RefusedError when it failed."""
        state = scpi.unquoted(self._smu.ask(":TRIG:STAT?", "its trigger state")).split(";")[0].upper()
        if state in BROKEN:
            self._smu.check_errors("its trigger model")
            raise RefusedError(f"{self._smu.name}: the trigger model is {state.lower()}")
        if state not in RUNNING + ENDED:
            raise ReplyError(f"{self._smu.name}: the trigger model's state is {state!r}, which the manual does not know")
        return state

    def _filled(self) -> int:
        return round(self._smu.number(f":TRAC:ACT? {BUFFER}", "the buffer's readings"))  # p. 6-156

    def fire(self) -> None:
        capture = self._captured()
        if not capture.fire_dut and self._smu.options.trigger_line is not None:
            line = self._smu.options.trigger_line
            raise OutOfRangeError(f"{self._smu.name}: this capture waits for the DUT's edge on line {line}, the bus cannot trigger it")
        self._smu.link.write("*TRG")  # p. 6-230: any remote interface

    def captured(self) -> bool:
        # the instrument looks every 100 ms only (p. 6-234), but `arm` has seen the model run, so idle means ended
        return self._state() in ENDED

    def fetch(self) -> tuple[Block, ...]:
        capture = self._captured()
        data = self._readings(capture)
        self._smu.check_errors("its capture")
        columns = data.reshape(capture.points, -1).T
        current, bad_i = scpi.without_sentinels(np.ascontiguousarray(columns[0]))
        voltage, bad_v = scpi.without_sentinels(np.ascontiguousarray(columns[1])) if capture.voltage else (None, False)
        flags = BlockFlag.OVER_RANGE if bad_i or bad_v else BlockFlag.NONE
        if bool(np.any(np.abs(current) >= capture.range_a)):
            flags |= BlockFlag.CLIPPED
        return (Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, voltage, flags=flags),)

    def _readings(self, capture: _Capture) -> NDArray[Any]:
        """Every reading, oldest first. The buffer is circular: its first reading need not stand at index 1."""
        first = round(self._smu.number(f":TRAC:ACT:STAR? {BUFFER}", "the buffer's start"))  # p. 6-158
        last = round(self._smu.number(f":TRAC:ACT:END? {BUFFER}", "the buffer's end"))  # p. 6-157
        pieces = [(first, last)] if first <= last else [(first, capture.room), (1, last)]
        held = sum(end - start + 1 for start, end in pieces) if last > 0 else 0
        if capture.fire_dut and held > capture.points:
            pieces, held = [(first, first + capture.points - 1)], capture.points
        require_points(self._smu.name, "the capture", expected=capture.points, received=held)
        elements, width = ("READ,SOUR", 2) if capture.voltage else ("READ", 1)
        self._smu.link.write(":FORM:DATA SRE")  # [D] single precision, `#0` block
        try:
            return np.concatenate([self._piece(start, end, elements, width) for start, end in pieces])
        finally:
            self._smu.link.write(":FORM:DATA ASC")

    def _piece(self, start: int, end: int, elements: str, width: int) -> NDArray[Any]:
        count = (end - start + 1) * width
        with scpi.explained(self._smu.link, self._smu.name, "a read of its buffer", ":SYST:ERR?"):
            self._smu.link.write(f":TRAC:DATA? {start},{end},{BUFFER},{elements}")  # p. 6-160
            return self._smu.link.read_indefinite_block(count, "<f4", timeout_s=self._smu.options.timeout_s + count * 4 / 1e6)

    def _captured(self) -> _Capture:
        if self._capture is None:
            raise OutOfRangeError(f"{self._smu.name}: no capture is configured; configure_capture comes first")
        return self._capture
