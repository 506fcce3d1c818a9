"""Timed readings of a 2600B into its reading buffers: started by the bus, by an edge of the DUT, or firing the DUT.

Sources as in `_k2600b`. One capture is one measure action of `measure.count` readings, `measure.interval` apart ([B] p. 7-202, 7-207):

- started by the bus, it is one overlapped measurement ([C] p. 7-225);
- an edge of the DUT, or `*TRG` with `fire_dut`, starts it through the arm layer of the trigger model ([F] p. 9-255);
- with `fire_dut` a timer that the arm layer starts drives the digital line as long after the first reading as the pre-trigger lasts.

The instrument keeps no readings from before an edge. A reading that cannot start in time starts late, and the instrument says nothing
([B] p. 7-207), hence the timestamps are read as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import configured, require_points, same, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._k2600b import MEASURE_SPAN, NPLC_RANGE, Smu
from labd_instruments.errors import LostSamplesError, OutOfRangeError, ReadBackError, RefusedError, SentinelError

SHORTEST_S = 50e-6  # [S] p. 8: 20000 readings/s to memory at 0.001 PLC, from 1 mA up
LONGEST_S = 1.0  # of measure.interval: 2606B-901-01 Rev. C p. 15-221 (same commands)
LARGEST = 60_000  # [S] p. 11: more than that many readings with their timestamps
CHUNK = 10_000  # readings asked for at a time: the longest answer is in no page at hand
FIRE_PULSE_S = 100e-6
LATE = 0.5  # intervals by which a reading may start off its instant
STAMP_S = 2e-6  # [S] p. 11: timestamps are whole microseconds
EDGES = {"rising": "TRIG_RISINGA", "falling": "TRIG_FALLING", "either": "TRIG_EITHER"}  # [A] p. 19-33
MARKS = {0x02: "over temperature", 0x04: "taken with auto range", 0x40: "taken while the source was limited"}  # [C] p. 7-34


@dataclass(frozen=True, slots=True)
class _Capture:
    """What is configured. by_model: the trigger model starts it."""

    dt_ns: int
    points: int
    pretrigger: int
    range_a: float
    aperture_s: float
    fire_dut: bool
    by_model: bool


class TimedCapture:
    """Buffered readings of one channel."""

    def __init__(self, smu: Smu) -> None:
        self._smu = smu
        self._capture: _Capture | None = None
        self._started = False

    def forget(self) -> None:
        """After a reset nothing is configured."""
        self._capture, self._started = None, False

    def configure(self, setup: CaptureSetup) -> Acquisition:
        self._refuse(setup)
        smu, points = self._smu, setup.points
        smu.call("abort()")  # ends what an earlier capture may have left waiting
        range_a = smu.fix_current_range(setup.current_range_a)
        share = 2 if smu.options.measure_voltage else 1  # no page at hand says that current and voltage are read at once
        longest_s = NPLC_RANGE[1] / smu.line_hz
        aperture_s = smu.fix_aperture(min((setup.dt_s - self._overhead_s()) / share, longest_s))
        smu.zero()
        smu.set("measure.delay", 0.0, "the measure delay")  # [B] p. 7-202
        smu.set("measure.interval", setup.dt_s, "the interval of readings", tolerance=1e-6)  # [B] p. 7-207
        smu.set("measure.count", points, "the number of readings")  # [B] p. 7-202
        self._prepare_buffers()
        if smu.options.fire_line is not None:
            self._stimulus(f"digio.trigger[{smu.options.fire_line}]", "0")  # an earlier capture may have left it firing the DUT
        by_model = setup.fire_dut or smu.options.trigger_line is not None
        if by_model:
            self._load_model(setup)
        smu.check_errors("the set-up of its capture")
        dt_ns = round(setup.dt_s * 1e9)
        self._capture = _Capture(dt_ns, points, setup.pretrigger_points, range_a, aperture_s, setup.fire_dut, by_model)
        self._started = False
        return self._record(self._capture)

    def interval_s(self, wanted_s: float) -> float:
        """Whole microseconds."""
        return intervals.in_steps(wanted_s, low_s=self._shortest_s(), high_s=LONGEST_S, step_s=1e-6)

    def _shortest_s(self) -> float:
        """The overhead and the shortest integration of each function."""
        smu = self._smu
        return self._overhead_s() + NPLC_RANGE[0] / smu.line_hz * (2 if smu.options.measure_voltage else 1)

    def _what(self, quantity: str) -> str:
        return f"{self._smu.name}: {quantity}"

    def _overhead_s(self) -> float:
        """What a reading takes besides its integration, by the highest rate ([S] p. 8)."""
        return SHORTEST_S - NPLC_RANGE[0] / self._smu.line_hz

    def _refuse(self, setup: CaptureSetup) -> None:
        smu = self._smu
        if setup.count != 1:
            raise OutOfRangeError(f"{self._what('captures')}: {setup.count} triggers for one arming, this driver serves 1")
        if setup.with_marker:
            raise OutOfRangeError(f"{self._what('captures')}: a 2600B has no input for a marker column; wire the marker to trigger_line")
        if setup.fire_dut and smu.options.fire_line is None:
            raise OutOfRangeError(f"{self._what('fire_dut')} needs option fire_line, the digital line wired to the DUT")
        if setup.pretrigger_points and not setup.fire_dut:
            raise OutOfRangeError(f"{self._what('pre-trigger')} is {setup.pretrigger_points} points; without fire_dut a 2600B has none")
        within(self._what("points"), setup.points, low=1, high=LARGEST, unit="readings", limit="SPEC-2602B p. 11")
        within(
            self._what("pre-trigger"), setup.pretrigger_points, low=0, high=setup.points - 1, unit="points", limit="points of the capture"
        )
        limit = "SPEC-2602B p. 8: 20000 readings/s at 0.001 PLC"
        within(self._what("sample interval"), setup.dt_s, low=self._shortest_s(), high=LONGEST_S, unit="s", limit=limit)
        if abs(setup.dt_s * 1e6 - round(setup.dt_s * 1e6)) > 1e-6:
            raise OutOfRangeError(f"{self._what('sample interval')} is {setup.dt_s:g} s, which is no whole number of microseconds")

    def _buffers(self) -> tuple[str, ...]:
        node = self._smu.node
        return (f"{node}.nvbuffer1", f"{node}.nvbuffer2") if self._smu.options.measure_voltage else (f"{node}.nvbuffer1",)

    def _prepare_buffers(self) -> None:
        for buffer in self._buffers():
            self._smu.write(f"{buffer}.clear()")  # its settings change only while it is empty ([F] p. 9-23)
            for setting, value in (("appendmode", 0), ("collectsourcevalues", 0), ("collecttimestamps", 1)):
                self._smu.write(f"{buffer}.{setting} = {value}")  # [B] p. 7-15, [F] p. 9-23
                got = self._smu.number(f"{buffer}.{setting}", f"{setting} of {buffer}")
                same(f"{self._smu.name}: {setting} of {buffer}", value, got, tolerance=0.0)

    def _load_model(self, setup: CaptureSetup) -> None:
        smu, options, node = self._smu, self._smu.options, self._smu.node
        kind = "iv" if options.measure_voltage else "i"
        smu.call(f"trigger.measure.{kind}({', '.join(self._buffers())})")  # [F] p. 9-268
        smu.choose("trigger.measure.action", "ENABLE", 1, "the measure action")  # [F] p. 9-264
        smu.choose("trigger.source.action", "DISABLE", 0, "the source action")  # [F] p. 9-270
        smu.set("trigger.count", 1, "the trigger count")  # [C] p. 7-254
        self._stimulus(f"{node}.trigger.measure", "0")  # [F] p. 9-267: bypassed
        if not setup.fire_dut:
            line = f"digio.trigger[{options.trigger_line}]"
            smu.write(f"{line}.mode = digio.{EDGES[options.trigger_edge]}")  # [B] p. 7-52
            self._stimulus(f"{node}.trigger.arm", f"{line}.EVENT_ID")  # [F] p. 9-255
            return
        fire = f"digio.trigger[{options.fire_line}]"
        armed = f"{node}.trigger.ARMED_EVENT_ID"  # [F] p. 9-256
        smu.write(f"{fire}.mode = digio.TRIG_RISINGM")  # a high pulse, [A] p. 19-33
        smu.write(f"{fire}.pulsewidth = {scpi.number(FIRE_PULSE_S)}")  # [C] p. 7-59
        if setup.pretrigger_points:
            timer = smu.timer
            delay_s = setup.pretrigger_points * setup.dt_s
            smu.write(f"{timer}.delay = {scpi.number(delay_s)}")  # [A] p. 19-208
            same(self._what("the delay of its timer"), delay_s, smu.number(f"{timer}.delay", "the timer"), tolerance=1e-6)
            smu.write(f"{timer}.count = 1")  # [A] p. 19-208
            smu.write(f"{timer}.passthrough = false")  # [A] p. 19-209
            self._stimulus(timer, armed)  # [A] p. 19-210
            armed = f"{timer}.EVENT_ID"
        self._stimulus(fire, armed)  # [C] p. 7-61
        self._stimulus(f"{node}.trigger.arm", "trigger.EVENT_ID")  # what *TRG makes ([B] p. D-4)

    def _stimulus(self, thing: str, event: str) -> None:
        """Let an event start something, by its name and read back. Raises ReadBackError."""
        smu = self._smu
        smu.write(f"{thing}.stimulus = {event}")
        got, wanted = (round(float(word)) for word in smu.ask(f"{thing}.stimulus, {event}", f"the stimulus of {thing}", 2))
        if got != wanted:
            raise ReadBackError(f"{smu.name}: the stimulus of {thing} was set to {event} ({wanted}) and reads back {got}")

    def _record(self, capture: _Capture) -> Acquisition:
        smu = self._smu
        line = smu.options.trigger_line
        trigger = "fires the DUT by a timer" if capture.fire_dut else "bus" if line is None else f"line {line}"
        voltage = smu.options.measure_voltage
        return Acquisition(
            dt_ns=capture.dt_ns,
            columns=("current", "voltage") if voltage else ("current",),
            aperture_s=capture.aperture_s,
            current_range_a=capture.range_a,
            voltage_range_v=smu.voltage_range() if voltage else None,
            remote_sense=smu.remote_sense(),
            points=capture.points,
            pretrigger_points=capture.pretrigger,
            settings={
                "acquisition": "timed readings",
                "trigger": f"{trigger}, latency to the first reading not specified",
                "nplc": scpi.number(capture.aperture_s * smu.line_hz),
                "auto_zero": "once, before the capture",
                "filter": "none",
                "pace": "timestamp of every reading checked",
            },
        )

    def arm(self) -> None:
        """Raises RefusedError when the trigger model does not start."""
        capture = self._captured()
        for buffer in self._buffers():
            self._smu.write(f"{buffer}.clear()")
        self._started = False
        if not capture.by_model:
            return
        self._smu.call("trigger.initiate()")  # [F] p. 9-263: clears the event detectors, so no edge of before counts
        self._smu.check_errors("its arming")
        if not self._running() and self._held(self._buffers()[0]) == 0:
            raise RefusedError(f"{self._smu.name}: the trigger model does not run after its start")
        self._started = True

    def fire(self) -> None:
        capture = self._captured()
        if capture.fire_dut:
            self._smu.write("*TRG")
            return
        if capture.by_model:
            line = self._smu.options.trigger_line
            raise OutOfRangeError(f"{self._smu.name}: this capture waits for the DUT's edge on line {line}, the bus cannot trigger it")
        kind = "overlappediv" if self._smu.options.measure_voltage else "overlappedi"
        self._smu.call(f"measure.{kind}({', '.join(self._buffers())})")  # [C] p. 7-225
        self._started = True

    def captured(self) -> bool:
        """What ended early is captured too: `fetch` counts."""
        self._captured()
        return self._started and not self._running()

    def _running(self) -> bool:
        registers = "status.operation.sweeping.condition, status.operation.measuring.condition"  # [F] p. 9-327, 9-325
        words = self._smu.ask(registers, "what it is doing", 2)
        return any(scpi.integers(word, f"{self._smu.name}: an operation register")[0] & self._smu.bit for word in words)

    def _held(self, buffer: str) -> int:
        return round(self._smu.number(f"{buffer}.n", f"the readings in {buffer}"))

    def fetch(self) -> tuple[Block, ...]:
        """Raises LostSamplesError (readings missing, or late), SentinelError (overflow, or a reading that its status discredits)."""
        capture, smu, buffers = self._captured(), self._smu, self._buffers()
        smu.check_errors("its capture")
        for buffer in buffers:
            require_points(smu.name, buffer, expected=capture.points, received=self._held(buffer))
        self._set_format("REAL64", 3)
        self._check_pace(capture, self._column(f"{buffers[0]}.timestamps", capture.points, "<f8"))
        self._set_format("REAL32", 2)
        columns = [self._clean(f"{buffer}.readings", capture.points) for buffer in buffers]
        for buffer in buffers:
            self._check_status(self._column(f"{buffer}.statuses", capture.points, "<f4"))
        smu.check_errors("the read of its buffers")
        current = columns[0]
        clipped = bool(np.any(np.abs(current) >= MEASURE_SPAN * capture.range_a * (1 - 1e-6)))
        flags = BlockFlag.CLIPPED if clipped else BlockFlag.NONE
        voltage = columns[1] if len(columns) > 1 else None
        return (Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, voltage, flags=flags),)

    def _set_format(self, constant: str, value: int) -> None:
        """Both settings are the whole instrument's: another session may have left anything. Raises ReadBackError."""
        smu = self._smu
        smu.write(f"format.data = format.{constant}")  # [F] p. 9-102
        smu.write("format.byteorder = format.LITTLEENDIAN")  # [F] p. 9-101
        data, order = (round(float(word)) for word in smu.ask("format.data, format.byteorder", "the format of blocks", 2))
        if (data, order) != (value, 1):
            raise ReadBackError(f"{smu.name}: blocks were set to {constant}, little endian ({value}, 1) and read back {data}, {order}")

    def _column(self, subtable: str, points: int, dtype: str) -> NDArray[Any]:
        """One subtable of a buffer: `#0`, values, line feed ([F] p. 9-102)."""
        return np.concatenate([self._piece(subtable, k, min(k + CHUNK, points), dtype) for k in range(0, points, CHUNK)])

    def _piece(self, subtable: str, start: int, end: int, dtype: str) -> NDArray[Any]:
        count = end - start
        command = f"printbuffer({start + 1}, {end}, {subtable})"  # [C] p. 7-167
        return self._smu.link.query_indefinite_block(command, count, dtype, timeout_s=self._smu.options.timeout_s + count * 8 / 1e6)

    def _clean(self, subtable: str, points: int) -> NDArray[np.float32]:
        samples, bad = scpi.without_sentinels(self._column(subtable, points, "<f4"))
        if bad:
            held = int(np.isnan(samples).sum())
            raise SentinelError(f"{self._smu.name}: {held} of {points} readings in {subtable} are its mark for overflow (9.91e37)")
        return samples

    def _check_status(self, statuses: NDArray[Any]) -> None:
        bits = np.asarray(statuses, np.int64)
        for mask, meaning in MARKS.items():
            held = int(np.count_nonzero(bits & mask))
            if held:
                raise SentinelError(f"{self._smu.name}: {held} of {len(bits)} readings are marked: {meaning}")

    def _check_pace(self, capture: _Capture, stamps_s: NDArray[Any]) -> None:
        dt_s = capture.dt_ns * 1e-9
        off_s = np.abs(stamps_s - stamps_s[0] - np.arange(len(stamps_s)) * dt_s)
        if not float(off_s.max()) <= LATE * dt_s + STAMP_S:
            due = round(float(stamps_s[-1] - stamps_s[0]) / dt_s) + 1
            expected = max(due, capture.points + 1)
            raise LostSamplesError(
                f"{self._smu.name}: readings start up to {off_s.max():.3g} s off their interval of {dt_s:g} s: it does not keep the pace",
                expected=expected,
                received=capture.points,
            )

    def _captured(self) -> _Capture:
        return configured(self._capture, self._smu.name, "capture")
