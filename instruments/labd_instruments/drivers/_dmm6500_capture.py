"""Digitizing current around a trigger with the trigger model of a DMM6500: one trigger an arming, pre-trigger readings included.

Sources as in `_dmm6500`. The model is built block by block, in the order in which the instrument itself expands its loop-until-event
template [M]: clear, endless readings behind a wait, and a count of readings that takes over when the wait ends. Readings before the
trigger stay in the buffer because it is a ring of exactly `points` readings. Built so, its block numbers are known, the pre-trigger is
no percentage, and no notify block follows, which would drive EXTERNAL TRIGGER OUT by default [M].

`fire_dut`: one *TRG ends the wait and drives EXTERNAL TRIGGER OUT. The instrument gives no figure for the time between the two.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import configured, require_points, within
from labd_instruments.contract import Acquisition, CaptureSetup
from labd_instruments.drivers._dmm6500 import Dmm
from labd_instruments.errors import LinkTimeoutError, LostSamplesError, OutOfRangeError, RefusedError, ReplyError, SentinelError

BUFFER = '"defbuffer1"'
ROOT = ":SENS:DIG:CURR"
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 1_000_000  # [N p. 13-129]
SMALLEST_BUFFER = 10  # [N p. 13-193]
LARGEST_BUFFER = 6_000_000  # [P], and the manual's bufferVar.capacity; the instrument refuses what other buffers leave no room for
WAIT_BLOCK = 3
TIMEBASE = 1e-3  # of the span: how far the instrument's own time stamps may be off before readings count as missing
RUNNING = ("RUNNING", "WAITING")  # [N p. 13-271]
ENDED = ("IDLE",)
BROKEN = ("FAILED", "ABORTED", "ABORTING", "EMPTY", "BUILDING", "PAUSED")


@dataclass(frozen=True, slots=True)
class _Capture:
    """What the trigger model is loaded with."""

    rate_hz: int
    points: int
    pretrigger: int
    range_a: float
    trigger: str

    @property
    def dt_ns(self) -> int:
        return 1_000_000_000 // self.rate_hz


class TriggeredDigitizer:
    """The digitize-current function of one instrument under its trigger model."""

    def __init__(self, dmm: Dmm) -> None:
        self._dmm = dmm
        self._capture: _Capture | None = None

    def forget(self) -> None:
        """After a reset nothing is configured."""
        self._capture = None

    def configure(self, setup: CaptureSetup) -> Acquisition:
        """Raises OutOfRangeError before anything is sent, ReadBackError, RefusedError."""
        dmm = self._dmm
        self._refuse(setup)
        rate_hz = self._rate(setup.dt_s)
        self._capture = None
        dmm.link.write(":ABOR")  # [N p. 13-45]
        dmm.link.write(':SENS:DIG:FUNC "CURR"')  # [N p. 13-150, E]
        dmm.is_word(":SENS:DIG:FUNC?", "CURR", "the digitize function")
        range_a = dmm.put_range(ROOT, setup.current_range_a)
        dmm.put(f"{ROOT}:SRAT", rate_hz, "the sample rate")  # [N p. 13-129]: before the aperture
        aperture_s = dmm.put(f"{ROOT}:APER", 1 / rate_hz, "the aperture")  # [N p. 13-83]: whole microseconds, nothing falls between
        dmm.switched_off(f"{ROOT}:REL:STAT", "the relative offset")  # [N p. 13-116]
        self._make_ring(setup.points)
        trigger = self._wire(setup)
        self._load(trigger, setup.points - setup.pretrigger_points)
        dmm.check_errors("the set-up of its digitizer")
        self._capture = _Capture(rate_hz, setup.points, setup.pretrigger_points, range_a, trigger)
        return self._record(self._capture, setup, aperture_s)

    def _refuse(self, setup: CaptureSetup) -> None:
        name, options, what = self._dmm.name, self._dmm.options, self._dmm.what
        if setup.count != 1:
            raise OutOfRangeError(f"{what('captures')}: {setup.count} triggers for one arming, the trigger model serves 1")
        if setup.with_marker:
            raise OutOfRangeError(f"{name}: it has no input for a marker column; wire the marker to EXTERNAL TRIGGER IN")
        if setup.fire_dut and not options.fire_output:
            raise OutOfRangeError(f"{name}: fire_dut needs option fire_output, EXTERNAL TRIGGER OUT wired to the DUT")
        within(what("points"), setup.points, low=SMALLEST_BUFFER, high=LARGEST_BUFFER, unit="readings", limit="the reading buffer")
        limit = "points of the capture"
        within(what("pre-trigger"), setup.pretrigger_points, low=0, high=setup.points - 1, unit="points", limit=limit)

    def interval_s(self, wanted_s: float) -> float:
        """Whole microseconds, which the aperture takes, of whole readings a second."""
        longest_us, second_us = 1_000_000 // LOWEST_RATE_HZ, 1_000_000
        return intervals.at_or_above(wanted_s, (us * 1e-6 for us in range(1, longest_us + 1) if second_us % us == 0))

    def _rate(self, dt_s: float) -> int:
        what = self._dmm.what("sample rate")
        rate_hz = round(1.0 / dt_s) if dt_s > 0 else 0
        within(what, rate_hz, low=LOWEST_RATE_HZ, high=HIGHEST_RATE_HZ, unit="readings/s", limit="DMM6500-901-01 p. 13-129")
        if 1_000_000 % rate_hz or abs(rate_hz * dt_s - 1) > 1e-6:
            raise OutOfRangeError(f"{what}: an interval of {dt_s * 1e6:.6g} us is not whole microseconds, as the aperture is that fills it")
        return rate_hz

    def _make_ring(self, points: int) -> None:
        self._dmm.link.write(f":TRAC:POIN {points},{BUFFER}")  # [N p. 13-193, E] clears it
        self._dmm.link.write(f":TRAC:FILL:MODE CONT,{BUFFER}")  # [N p. 13-186, E] a buffer that fills once would keep the wrong readings
        got = round(self._dmm.number(f":TRAC:POIN? {BUFFER}", "the buffer's size"))
        require_points(self._dmm.name, "the buffer", expected=points, received=got)
        self._dmm.is_word(f":TRAC:FILL:MODE? {BUFFER}", "CONT", "the buffer's fill mode")

    def _wire(self, setup: CaptureSetup) -> str:
        """Set both lines; returns the event that ends the wait."""
        dmm, options = self._dmm, self._dmm.options
        # the output follows nothing or the bus trigger itself, which a line can follow like any other event [7510 p. 8-344, S]; for this
        # line [-], so it is read back
        dmm.put_word(":TRIG:EXT:OUT:STIM", "COMM" if setup.fire_dut else "NONE", "the stimulus of EXTERNAL TRIGGER OUT")  # [E]
        if setup.fire_dut or not options.trigger_input:
            return "COMM"
        dmm.put_word(":TRIG:EXT:IN:EDGE", options.trigger_edge, "the edge of EXTERNAL TRIGGER IN")  # [Q, E]
        return "EXT"

    def _load(self, trigger: str, after: int) -> None:
        link = self._dmm.link
        link.write(':TRIG:LOAD "Empty"')  # [N p. 13-261, E]
        link.write(f":TRIG:BLOC:BUFF:CLE 1,{BUFFER}")  # [E]
        link.write(f":TRIG:BLOC:MDIG 2,{BUFFER},INF")  # [E] for the block, [S, M] for its endless count
        link.write(f":TRIG:BLOC:WAIT {WAIT_BLOCK},{trigger},ENT")  # [E] without ENTer an event from before would end it at once
        link.write(f":TRIG:BLOC:MDIG 4,{BUFFER},{after}")  # [E]

    def _record(self, capture: _Capture, setup: CaptureSetup, aperture_s: float) -> Acquisition:
        how = {"EXT": "EXTERNAL TRIGGER IN", "COMM": "bus"}[capture.trigger]
        fires = ", which also fires the DUT by EXTERNAL TRIGGER OUT, latency not specified" if setup.fire_dut else ""
        return Acquisition(
            dt_ns=capture.dt_ns,
            columns=("current",),
            aperture_s=aperture_s,
            current_range_a=capture.range_a,
            voltage_range_v=None,
            remote_sense=False,
            points=capture.points,
            pretrigger_points=capture.pretrigger,
            settings={"acquisition": "digitize", "trigger": how + fires, "filter": "none", "terminals": self._dmm.options.terminals},
        )

    def arm(self) -> None:
        """Raises LinkTimeoutError when the model does not come to its wait, RefusedError when it failed or went past the wait by itself."""
        dmm, capture = self._dmm, self._configured()
        dmm.link.write(':SENS:DIG:FUNC "CURR"')  # a mean in between has selected a measure function
        dmm.link.write(":INIT")  # [N p. 13-212, E]
        deadline = time.monotonic() + dmm.options.timeout_s + capture.pretrigger / capture.rate_hz
        while not self._waits() or self._filled() < capture.pretrigger:
            if time.monotonic() > deadline:
                dmm.check_errors("its arming")
                raise LinkTimeoutError(f"{dmm.name}: its trigger model is not ready within {dmm.options.timeout_s:g} s of :INIT")

    def _waits(self) -> bool:
        state, block = self._state()
        if state in ENDED or block > WAIT_BLOCK:
            self._dmm.check_errors("its arming")
            raise RefusedError(f"{self._dmm.name}: its trigger model did not wait for the trigger: {state.lower()} at block {block}")
        return block == WAIT_BLOCK

    def _state(self) -> tuple[str, int]:
        """First state and block of `RUNNING;RUNNING;3` [N p. 13-271, E]. Raises RefusedError when the model failed, ReplyError."""
        reply = scpi.unquoted(self._dmm.ask(":TRIG:STAT?", "its trigger state"))
        fields = reply.upper().split(";")
        state = fields[0].strip()
        if state in BROKEN:
            self._dmm.check_errors("its trigger model")
            raise RefusedError(f"{self._dmm.name}: its trigger model is {state.lower()}")
        if state not in RUNNING + ENDED or not fields[-1].strip().isdigit():
            raise ReplyError(f"{self._dmm.name}: the trigger model's state is {reply!r}, which the manual does not know")
        return state, int(fields[-1])

    def _filled(self) -> int:
        return round(self._dmm.number(f":TRAC:ACT? {BUFFER}", "the buffer's readings"))  # [N p. 13-175, E] stays at the size when full

    def fire(self) -> None:
        """Raises OutOfRangeError when the DUT is to start the capture."""
        if self._configured().trigger != "COMM":
            raise OutOfRangeError(f"{self._dmm.name}: this capture waits for EXTERNAL TRIGGER IN, the bus cannot trigger it")
        self._dmm.link.write("*TRG")  # [7510 p. 8-344]: any remote interface

    def captured(self) -> bool:
        self._configured()
        return self._state()[0] in ENDED

    def abort(self) -> None:
        """Raises RefusedError when the trigger model goes on."""
        link = self._dmm.link
        link.write(":ABOR")
        link.resync()  # no reply of before may pass for the state; clearing may lose what was sent, hence once more
        link.write(":ABOR")
        state = scpi.unquoted(self._dmm.ask(":TRIG:STAT?", "its trigger state")).split(";")[0].upper()
        if state in RUNNING:
            raise RefusedError(f"{self._dmm.name}: its trigger model is {state.lower()} after :ABOR")

    def fetch(self) -> tuple[Block, ...]:
        """Raises LostSamplesError, ReadBackError (a setting was changed by somebody), RefusedError, SentinelError (nothing is in range)."""
        dmm, capture = self._dmm, self._configured()
        dmm.check_errors("its capture")
        dmm.still(f"{ROOT}:RANG", capture.range_a, "the current range")
        dmm.still(f"{ROOT}:SRAT", capture.rate_hz, "the sample rate")
        current, over = scpi.without_sentinels(self._readings(capture))
        dmm.check_errors("its capture")
        if bool(np.isnan(current).all()):
            raise SentinelError(f"{dmm.name}: every reading is above what the {capture.range_a:g} A range shows")
        flags = BlockFlag.OVER_RANGE if over else BlockFlag.NONE
        if bool(np.any(np.abs(current) >= capture.range_a)):
            flags |= BlockFlag.CLIPPED
        return (Block(0, -capture.pretrigger * capture.dt_ns, capture.dt_ns, current, None, flags=flags),)

    def _readings(self, capture: _Capture) -> NDArray[Any]:
        """Every reading, oldest first: the ring's first reading need not stand at index 1."""
        dmm = self._dmm
        first = round(dmm.number(f":TRAC:ACT:STAR? {BUFFER}", "the buffer's start"))  # [N p. 13-177, Q]
        last = round(dmm.number(f":TRAC:ACT:END? {BUFFER}", "the buffer's end"))  # [N p. 13-176, Q]
        pieces = [(first, last)] if first <= last else [(first, capture.points), (1, last)]
        held = sum(end - start + 1 for start, end in pieces) if last > 0 else 0
        require_points(dmm.name, "the capture", expected=capture.points, received=held)
        self._require_no_gap(capture, first, last)
        dmm.put_word(":FORM:BORD", "SWAP", "the byte order")  # [P] for FORMat; least significant byte first
        dmm.put_word(":FORM:DATA", "SRE", "the data format")  # [N p. 13-44, P] single precision, `#0` block
        try:
            return np.concatenate([self._piece(start, end) for start, end in pieces])
        finally:
            dmm.link.write(":FORM:DATA ASC")

    def _piece(self, start: int, end: int) -> NDArray[Any]:
        dmm, count = self._dmm, end - start + 1
        with scpi.explained(dmm.link, dmm.name, "a read of its buffer", ":SYST:ERR?"):
            query = f":TRAC:DATA? {start},{end},{BUFFER},READ"  # [N p. 13-183, Q, E]
            return dmm.link.query_indefinite_block(query, count, "<f4", timeout_s=dmm.options.timeout_s + count * 4 / 1e6)

    def _require_no_gap(self, capture: _Capture, first: int, last: int) -> None:
        """The instrument's own time stamps of the first and the last reading against what lies between. Raises LostSamplesError."""
        dmm = self._dmm
        query = f":TRAC:DATA? {{0}},{{0}},{BUFFER},REL"  # [N p. 13-183, Q]
        begin_s, end_s = (dmm.number(query.format(place), "a time stamp") for place in (first, last))
        extra = (end_s - begin_s) * capture.rate_hz - (capture.points - 1)
        if abs(extra) > 1.0 + TIMEBASE * capture.points:
            raise LostSamplesError(
                f"{dmm.name}: by its time stamps {capture.points} readings cover {end_s - begin_s:.6g} s, {extra:.0f} readings too many",
                expected=capture.points + round(extra),
                received=capture.points,
            )

    def _configured(self) -> _Capture:
        return configured(self._capture, self._dmm.name, "capture")
