"""The sourcing side of one channel of a virtual 2602B: levels, limits, ranges, output-off modes, and what it does at the node.

A fixed measure range does not limit the output here: no page at hand says that it does, and limits range by themselves
(2600BS-901-01 Rev. F p. 9-245). A current source is built as a voltage limit behind a current clamp.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labd_virtual.front_end import row_for
from labd_virtual.instruments.keithley_2600b_lua import TspError
from labd_virtual.instruments.keithley_2600b_things import Attributes, stored
from labd_virtual.persona import PersonaSetup

VOLTAGE_RANGES = (0.1, 1.0, 6.0, 40.0)
CURRENT_RANGES = (100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1.0, 3.0)
SPAN = 1.01  # full scale of a source range: Rev. F p. 2-44
AMPS, VOLTS = 0, 1
NORMAL, ZERO, HIGH_Z = 0, 1, 2
_OUTPUT_OHM = 5e-3  # assumed
_LIMITED_V, _LIMITED_A = 6.0, 1.0  # 2600AS-901-01 p. 6-3: above 6 V no more than 1 A


def reaching(ranges: tuple[float, ...], value: float) -> float:
    """The lowest range that holds the value. Raises 1101 above all."""
    found = next((r for r in ranges if r >= abs(value) * (1 - 1e-9)), None)
    if found is None:
        raise TspError(1101, "Parameter Too Big")
    return found


class Source:
    """wired: whether this channel feeds the node; the other one's terminals are open."""

    def __init__(self, setup: PersonaSetup, *, wired: bool) -> None:
        self._setup, self._wired = setup, wired
        self._gain = self._offset = 0.0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        """Programming error, drawn from the limits of the measuring range of the same size."""
        row = row_for(self._setup.accuracy, "voltage", _LIMITED_V)
        self._gain, self._offset = row.gain * rng.uniform(-1, 1), row.offset * rng.uniform(-1, 1)

    def reset(self) -> None:
        """Defaults: Rev. F p. 9-244, 2-42, 9-246."""
        self.func, self.level_v, self.level_a = VOLTS, 0.0, 0.0
        self.limit_v, self.limit_a, self.limit_p = 40.0, 1.0, 0.0
        self.auto_v, self.auto_a, self.range_v, self.range_a = True, True, 0.1, 100e-9
        self.off_mode, self.off_func, self.off_limit_a, self.off_limit_v = NORMAL, VOLTS, 1e-3, 40.0
        self.delay_s, self.high_c, self.remote, self.on = 0.0, 0, 0, False
        self.apply()

    @property
    def voltage_range(self) -> float:
        return reaching(VOLTAGE_RANGES, min(abs(self.level_v), 40.0)) if self.auto_v else self.range_v

    @property
    def current_range(self) -> float:
        return reaching(CURRENT_RANGES, min(abs(self.level_a), 3.0)) if self.auto_a else self.range_a

    @property
    def connected(self) -> bool:
        return self._wired and (self.on or self.off_mode != HIGH_Z)

    def limiting(self) -> bool:
        """Is the limit in control? Of a voltage source the node says so."""
        if not self.on or not self._wired:
            return False
        if self._setup.trap == "compliance":
            return True
        clamped = self._setup.node.clamped_since() is not None
        return clamped if self.func == VOLTS else not clamped

    def switch(self, state: int) -> None:
        """0 off, 1 on, 2 off with an open relay this once (Rev. F p. 9-249). Raises 5005, 5007."""
        if state == 1:
            self._check_levels()
        self.on = state == 1
        self.apply(high_z=state == HIGH_Z)

    def _check_levels(self) -> None:
        """A level out of a fixed range is refused when the output goes on (Rev. C p. 2-84)."""
        if abs(self.level_v) > SPAN * self.voltage_range or abs(self.level_a) > SPAN * self.current_range:
            raise TspError(5005, "Value too big for range")
        if self.func == VOLTS and self.voltage_range > _LIMITED_V and self.limit_a > _LIMITED_A * SPAN:
            raise TspError(5007, "Operation would exceed safe operating area of the instrument")

    def apply(self, *, high_z: bool = False) -> None:
        """Bring the present settings to the terminals."""
        if not self._wired:
            return
        if not self.on:
            self._rest(high_z=high_z or self.off_mode == HIGH_Z)
            return
        leads = 2 * self._setup.lead_ohm
        if self.func == AMPS:
            self._drive(self.limit_v, _OUTPUT_OHM + leads, abs(self.level_a), connected=True)
            return
        ceiling = SPAN * self.voltage_range
        runs_away = self.remote and self._setup.sense_fault != "ok" and self.level_v > 0
        ideal = self.level_v * (1 + self._gain) + self._offset if self.level_v else 0.0
        volt = ceiling if runs_away else min(max(ideal, 0.0), ceiling)
        self._drive(volt, _OUTPUT_OHM + (0.0 if self.remote and not runs_away else leads), self._limit_a(), connected=True)

    def _limit_a(self) -> float:
        if self.limit_p and self.level_v:
            return min(self.limit_a, self.limit_p / abs(self.level_v))
        return self.limit_a

    def _rest(self, *, high_z: bool) -> None:
        """Rev. F p. 2-42: normal is 0 V (or 0 A) with a limit of its own, zero keeps the limit, high impedance opens the relay."""
        ohm = _OUTPUT_OHM + 2 * self._setup.lead_ohm
        if high_z or (self.off_mode == NORMAL and self.off_func == AMPS):
            self._drive(0.0, ohm, 3.0, connected=False)
        else:
            self._drive(0.0, ohm, self.limit_a if self.off_mode == ZERO else self.off_limit_a, connected=True)

    def _drive(self, emf_v: float, ohm: float, clamp_a: float, *, connected: bool) -> None:
        self._setup.node.drive(emf_v=emf_v, resistance_ohm=ohm, clamp_a=clamp_a, connected=connected)

    # --- what TSP sees

    def declare(self, smu: Attributes, ended: Callable[[], None]) -> None:
        """Attributes of `smuX` and `smuX.source`. ended: what a switch of the output does besides."""
        smu.choice("sense", lambda: self.remote, lambda v: self._set("remote", v), (0, 1))
        smu.constants(SENSE_LOCAL=0, SENSE_REMOTE=1, OUTPUT_OFF=0, OUTPUT_ON=1, OUTPUT_DCAMPS=0, OUTPUT_DCVOLTS=1)
        smu.constants(OUTPUT_NORMAL=0, OUTPUT_ZERO=1, OUTPUT_HIGH_Z=2, ENABLE=1, DISABLE=0, ASYNC=2)
        source = smu.child("source")

        def switch(state: int) -> None:
            self.switch(state)
            ended()

        source.choice("output", lambda: float(self.on), switch, (0, 1, 2))
        source.choice("func", lambda: self.func, lambda v: self._set("func", v), (0, 1))
        source.number("levelv", lambda: self.level_v, lambda v: self._level("level_v", v), low=-40.4, high=40.4)
        source.number("leveli", lambda: self.level_a, lambda v: self._level("level_a", v), low=-3.03, high=3.03)
        source.number("limitv", lambda: self.limit_v, lambda v: self._set("limit_v", v), low=10e-3, high=40.4)
        source.number("limiti", lambda: self.limit_a, lambda v: self._set("limit_a", v), low=10e-9, high=3.03)
        source.number("limitp", lambda: self.limit_p, lambda v: self._set("limit_p", v), low=0.0, high=1e3)
        source.number("rangev", lambda: self.voltage_range, self._fix_volts, low=-40.4, high=40.4)
        source.number("rangei", lambda: self.current_range, self._fix_amps, low=-3.03, high=3.03)
        source.choice("autorangev", lambda: self.auto_v, lambda v: self._auto("v", v), (0, 1))
        source.choice("autorangei", lambda: self.auto_a, lambda v: self._auto("a", v), (0, 1))
        source.choice("offmode", lambda: self.off_mode, self._set_off_mode, (0, 1, 2))
        source.choice("offfunc", lambda: self.off_func, lambda v: self._set("off_func", v), (0, 1))
        source.number("offlimiti", lambda: self.off_limit_a, lambda v: self._set("off_limit_a", v), low=10e-9, high=3.03)
        source.number("offlimitv", lambda: self.off_limit_v, lambda v: self._set("off_limit_v", v), low=10e-3, high=40.4)
        source.choice("highc", lambda: self.high_c, lambda v: self._set("high_c", v), (0, 1))
        source.number("delay", *stored(self, "delay_s"), low=-1.0, high=1e5)
        source.shown("compliance", self.limiting)

    def _set(self, name: str, value: float) -> None:
        setattr(self, name, value)
        self.apply()

    def _set_off_mode(self, value: int) -> None:
        self._set("off_mode", HIGH_Z if self._setup.trap == "off_mode" else value)

    def _level(self, name: str, value: float) -> None:
        """While the output is on, a level that its fixed range does not hold is refused at once."""
        before = getattr(self, name)
        setattr(self, name, value)
        if self.on:
            try:
                self._check_levels()
            except TspError:
                setattr(self, name, before)
                raise
        self.apply()

    def _fix_volts(self, value: float) -> None:
        self.range_v, self.auto_v = reaching(VOLTAGE_RANGES, value / SPAN if abs(value) > 40 else value), False
        self.apply()

    def _fix_amps(self, value: float) -> None:
        self.range_a, self.auto_a = reaching(CURRENT_RANGES, value / SPAN if abs(value) > 3 else value), False
        self.apply()

    def _auto(self, which: str, value: int) -> None:
        if which == "v":
            self.range_v, self.auto_v = self.voltage_range, bool(value)
        else:
            self.range_a, self.auto_a = self.current_range, bool(value)
        self.apply()
