"""Captures around a trigger by integrated readings, for the members of the 2450 family without a digitizer.

Pages as in `_k2450` and `_k2450_models`. The trigger model is built of single-measurement blocks, which every firmware has (2450 p. 6-144:
a block of 2013 takes one reading and no count), and counted branches (p. 6-187: the count is how often the branch is reached):

- the DUT or the bus triggers: the pre-trigger readings, then readings into a circular buffer until the event (p. 6-190), then the rest.
  The trigger lies in the last reading before it or in the time between that and the next, so its place is known to one interval.
- the SMU fires the DUT (`fire_dut`): a wait for `*TRG`, the pre-trigger readings, a notify block whose event drives the digital line,
  the rest.

How long a reading takes besides its integration is in no page at hand, so the interval is not set but measured: from the time stamps of
readings taken at the set-up by the same blocks. Each capture is then held against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import configured, same, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._k2450 import BUFFER, NPLC_RANGE, Smu
from labd_instruments.drivers._k2450_trigger import SMALLEST_BUFFER, TriggerModel, refuse
from labd_instruments.errors import LostSamplesError, ReadBackError, RefusedError, ReplyError

TRIAL_S = 0.2  # of readings at the set-up, from whose time stamps the interval is taken ...
MOST_TRIALS = 200  # ... of these at most
GAP = 1.5  # intervals: whatever lies further apart has something missing in between
STRAY = 0.01  # of the interval: how far the mean of a capture may be off the one of the set-up
UNSEEN = 2  # readings beyond the buffer's before an event may end the loop: the first of the loop is awaited by `arm`


@dataclass(frozen=True, slots=True)
class _Capture:
    """What the trigger model is loaded with. interval_s: measured."""

    points: int
    pretrigger: int
    range_a: float
    fire_dut: bool
    voltage: bool
    interval_s: float

    @property
    def dt_ns(self) -> int:
        return round(self.interval_s * 1e9)


class MeasuredCapture:
    """The measure function of one instrument under its trigger model."""

    def __init__(self, smu: Smu, line_hz: Callable[[], float]) -> None:
        self._smu = smu
        self._line_hz = line_hz
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
        """dt_s is the time that each reading integrates; the interval is longer, and as measured.

        Raises OutOfRangeError before anything is sent, ReadBackError, RefusedError, LostSamplesError when the trial readings are uneven.
        """
        smu, line_hz = self._smu, self._line_hz()
        nplc = setup.dt_s * line_hz
        what = f"{smu.name}: aperture of a {smu.model_name}, which has no digitizer,"
        within(what, nplc, low=NPLC_RANGE[0], high=NPLC_RANGE[1], unit="power line cycles", limit="2450 manual p. 6-48")
        refuse(smu, setup, least_before=0)
        range_a = smu.range_for(setup.current_range_a)
        self._capture = None
        smu.link.write(":ABOR")
        nplc = smu.measure_current(range_a, nplc, voltage=smu.options.voltage_readback)
        smu.link.write(":SENS:AZER:ONCE")  # [Q]; there is a reference for each aperture [T], hence after it
        self._make_buffer(setup.points, "ONCE" if setup.fire_dut else "CONT")
        smu.check_errors("the set-up of its readings")
        limits = smu.clamp_settings(range_a)  # before a reading is taken: the range may have moved the limit
        interval_s, trials = self._interval(setup, nplc / line_hz)
        self._load(setup)
        smu.check_errors("its trigger model")
        self._capture = _Capture(setup.points, setup.pretrigger_points, range_a, setup.fire_dut, smu.options.voltage_readback, interval_s)
        return self._record(self._capture, nplc, line_hz, {"interval": f"mean of {trials} time stamps at the set-up", **limits})

    def interval_s(self, wanted_s: float) -> float:
        """The time that each reading integrates; the interval is longer by what the instrument takes besides, which only it can tell."""
        line_hz = self._line_hz()
        return intervals.between(wanted_s, low_s=NPLC_RANGE[0] / line_hz, high_s=NPLC_RANGE[1] / line_hz)

    def _make_buffer(self, points: int, fill: str) -> None:
        self._model.make_buffer(points, fill)
        got = self._smu.number(f":TRAC:POIN? {BUFFER}", "the buffer's size")  # [Q]
        same(f"{self._smu.name}: size of its buffer", points, got, tolerance=0.5)

    def _interval(self, setup: CaptureSetup, aperture_s: float) -> tuple[float, int]:
        """Measured, and of how many readings."""
        trials = max(SMALLEST_BUFFER, min(setup.points, MOST_TRIALS, round(TRIAL_S / aperture_s)))
        self._blocks(f"MEAS {{}},{BUFFER}", f"BRAN:COUN {{}},{trials},2")
        self._smu.link.write(":INIT")  # not seen to run: it may have ended before the instrument next looks (p. 6-234)
        longer_s = 4 * trials * aperture_s
        self._model.until(lambda: self._model.filled() >= trials, "the trial readings do not come", longer_s=longer_s)
        self._model.until(self._model.ended, "the trial readings do not end")
        stamps = self._model.readings(("REL",), points=trials, room=setup.points, most=trials, double=True)[:, 0]
        interval_s = float((stamps[-1] - stamps[0]) / (trials - 1))
        if not interval_s >= aperture_s * (1 - STRAY):
            raise ReadBackError(f"{self._smu.name}: its readings are {interval_s:g} s apart, each integrates {aperture_s:g} s")
        self._even(stamps, interval_s)
        return interval_s, trials

    def _even(self, stamps: NDArray[Any], interval_s: float) -> None:
        """Raises LostSamplesError where two readings are too far apart, ReplyError where time goes back."""
        apart = np.diff(stamps)
        widest = int(np.argmax(apart))
        if apart[widest] > GAP * interval_s:
            text = f"{self._smu.name}: readings {widest + 1} and {widest + 2} are {apart[widest]:g} s apart, {interval_s:g} s were due"
            raise LostSamplesError(text, expected=len(stamps) - 1 + round(apart[widest] / interval_s), received=len(stamps))
        if apart.min() <= 0:
            raise ReplyError(f"{self._smu.name}: the time stamps of its readings do not ascend")

    def _blocks(self, *blocks: str) -> None:
        """A trigger model that first clears the buffer; `{}` in a block stands for its number."""
        link = self._smu.link
        link.write(':TRIG:LOAD "Empty"')  # p. 6-225
        link.write(f":TRIG:BLOC:BUFF:CLE 1,{BUFFER}")  # p. 6-202
        for number, block in enumerate(blocks, 2):
            link.write(f":TRIG:BLOC:{block.format(number)}")

    def _load(self, setup: CaptureSetup) -> None:
        measure = f"MEAS {{}},{BUFFER}"  # 2450 p. 6-144
        before, after = setup.pretrigger_points, setup.points - setup.pretrigger_points
        if not setup.fire_dut:
            event = self._model.event()
            readings = (measure, f"BRAN:COUN {{}},{max(before, 1)},2")  # p. 6-187
            until = (measure, f"BRAN:EVEN {{}},{event},7", "BRAN:ALW {},4")  # p. 6-190, 2470 p. 12-146
            self._blocks(*readings, *until, measure, f"BRAN:COUN {{}},{after},7")
            return
        self._model.wire_output()
        ahead = (measure, f"BRAN:COUN {{}},{before},3") if before else ()
        first = 4 + len(ahead)
        self._blocks("WAIT {},COMM,ENT", *ahead, "NOT {},1", measure, f"BRAN:COUN {{}},{after},{first}")  # p. 6-209, [D]

    def _record(self, capture: _Capture, nplc: float, line_hz: float, settings: dict[str, str]) -> Acquisition:
        line = self._smu.options.trigger_line
        source = f"line {line}" if line else "bus"
        trigger = "fires the DUT between two readings" if capture.fire_dut else f"{source}, place known to one interval"
        return Acquisition(
            dt_ns=capture.dt_ns,
            columns=("current", "voltage") if capture.voltage else ("current",),
            aperture_s=nplc / line_hz,
            current_range_a=capture.range_a,
            voltage_range_v=self._smu.source_range() if capture.voltage else None,
            remote_sense=self._smu.remote_sense(":SENS:CURR"),
            points=capture.points,
            pretrigger_points=capture.pretrigger,
            settings={
                "acquisition": "measure, one reading after the other",
                "nplc": scpi.number(nplc),
                "auto_zero": "once, at the set-up",
                "filter": "none",
                "trigger": trigger,
                **settings,
            },
        )

    def arm(self) -> None:
        """Raises LinkTimeoutError when the trigger model does not get to where it waits, RefusedError when it failed."""
        capture = self._captured()
        self._smu.link.write(':SENS:FUNC "CURR"')  # a quick reading in between has selected another function
        self._model.start()
        if capture.fire_dut:
            return
        ready = min(max(capture.pretrigger, 1) + 1, capture.points)  # one of the loop: from now on the event counts
        longer_s = 2 * ready * capture.interval_s
        self._model.until(lambda: self._model.filled() >= ready, "the pre-trigger readings do not come", longer_s=longer_s)

    def fire(self) -> None:
        self._model.fire(fire_dut=self._captured().fire_dut)

    def captured(self) -> bool:
        return self._model.ended()

    def fetch(self) -> tuple[Block, ...]:
        """Raises LostSamplesError for readings that are missing or not where they were due."""
        capture = self._captured()
        elements = ("READ", "REL", "SOUR") if capture.voltage else ("READ", "REL")
        table = self._model.readings(elements, points=capture.points, room=capture.points, most=capture.points, double=True)
        self._smu.check_errors("its capture")
        self._check_times(capture, table[:, 1])
        current, bad_i = scpi.without_sentinels(np.ascontiguousarray(table[:, 0], np.float32))
        voltage, bad_v = scpi.without_sentinels(np.ascontiguousarray(table[:, 2], np.float32)) if capture.voltage else (None, False)
        flags = BlockFlag.OVER_RANGE if bad_i or bad_v else BlockFlag.NONE
        if bool(np.any(np.abs(current) >= capture.range_a)):
            flags |= BlockFlag.CLIPPED
        return (Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, voltage, flags=flags),)

    def _check_times(self, capture: _Capture, stamps: NDArray[Any]) -> None:
        self._even(stamps, capture.interval_s)
        mean_s = float((stamps[-1] - stamps[0]) / (len(stamps) - 1))
        same(f"{self._smu.name}: interval of its readings", capture.interval_s, mean_s, tolerance=STRAY * capture.interval_s)
        # stamps count from the first reading since the buffer was cleared, so the first one tells how many the ring has dropped
        dropped = round(float(stamps[0]) / capture.interval_s)
        if not capture.fire_dut and dropped < UNSEEN + (capture.pretrigger == 0):
            raise RefusedError(f"{self._smu.name}: an event came before it was armed; what the capture holds is not around its trigger")

    def _captured(self) -> _Capture:
        return configured(self._capture, self._smu.name, "capture")
