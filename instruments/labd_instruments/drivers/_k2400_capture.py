"""Captures in the TRACe buffer of a 2400: as many readings as asked for, one at each expiry of the arm layer's timer.

Pages as in `_k2400`. The bus starts it; it is no circular buffer, so nothing is known of the time before. With the timer as the arm
layer's event source no trigger link line can start it too, and the trigger layer alone runs at an interval that no document gives: hence no
hardware trigger. The instant called the trigger lies `pretrigger_points` intervals after the start; no line moves at it.

While it measures the instrument queues whatever it is told, silently, except for an abort, a reset and a bus trigger (p. 11-13): nothing is
asked of it before the last reading is due.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock, configured, require_points, same, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._k2400 import ELEMENTS, I_MEAS, LIMITED, OVERFLOW, PLC_RANGE, PLC_STEP, V_MEAS, V_SOUR, Smu, words
from labd_instruments.errors import LostSamplesError, OutOfRangeError, ReadBackError, RefusedError

LARGEST_BUFFER = 2500  # p. 18-115
TIMER_RANGE_S = (0.001, 99999.99)  # p. 14-8
TIMER_STEP_S = 0.001  # the lowest value; of a finer step no page was at hand
# Appendix A: trigger latency at most 225 us, source configuration 50 us, a conversion 185 us more than it integrates; firmware overhead of
# one function 300 us (case III); of two without auto zero no page was at hand: that with auto zero, 2.3 ms (case II), is more.
LATENCY_S, CONVERSION_S = 275e-6, 185e-6
OVERHEAD_S = {1: 300e-6, 2: 2.3e-3}
STAMP_S = 0.001  # resolution of a timestamp (p. 9-3)
STAMP_SHARE = 1e-3  # timestamps are "approximate" (p. 18-50): the share of the whole time that is allowed for


@dataclass(frozen=True, slots=True)
class _Capture:
    points: int
    pretrigger: int
    dt_s: float
    voltage: bool

    @property
    def dt_ns(self) -> int:
        return round(self.dt_s * 1e9)


class TimedBuffer:
    """The arm timer and the TRACe buffer of one 2400."""

    def __init__(self, smu: Smu, clock: Clock) -> None:
        self._smu, self._clock = smu, clock
        self._capture: _Capture | None = None
        self._due_s: float | None = None

    def forget(self) -> None:
        """After a reset, or when something else is measured, nothing is configured."""
        self._capture = self._due_s = None

    def configure(self, setup: CaptureSetup, line_hz: float) -> Acquisition:
        """Raises OutOfRangeError, RefusedError, ReadBackError."""
        self._refuse(setup)
        voltage = self._smu.options.voltage_readback
        plc = self._plc(setup.dt_s, line_hz, functions=2 if voltage else 1)
        range_a = self._smu.holding(setup.current_range_a)
        self.stop()
        self._smu.set_count(":TRAC:POIN", setup.points, "the size of the buffer")  # p. 18-115; refused (800) while storage is active
        self._smu.link.write(":TRAC:FEED SENS")  # p. 18-115
        self._smu.set_word(":TRAC:TST:FORM", "ABS", "the format of timestamps")  # p. 18-116
        self._smu.select(voltage=voltage)
        self._smu.set_range(range_a)
        plc = self._smu.set_plc(plc)
        self._smu.link.write(":SYST:AZER:STAT ONCE")  # [P]
        self._smu.set_word(":SYST:AZER:STAT", "OFF", "auto zero")  # [P] a reading takes a third of the time
        self._timer(setup)
        self._smu.check_errors("the set-up of its buffer")
        self._capture = _Capture(setup.points, setup.pretrigger_points, setup.dt_s, voltage)
        return self._record(setup, range_a, plc / line_hz, plc)

    def interval_s(self, wanted_s: float, line_hz: float) -> float:
        """Whole milliseconds that hold the readings of its functions at the shortest integration time."""
        functions = 2 if self._smu.options.voltage_readback else 1
        least_s = LATENCY_S + OVERHEAD_S[functions] + functions * (CONVERSION_S + PLC_RANGE[0] / line_hz)
        low_s = max(TIMER_RANGE_S[0], least_s)
        return intervals.in_steps(wanted_s, low_s=low_s, high_s=TIMER_RANGE_S[1], step_s=TIMER_STEP_S)

    def stop(self) -> None:
        """The buffer can be resized only while nothing is stored into it, and survives a reset (p. 18-21)."""
        for command in (":ABOR", ":TRIG:CLE", ":TRAC:FEED:CONT NEV", ":TRAC:CLE"):  # p. 18-114 to 18-116
            self._smu.link.write(command)

    def _timer(self, setup: CaptureSetup) -> None:
        self._smu.link.write(":ARM:SOUR TIM")  # p. 18-119: at once, and at every expiry
        self._smu.set_count(":ARM:COUN", setup.points, "the count of the arm layer")  # p. 11-16
        self._smu.link.write(f":ARM:TIM {scpi.number(setup.dt_s)}")
        got = self._smu.number(":ARM:TIM?", "the interval of the timer")
        same(f"{self._smu.name}: interval of the timer", setup.dt_s, got, tolerance=1e-6 * setup.dt_s)

    def _refuse(self, setup: CaptureSetup) -> None:
        name = self._smu.name
        if setup.fire_dut:
            raise OutOfRangeError(f"{name}: fire_dut: with its timer a 2400 would send a pulse at every reading, it cannot send one")
        if setup.with_marker:
            raise OutOfRangeError(f"{name}: a 2400 has no input for a marker column")
        if setup.count != 1:
            raise OutOfRangeError(f"{name}: {setup.count} triggers for one arming, one fills the buffer")
        within(f"{name}: points", setup.points, low=1, high=LARGEST_BUFFER, unit="readings", limit="p. 18-115")
        limit = "points of the capture"
        within(f"{name}: pre-trigger", setup.pretrigger_points, low=0, high=setup.points - 1, unit="points", limit=limit)
        within(f"{name}: interval", setup.dt_s, low=TIMER_RANGE_S[0], high=TIMER_RANGE_S[1], unit="s", limit="arm timer, p. 14-8")
        if abs(setup.dt_s / TIMER_STEP_S - round(setup.dt_s / TIMER_STEP_S)) > 1e-6:
            raise OutOfRangeError(f"{name}: interval is {setup.dt_s:g} s, the timer takes whole milliseconds")

    def _plc(self, dt_s: float, line_hz: float, *, functions: int) -> float:
        """The longest integration time, in whole hundredths of a line cycle, whose readings fit into the interval."""
        free_s = dt_s - LATENCY_S - OVERHEAD_S[functions] - functions * CONVERSION_S
        plc = math.floor(free_s * line_hz / functions / PLC_STEP + 1e-6) * PLC_STEP
        if plc < PLC_RANGE[0]:
            raise OutOfRangeError(
                f"{self._smu.name}: {functions} readings of {PLC_RANGE[0]} PLC take longer than {dt_s:g} s (appendix A of its manual)"
            )
        return round(min(plc, PLC_RANGE[1]), 2)

    def _record(self, setup: CaptureSetup, range_a: float, aperture_s: float, plc: float) -> Acquisition:
        voltage = self._smu.options.voltage_readback
        return Acquisition(
            dt_ns=round(setup.dt_s * 1e9),
            columns=("current", "voltage") if voltage else ("current",),
            aperture_s=aperture_s,
            current_range_a=range_a,
            voltage_range_v=setup.voltage_range_v if voltage else None,
            remote_sense=self._smu.boolean(":SYST:RSEN?", "the sense mode"),
            points=setup.points,
            pretrigger_points=setup.pretrigger_points,
            settings={
                "acquisition": "timed buffer, with gaps between the apertures",
                "trigger": "bus, pretrigger_points after the start",
                "nplc": scpi.number(plc),
                "auto_zero": "once",
                "filter": "none",
                **self._smu.clamp_settings(range_a),
            },
        )

    def arm(self) -> None:
        """An emptied buffer that waits for the first reading. Raises RefusedError, ReadBackError."""
        capture = self._configured()
        self.stop()
        self._smu.select(voltage=capture.voltage)  # a quick reading in between has selected both
        self._smu.link.write(":ARM:SOUR TIM")
        self._smu.set_count(":ARM:COUN", capture.points, "the count of the arm layer")
        self._smu.set_word(":TRAC:FEED:CONT", "NEXT", "the buffer's control")  # p. 18-115
        self._smu.check_errors("its arming")
        if not self._smu.boolean(":OUTP?", "the output state"):
            raise RefusedError(f"{self._smu.name}: a capture needs its output on: a 2400 measures nothing with it off (803, p. 18-55)")

    def fire(self) -> None:
        capture = self._configured()
        self._smu.link.write(":INIT")  # p. 18-116
        self._due_s = self._clock.now_s() + capture.points * capture.dt_s

    def captured(self) -> bool:
        """Asks nothing before the last reading is due; then waits for what is queued behind it."""
        if self._due_s is None or self._clock.now_s() < self._due_s:
            return False
        return self._smu.ask("*OPC?", "the end of its capture").strip().lstrip("+") == "1"  # p. 16-3

    def fetch(self) -> tuple[Block, ...]:
        """Raises LostSamplesError, ReadBackError, RefusedError."""
        capture = self._configured()
        received = round(self._smu.number(":TRAC:POIN:ACT?", "the buffer's readings"))  # p. 18-115
        require_points(self._smu.name, "the capture", expected=capture.points, received=received)
        table = self._table(capture.points)
        self._smu.check_errors("its capture")
        status = words(table[:, 4], self._smu.name)
        self._check_words(status, capture)
        self._check_stamps(table[:, 3].astype(np.float64), capture)
        return (self._block(table, status, capture),)

    def _table(self, points: int) -> NDArray[np.float32]:
        """[points, 5]: the block has no length (`#0`), it is as long as the points and the elements say."""
        smu, count = self._smu, points * len(ELEMENTS)
        smu.link.write(":FORM:DATA SRE")  # p. 18-48; before the byte order, which is ignored while the format is ASCII (p. 18-54)
        try:
            if smu.ask(":FORM:DATA?", "the data format").upper().startswith("ASC"):
                smu.check_errors("its binary format")
                raise ReadBackError(f"{smu.name}: data format was set to SRE and reads back ASC")
            smu.set_word(":FORM:BORD", "SWAP", "the byte order")  # p. 18-54
            with scpi.explained(smu.link, smu.name, "a read of its buffer", ":SYST:ERR?"):
                # p. 18-114
                block = smu.link.query_indefinite_block(":TRAC:DATA?", count, "<f4", timeout_s=smu.options.timeout_s + count * 4 / 1e4)
        finally:
            smu.link.write(":FORM:DATA ASC")
        table: NDArray[np.float32] = np.asarray(block, np.float32).reshape(points, len(ELEMENTS))
        return table

    def _check_words(self, status: NDArray[np.int64], capture: _Capture) -> None:
        wanted = V_SOUR | I_MEAS | (V_MEAS if capture.voltage else 0)
        if np.any(status & wanted != wanted):
            raise ReadBackError(f"{self._smu.name}: its status words do not say that voltage is sourced and what was selected is measured")

    def _check_stamps(self, at_s: NDArray[np.float64], capture: _Capture) -> None:
        """Each reading at its expiry of the timer, as well as timestamps of 1 ms can say."""
        due_s = np.arange(capture.points) * capture.dt_s
        off_s = np.abs(at_s - at_s[0] - due_s) - STAMP_SHARE * due_s
        if not np.all(off_s < 2 * STAMP_S + capture.dt_s / 2):
            first = int(np.argmax(~(off_s < 2 * STAMP_S + capture.dt_s / 2)))
            missed = max(1, round((at_s[-1] - at_s[0]) / capture.dt_s) + 1 - capture.points)
            raise LostSamplesError(
                f"{self._smu.name}: reading {first} was taken {at_s[first] - at_s[0]:.3f} s after the first, {due_s[first]:.3f} s was due: "
                "readings take longer than the timer's interval",
                expected=capture.points + missed,
                received=capture.points,
            )

    def _block(self, table: NDArray[np.float32], status: NDArray[np.int64], capture: _Capture) -> Block:
        current, bad_i = scpi.without_sentinels(np.ascontiguousarray(table[:, 1]))
        voltage, bad_v = scpi.without_sentinels(np.ascontiguousarray(table[:, 0])) if capture.voltage else (None, False)
        flags = BlockFlag.NONE
        if bad_i or bad_v or np.any(status & OVERFLOW):
            flags |= BlockFlag.OVER_RANGE
        if np.any(status & LIMITED):
            flags |= BlockFlag.CLIPPED  # what was measured is a limit
        return Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, voltage, flags=flags)

    def _configured(self) -> _Capture:
        return configured(self._capture, self._smu.name, "capture")
