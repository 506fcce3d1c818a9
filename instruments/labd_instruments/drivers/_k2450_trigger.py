"""The trigger model of a 2450 family instrument while it runs, and its reading buffer; pages as in `_k2450`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import scpi
from labd_instruments.checks import require_points, within
from labd_instruments.contract import CaptureSetup
from labd_instruments.drivers._k2450 import BUFFER, Smu
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError, RefusedError, ReplyError

SMALLEST_BUFFER = 10
LARGEST_BUFFER = 6_875_000  # p. 6-167, standard readings
FIRE_PULSE_S = 100e-6
RUNNING = ("RUNNING", "WAITING")  # p. 6-235
ENDED = ("IDLE",)
BROKEN = ("FAILED", "ABORTED", "ABORTING", "EMPTY", "BUILDING")


def refuse(smu: Smu, setup: CaptureSetup, *, least_before: int) -> None:
    """What no capture of this family can do. Raises OutOfRangeError."""
    if setup.count != 1:
        raise OutOfRangeError(f"{smu.name}: captures: {setup.count} triggers for one arming, the trigger model serves 1")
    if setup.with_marker:
        raise OutOfRangeError(f"{smu.name}: captures: a {smu.model_name} has no input for a marker column; wire the marker to trigger_line")
    if setup.fire_dut and smu.options.fire_line is None:
        raise OutOfRangeError(f"{smu.name}: fire_dut needs option fire_line, the digital line wired to the DUT")
    limit = "points of the capture"
    within(f"{smu.name}: pre-trigger", setup.pretrigger_points, low=least_before, high=setup.points - 1, unit="points", limit=limit)
    within(f"{smu.name}: points", setup.points, low=SMALLEST_BUFFER, high=LARGEST_BUFFER, unit="readings", limit="p. 6-167")


class TriggerModel:
    """Starting it, watching it, and reading what it has left in the buffer."""

    def __init__(self, smu: Smu) -> None:
        self._smu = smu
        self._made = False

    def make_buffer(self, room: int, fill: str) -> None:
        """fill: ONCE keeps the first readings, CONT the last ones."""
        if self._made:
            self._smu.link.write(f":TRAC:DEL {BUFFER}")  # [D]
        self._smu.link.write(f":TRAC:MAKE {BUFFER},{room}")  # p. 6-167
        self._smu.link.write(f":TRAC:FILL:MODE {fill},{BUFFER}")  # [D] clears the buffer
        self._made = True

    def forget(self) -> None:
        """A reset has deleted the buffer."""
        self._made = False

    def event(self) -> str:
        """What triggers from outside: *TRG, or the DUT's edge on `trigger_line`, which is wired as an input here."""
        link, options = self._smu.link, self._smu.options
        if options.trigger_line is None:
            return "COMM"
        link.write(f":DIG:LINE{options.trigger_line}:MODE TRIG,IN")  # [D]
        link.write(f":TRIG:DIG{options.trigger_line}:IN:EDGE {options.trigger_edge}")  # [D]
        return f"DIG{options.trigger_line}"

    def wire_output(self) -> None:
        """A notify block drives `fire_line`."""
        link, line = self._smu.link, self._smu.options.fire_line
        link.write(f":DIG:LINE{line}:MODE TRIG,OUT")  # [D]
        link.write(f":TRIG:DIG{line}:OUT:STIM NOT1")  # [D]
        link.write(f":TRIG:DIG{line}:OUT:LOG POS")  # p. 6-230 names the command
        link.write(f":TRIG:DIG{line}:OUT:PULS {scpi.number(FIRE_PULSE_S)}")  # [-]

    def start(self) -> None:
        """Raises LinkTimeoutError when it does not begin to run, RefusedError when it failed."""
        self._smu.link.write(":INIT")
        self.until(lambda: self.state() in RUNNING, "the trigger model does not start")

    def until(self, done: Callable[[], bool], complaint: str, *, longer_s: float = 0.0) -> None:
        wait_s = self._smu.options.timeout_s + longer_s
        deadline = time.monotonic() + wait_s
        while not done():
            if time.monotonic() > deadline:
                self._smu.check_errors("its arming")
                raise LinkTimeoutError(f"{self._smu.name}: {complaint} within {wait_s:g} s of :INIT")

    def state(self) -> str:
        """State of the trigger model: first field of `IDLE;IDLE;9` (p. 6-235), quotes dropped. Raises RefusedError when it failed."""
        state = scpi.unquoted(self._smu.ask(":TRIG:STAT?", "its trigger state")).split(";")[0].upper()
        if state in BROKEN:
            self._smu.check_errors("its trigger model")
            raise RefusedError(f"{self._smu.name}: the trigger model is {state.lower()}")
        if state not in RUNNING + ENDED:
            raise ReplyError(f"{self._smu.name}: the trigger model's state is {state!r}, which the manual does not know")
        return state

    def ended(self) -> bool:
        # the instrument looks every 100 ms only (p. 6-234), but `start` has seen the model run, so idle means ended
        return self.state() in ENDED

    def filled(self) -> int:
        return round(self._smu.number(f":TRAC:ACT? {BUFFER}", "the buffer's readings"))  # p. 6-156

    def fire(self, *, fire_dut: bool) -> None:
        """Raises OutOfRangeError for a capture that waits for the DUT's edge."""
        line = self._smu.options.trigger_line
        if not fire_dut and line is not None:
            raise OutOfRangeError(f"{self._smu.name}: this capture waits for the DUT's edge on line {line}, the bus cannot trigger it")
        self._smu.link.write("*TRG")  # p. 6-230: any remote interface

    def readings(self, elements: tuple[str, ...], *, points: int, room: int, most: int, double: bool = False) -> NDArray[Any]:
        """[points, elements], oldest first. The buffer is circular: its first reading need not stand at index 1.

        most: readings beyond these are left out. double: as doubles, which time stamps need. Raises LostSamplesError for any other number.
        """
        first = round(self._smu.number(f":TRAC:ACT:STAR? {BUFFER}", "the buffer's start"))  # p. 6-158
        last = round(self._smu.number(f":TRAC:ACT:END? {BUFFER}", "the buffer's end"))  # p. 6-157
        pieces = [(first, last)] if first <= last else [(first, room), (1, last)]
        held = sum(end - start + 1 for start, end in pieces) if last > 0 else 0
        if points < held <= most and first <= last:
            pieces, held = [(first, first + points - 1)], points
        require_points(self._smu.name, "the capture", expected=points, received=held)
        self._smu.link.write(f":FORM:DATA {'REAL' if double else 'SRE'}")  # p. 6-46: an `#0` block
        try:
            data = np.concatenate([self._piece(*piece, elements, "<f8" if double else "<f4") for piece in pieces])
        finally:
            self._smu.link.write(":FORM:DATA ASC")
        return data.reshape(points, len(elements))

    def _piece(self, start: int, end: int, elements: tuple[str, ...], dtype: str) -> NDArray[Any]:
        count = (end - start + 1) * len(elements)
        size = count * np.dtype(dtype).itemsize
        with scpi.explained(self._smu.link, self._smu.name, "a read of its buffer", ":SYST:ERR?"):
            query = f":TRAC:DATA? {start},{end},{BUFFER},{','.join(elements)}"  # p. 6-160
            return self._smu.link.query_indefinite_block(query, count, dtype, timeout_s=self._smu.options.timeout_s + size / 1e6)
