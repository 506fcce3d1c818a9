"""Timed captures of a Keysight B2900A: the trigger timer paces the readings, the trace buffer keeps them.

Sources as in `_b2900`. One trigger starts the acquire action (arm layer), the timer of its trigger layer paces it. Where the SMU fires
the DUT, the same trigger starts the transient action too, whose trigger delay is as long as the pre-trigger and whose trigger output is
the pin wired to the DUT: so there are readings from before the pulse. The transient action sets the output to its triggered level, which
is therefore kept equal to the present one and checked before each arming. There is no ring buffer: an edge of the DUT has no readings
before it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import configured, require_points, same, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._b2900 import EVENT_LOST, Channel
from labd_instruments.drivers._b2900_accuracy import TIMEBASE
from labd_instruments.errors import LinkTimeoutError, LostSamplesError, OutOfRangeError, RefusedError, ReplyError, SentinelError

LARGEST_BUFFER = 100_000  # p. 4-147
LONGEST_INTERVAL_S = 1e5  # data sheet p. 17
FIRE_PULSE_S = 100e-6  # 10 us to 10 ms [V]
PIECE = 10_000  # points read at a time
IDLE, WAITING_FOR_ARM = 0b001, 0b100  # of the three bits that the acquire action has in STATus:OPERation [V]
ACQUIRE_SHIFT = {1: 4, 2: 10}  # where they are, by channel [V]


@dataclass(frozen=True, slots=True)
class _Capture:
    """What is set up."""

    dt_s: float
    points: int
    pretrigger: int
    range_a: float
    fire: bool
    voltage: bool

    @property
    def dt_ns(self) -> int:
        return round(self.dt_s * 1e9)

    @property
    def width(self) -> int:
        """Elements of one reading: voltage, current, time, status, in this order (K p. 4-21)."""
        return 4 if self.voltage else 3


class TimedCapture:
    """The trigger system and the trace buffer of one channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._capture: _Capture | None = None

    def forget(self) -> None:
        """After a reset nothing is configured."""
        self._capture = None

    def configure(self, setup: CaptureSetup) -> Acquisition:
        channel = self._channel
        self._refuse(setup)
        self._capture = None
        channel.link.write(f":ABOR:ALL {channel.listed}")  # [V]
        channel.measure(voltage=channel.options.measure_voltage)
        if setup.current_range_a is None:
            raise OutOfRangeError(f"{channel.name}: seamless ranging is asked for, a B2900A has fixed ranges only")
        range_a = channel.fix_current_range(setup.current_range_a)
        aperture_s = channel.set_aperture(self._aperture_s(setup.dt_s))
        capture = _Capture(setup.dt_s, setup.points, setup.pretrigger_points, range_a, setup.fire_dut, channel.options.measure_voltage)
        self._set_timer(capture)
        self._set_arming(capture)
        self._set_buffer(capture)
        channel.check_errors("the set-up of its capture")
        self._capture = capture
        return self._record(capture, aperture_s)

    def _refuse(self, setup: CaptureSetup) -> None:
        """Raises OutOfRangeError for what the instrument cannot do, before anything is sent."""
        name, shortest_s = self._channel.name, self._channel.model.shortest_s
        within(f"{name}: points", setup.points, low=1, high=LARGEST_BUFFER, unit="readings", limit="p. 4-147")
        within(f"{name}: interval", setup.dt_s, low=shortest_s, high=LONGEST_INTERVAL_S, unit="s", limit="data sheet p. 17")
        if abs(setup.dt_s * 1e6 - round(setup.dt_s * 1e6)) > 1e-3:
            raise OutOfRangeError(f"{name}: interval is {setup.dt_s:g} s, the timer takes whole microseconds (data sheet p. 17)")
        if setup.count != 1:
            raise OutOfRangeError(f"{name}: {setup.count} triggers for one arming, the set-up serves 1")
        if setup.with_marker:
            raise OutOfRangeError(f"{name}: a B2900A has no input for a marker column; wire the marker to trigger_line")
        if setup.fire_dut and self._channel.options.fire_line is None:
            raise OutOfRangeError(f"{name}: fire_dut needs option fire_line, the digital pin wired to the DUT")
        most = setup.points - 1 if setup.fire_dut else 0
        within(f"{name}: pre-trigger", setup.pretrigger_points, low=0, high=most, unit="points", limit="there is no ring buffer")

    def interval_s(self, wanted_s: float) -> float:
        """Whole microseconds, which the timer takes."""
        return intervals.in_steps(wanted_s, low_s=self._channel.model.shortest_s, high_s=LONGEST_INTERVAL_S, step_s=1e-6)

    def _aperture_s(self, dt_s: float) -> float:
        """As much of the interval as a reading leaves, in whole microseconds, and at most 2 s."""
        return min(2.0, round((dt_s - self._channel.model.overhead_s) * 1e6) * 1e-6)

    def _set_timer(self, capture: _Capture) -> None:
        root = f":TRIG{self._channel.number}:ACQ"
        self._channel.set_word(f"{root}:SOUR", "TIM", "its trigger source")  # [V] [P]
        self._channel.set_number(f"{root}:TIM", capture.dt_s, "the interval of its timer")
        self._channel.set_number(f"{root}:COUN", capture.points, "its trigger count", tolerance=0.0)
        self._channel.link.write(f"{root}:DEL 0")

    def _set_arming(self, capture: _Capture) -> None:
        channel, options = self._channel, self._channel.options
        source = "BUS"
        if not capture.fire and options.trigger_line is not None:
            pin = f":SOUR:DIG:EXT{options.trigger_line}"
            source = f"EXT{options.trigger_line}"
            channel.set_word(f"{pin}:POL", options.trigger_polarity, "the trigger pin's polarity")  # [V]
            channel.set_word(f"{pin}:FUNC", "TINP", "the trigger pin's function")
        channel.set_word(f":ARM{channel.number}:ACQ:SOUR", source, "its arm source")  # [V] [P]
        channel.set_number(f":ARM{channel.number}:ACQ:COUN", 1, "its arm count", tolerance=0.0)
        channel.link.write(f":ARM{channel.number}:ACQ:DEL 0")
        if capture.fire:
            self._set_firing(capture)

    def _set_firing(self, capture: _Capture) -> None:
        channel, line = self._channel, self._channel.options.fire_line
        pin, root = f":SOUR:DIG:EXT{line}", f":TRIG{channel.number}:TRAN"
        # polarity first: an output that rests high, as a reset leaves it, would fire the DUT when it becomes one
        channel.set_word(f"{pin}:POL", "POS", "the firing pin's polarity")  # [V]
        channel.set_word(f"{pin}:FUNC", "TOUT", "the firing pin's function")
        channel.link.write(f"{pin}:TOUT:POS BEF")
        channel.link.write(f"{pin}:TOUT:TYPE EDGE")
        channel.link.write(f"{pin}:TOUT:WIDT {scpi.number(FIRE_PULSE_S)}")
        channel.set_word(f":ARM{channel.number}:TRAN:SOUR", "BUS", "its arm source of the transient action")
        channel.set_number(f":ARM{channel.number}:TRAN:COUN", 1, "its arm count of the transient action", tolerance=0.0)
        channel.link.write(f":ARM{channel.number}:TRAN:DEL 0")
        channel.set_word(f"{root}:SOUR", "AINT", "its trigger source of the transient action")
        channel.set_number(f"{root}:COUN", 1, "its trigger count of the transient action", tolerance=0.0)
        channel.set_number(f"{root}:DEL", capture.pretrigger * capture.dt_s, "the delay of its pulse")
        channel.link.write(f":SOUR{channel.number}:TOUT:SIGN EXT{line}")  # [V]
        channel.link.write(f":SOUR{channel.number}:TOUT ON")

    def _set_buffer(self, capture: _Capture) -> None:
        channel, root = self._channel, f":TRAC{self._channel.number}"
        elements = "VOLT,CURR,TIME,STAT" if capture.voltage else "CURR,TIME,STAT"
        channel.link.write(f":FORM:ELEM:SENS {elements}")  # K p. 4-21
        channel.set_word(f"{root}:FEED:CONT", "NEV", "the control of its buffer")  # p. 4-147: before the others
        channel.link.write(f"{root}:CLE")
        channel.set_number(f"{root}:POIN", capture.points, "the size of its buffer", tolerance=0.0)
        channel.link.write(f"{root}:FEED SENS")
        channel.link.write(f"{root}:TST:FORM ABS")  # p. 4-149: counted from the first reading

    def _record(self, capture: _Capture, aperture_s: float) -> Acquisition:
        channel, line = self._channel, self._channel.options.trigger_line
        trigger = "fires the DUT by a delayed transient action" if capture.fire else f"pin {line}" if line else "bus"
        return Acquisition(
            dt_ns=capture.dt_ns,
            columns=("current", "voltage") if capture.voltage else ("current",),
            aperture_s=aperture_s,
            current_range_a=capture.range_a,
            voltage_range_v=channel.source_range_v() if capture.voltage else None,
            remote_sense=scpi.booleans(channel.ask(f":SENS{channel.number}:REM?", "the sense mode"), channel.what("the sense mode"))[0],
            points=capture.points,
            pretrigger_points=capture.pretrigger,
            settings={
                "acquisition": "trigger timer into the trace buffer",
                "trigger": trigger,
                "filter": "none",
                "current_limit_a": scpi.number(channel.limit_a()),
                "high_capacitance": "on" if channel.options.high_capacitance else "off",
            },
        )

    def arm(self) -> None:
        """Raises LinkTimeoutError when it does not get to where it waits for its trigger, RefusedError when it refuses."""
        capture, channel = self._captured(), self._channel
        root = f":TRAC{channel.number}"
        if capture.fire:
            volt = channel.value(f":SOUR{channel.number}:VOLT?", "the voltage")
            triggered = channel.value(f":SOUR{channel.number}:VOLT:TRIG?", "the triggered voltage")  # p. 4-93
            same(channel.what("the voltage that firing would set"), volt, triggered, tolerance=1e-6 * abs(volt) + 1e-9)
        channel.set_word(f"{root}:FEED:CONT", "NEV", "the control of its buffer")
        channel.link.write(f"{root}:CLE")
        channel.set_word(f"{root}:FEED:CONT", "NEXT", "the control of its buffer")
        channel.ask(":STAT:QUES:EVEN?", "its events")  # read and cleared: lost ones count from here
        channel.link.write(f":INIT:{'ALL' if capture.fire else 'ACQ'} {channel.listed}")  # [V]
        deadline = time.monotonic() + channel.options.timeout_s
        while not self._state() & WAITING_FOR_ARM:
            if time.monotonic() > deadline:
                channel.check_errors("its arming")
                raise LinkTimeoutError(f"{channel.name}: it does not wait for its trigger within {channel.options.timeout_s:g} s")

    def _state(self) -> int:
        """The three bits of the acquire action: idle, waiting for trigger, waiting for arm."""
        reply = self._channel.ask(":STAT:OPER:COND?", "its trigger state")
        return scpi.integers(reply, self._channel.what("its trigger state"))[0] >> ACQUIRE_SHIFT[self._channel.number] & 7

    def fire(self) -> None:
        capture, options = self._captured(), self._channel.options
        if not capture.fire and options.trigger_line is not None:
            line = options.trigger_line
            raise OutOfRangeError(f"{self._channel.name}: this capture waits for the DUT's edge on pin {line}, the bus cannot trigger it")
        self._channel.link.write("*TRG")  # UG p. 6-27

    def captured(self) -> bool:
        self._captured()
        return self._state() == IDLE

    def fetch(self) -> tuple[Block, ...]:
        capture, channel = self._captured(), self._channel
        if not self.captured():
            raise RefusedError(f"{channel.name}: the capture is not complete yet")
        self._require_all(capture)
        rows = self._readings(capture)
        channel.check_errors("its capture")
        if bool(np.isnan(rows).any()):
            raise SentinelError(f"{channel.name}: a reading of the capture is the instrument's mark for no data")
        self._require_interval(capture, rows[:, -2])
        status = np.bitwise_or.reduce(rows[:, -1].astype(np.int64))
        channel.judged(int(status), "a reading of the capture")
        current, over_i = scpi.without_sentinels(np.ascontiguousarray(rows[:, -3]))
        voltage, over_v = scpi.without_sentinels(np.ascontiguousarray(rows[:, 0])) if capture.voltage else (None, False)
        flags = BlockFlag.OVER_RANGE if over_i or over_v else BlockFlag.NONE
        if bool(np.any(np.abs(current) >= capture.range_a)):
            flags |= BlockFlag.CLIPPED
        return (Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, voltage, flags=flags),)

    def _require_all(self, capture: _Capture) -> None:
        """Raises LostSamplesError when the buffer lacks points or the timer ticked while a reading was still being taken."""
        channel = self._channel
        held = round(channel.value(f":TRAC{channel.number}:POIN:ACT?", "the points in its buffer"))  # K p. 4-187
        require_points(channel.name, "the capture", expected=capture.points, received=held)
        events = scpi.integers(channel.ask(":STAT:QUES:EVEN?", "its events"), channel.what("its events"))[0]
        if (events | channel.questionable()) & EVENT_LOST[channel.number]:
            text = f"{channel.name}: the timer ticked while a reading was being taken, so readings are missing"
            raise LostSamplesError(text, expected=capture.points, received=0)

    def _require_interval(self, capture: _Capture, at_s: NDArray[np.float64]) -> None:
        """Raises LostSamplesError when the time stamps are not the interval apart, ReplyError when they are none."""
        name = self._channel.name
        if not bool(np.isfinite(at_s).all()):
            raise ReplyError(f"{name}: a time stamp of the capture is no number")
        due = np.arange(len(at_s)) * capture.dt_s
        late = np.abs(at_s - at_s[0] - due) > 0.5 * capture.dt_s + TIMEBASE * due
        if bool(late.any()):
            kept = int(np.argmax(late))
            text = f"{name}: the reading after {kept} is at {at_s[kept] - at_s[0]:g} s, due was {due[kept]:g} s"
            raise LostSamplesError(text, expected=capture.points, received=kept)

    def _readings(self, capture: _Capture) -> NDArray[np.float64]:
        """float64 [points, elements], read as binary in pieces."""
        channel = self._channel
        channel.set_word(":FORM", "REAL,64", "the data format")  # K p. 4-19
        channel.set_word(":FORM:BORD", "SWAP", "the byte order")  # K p. 4-19: the most significant byte is first without it
        try:
            pieces = [self._piece(start, min(PIECE, capture.points - start), capture.width) for start in range(0, capture.points, PIECE)]
        finally:
            channel.link.write(":FORM ASC")
        return np.concatenate(pieces)

    def _piece(self, start: int, count: int, width: int) -> NDArray[Any]:
        channel = self._channel
        with scpi.explained(channel.link, channel.name, "a read of its buffer", ":SYST:ERR?"):
            query = f":TRAC{channel.number}:DATA? {start},{count}"  # K p. 4-92 describes offset and size
            block = channel.link.query_definite_block(query, "<f8", timeout_s=channel.options.timeout_s + count * width * 8 / 1e6)
        if len(block) != count * width:
            raise ReplyError(f"{channel.name}: {count} readings of {width} elements are {count * width} numbers, got {len(block)}")
        return block.reshape(count, width)

    def _captured(self) -> _Capture:
        return configured(self._capture, self._channel.name, "capture")
