"""One channel of a B2900A: the source with its limit and its off states, and the meter with its ranges and its status data."""

from __future__ import annotations

import logging

import numpy as np

from labd_virtual.front_end import Converter, Floats, Instants, MeterRange, NoiseCurve, node_means, peak_current, row_for
from labd_virtual.instruments.keysight_b2900_data import ELEMENTS, Table
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError

VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)
CURRENT_RANGES = (10e-9, 100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1.0, 1.5, 3.0)
VOLTAGE_MAX, CURRENT_MAX = 210.0, 3.03
POWER = ((6.0, 3.03), (21.0, 1.515), (210.0, 0.105))  # up to this voltage, this current
APERTURE_LEAST, APERTURE_MOST = 8e-6, 2.0
LOAD_MOST, LOAD_MOST_HIGH_CAPACITANCE = 0.01e-6, 50e-6
COMPLIANCE, OVERFLOW = 2, 8192  # of the status data
_OUTPUT_OHM = 5e-3  # assumed
_OFF_CLAMP_A = 100e-6  # off state ZERO: 100 uA at the 100 uA range
_logger = logging.getLogger(__name__)


def _meter(full_scales: tuple[float, ...]) -> tuple[MeterRange, ...]:
    """Noise is in no page that was read: a tenth of what the derating adds at 0.001 power line cycles, white to 20 ms, is assumed."""
    return tuple(MeterRange(fs, NoiseCurve((20e-6, 20e-3), (1.5e-4 * fs, 5e-6 * fs))) for fs in full_scales)


def covering(ranges: tuple[float, ...], value: float) -> float:
    """The range that a value selects: the lowest that holds it, 106 % of full scale and 102 % of the 1.5 A and 3 A ranges included."""
    return next((r for r in ranges if abs(value) <= r * (1.02 if r in (1.5, 3.0) else 1.06)), ranges[-1])


class Channel:
    """Settings as after *RST, and what they do at the node. wired: whether this channel's terminals are the board's."""

    def __init__(self, setup: PersonaSetup, *, wired: bool, fine: bool) -> None:
        self._setup, self._wired = setup, wired
        self.current_ranges = CURRENT_RANGES if fine else CURRENT_RANGES[1:]
        hum, leakage = setup.factor("hum_a", 0.2e-6), setup.fixture_leakage_a
        self._amps = Converter(setup, "current", _meter(self.current_ranges), hum=hum, leakage=leakage)
        self._volts = Converter(setup, "voltage", _meter(VOLTAGE_RANGES))
        self._gain = self._offset = 0.0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, source = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        row = row_for(self._setup.accuracy, "voltage", 20.0)
        self._gain, self._offset = row.gain * source.uniform(-1, 1), row.offset * source.uniform(-1, 1)

    def reset(self) -> None:
        self.mode, self.volt, self.volt_triggered, self.curr, self.curr_triggered = "VOLT", 0.0, 0.0, 0.0, 0.0
        self.source_range, self.source_auto = 2.0, True
        self.curr_range, self.curr_range_auto = 1e-6, True
        self.limit_a, self.limit_v = 100e-6, 2.0
        self.on, self.off_mode, self.low = False, "NORM", "GRO"
        self.high_capacitance = self.protects = self.auto_off = self.remote = False
        self.auto_on = self.wait = True
        self.trigger_continuous = False
        self.switched_off_at_limit = False
        self.functions: tuple[str, ...] = ("VOLT", "CURR", "RES")
        self.range_a, self.auto_a, self.range_v, self.auto_v = self.current_ranges[1], True, 2.0, True
        self.lowest_auto_a = 1e-6
        self.aperture_s, self.auto_aperture = 0.1 / self._setup.mains_hz, True
        self.apply()

    # --- the source

    def set_level(self, name: str, value: float) -> None:
        """name: volt, volt_triggered, curr or curr_triggered. Raises ScpiError(-222) beyond a fixed range."""
        if name.startswith("volt") and not self.source_auto and abs(value) > self.source_range * 1.05 * (1 + 1e-9):
            raise ScpiError(-222)
        setattr(self, name, value)
        self.apply()

    def set_limit(self, value: float) -> None:
        """Raises ScpiError(-221): high capacitance mode takes no limit below 1 uA (User's Guide p. 2-25)."""
        if self.high_capacitance and value < 1e-6 * (1 - 1e-9):
            raise ScpiError(-221)
        self.limit_a = value
        self.apply()

    def set_high_capacitance(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        """Raises ScpiError(-221) outside its working conditions: voltage source, fixed range of 1 uA or more, limit of 1 uA or more."""
        if on and (self.mode != "VOLT" or self.auto_a or self.range_a < 1e-6 or self.limit_a < 1e-6):
            raise ScpiError(-221)
        self.high_capacitance = on
        self.apply()

    def set_current_range(self, value: float | None) -> None:
        """None: automatic. Raises ScpiError(-221) where high capacitance mode forbids it."""
        chosen = None if value is None else next((r for r in self.current_ranges if abs(value) <= r * (1 + 1e-9)), self.current_ranges[-1])
        if self.high_capacitance and (chosen is None or chosen < 1e-6):
            raise ScpiError(-221)
        if chosen is not None:
            self.range_a = chosen
        self.auto_a = chosen is None or self._setup.trap == "auto_range"

    def fix_current_range(self) -> None:
        self.auto_a = self._setup.trap == "auto_range"

    def set_aperture(self, value: float) -> None:
        """Values beyond the limits become the limits, without an error (p. 4-73)."""
        longest = 10e-6 if self._setup.trap == "aperture" else APERTURE_MOST
        self.aperture_s = min(max(value, APERTURE_LEAST), longest)
        self.auto_aperture = False

    def switch(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self.on = on
        if on:
            self.switched_off_at_limit = False
            if self.overloaded():
                _logger.warning("%s: %.3g F at the output is more than its mode drives, it may oscillate", self._setup.name, self.load_f())
        self.apply()

    def load_f(self) -> float:
        """What is at the terminals: `load_capacitance_f` of the setup's `unkind`, and twice the limit where the trap is sprung."""
        if self._setup.trap == "capacitance":
            return 2 * self.largest_load_f()
        return self._setup.factor("load_capacitance_f", 0.0)

    def largest_load_f(self) -> float:
        return LOAD_MOST_HIGH_CAPACITANCE if self.high_capacitance else LOAD_MOST

    def overloaded(self) -> bool:
        return self._wired and self.load_f() > self.largest_load_f()

    def act(self) -> None:
        """The transient device action: the output goes to its triggered level."""
        self.volt, self.curr = self.volt_triggered, self.curr_triggered
        self.apply()

    def apply(self) -> None:
        if not self._wired:
            return
        leads = 0.0 if self.remote and self._setup.sense_fault == "ok" else 2 * self._setup.lead_ohm
        ohm = _OUTPUT_OHM + leads
        if not self.on:
            zero = self.off_mode == "ZERO"
            self._setup.node.drive(emf_v=0.0, resistance_ohm=ohm, clamp_a=_OFF_CLAMP_A if zero else CURRENT_MAX, connected=zero)
        elif self.mode == "CURR":
            self._setup.node.drive(emf_v=self.limit_v, resistance_ohm=ohm, clamp_a=abs(self.curr), connected=True)
        else:
            ideal = self.volt * (1 + self._gain) + self._offset if self.volt else 0.0
            runaway = 3.0 if self.remote and self._setup.sense_fault != "ok" and self.volt else 0.0  # force and sense: 3 V apart at most
            self._setup.node.drive(emf_v=max(ideal, 0.0) + runaway, resistance_ohm=ohm, clamp_a=self.limit_a, connected=True)

    def limiting_since(self) -> int | None:
        """Board time since which the channel is in the compliance state."""
        if not (self.on and self._wired):
            return None
        if self._setup.trap == "compliance" or self.overloaded():
            return 0
        return self._setup.node.clamped_since()

    def protect(self) -> None:
        """OUTPut:PROTection: off at once in the compliance state."""
        if self.protects and self.limiting_since() is not None:
            self.switch(on=False)
            self.switched_off_at_limit = True

    # --- the meter

    def read(self, starts: Instants, ends: Instants, at_s: Floats) -> Table:
        """Readings over [starts, ends) of board time, with the time stamps that the instrument gives them."""
        table = np.full((len(starts), len(ELEMENTS)), np.nan)
        status = np.full(len(starts), int(self.mode == "CURR"))
        amps, volts = np.zeros(len(starts)), np.zeros(len(starts))
        if self._wired:
            amps, volts, beyond = self._converted(starts, ends)
            status += np.where(beyond, OVERFLOW, 0)
        since = self.limiting_since()
        if since is not None:
            status += np.where(ends > since, COMPLIANCE, 0)
        if "VOLT" in self.functions:
            table[:, 0] = volts
        if "CURR" in self.functions:
            table[:, 1] = amps
        if "RES" in self.functions:
            with np.errstate(divide="ignore", invalid="ignore"):
                table[:, 2] = volts / amps
        table[:, 3], table[:, 4] = at_s, status
        table[:, 5] = self.curr if self.mode == "CURR" else self.volt
        if self._setup.trap == "no_data":
            table[len(table) // 2, :2] = np.nan
        return table

    def _converted(self, starts: Instants, ends: Instants) -> tuple[Floats, Floats, np.ndarray]:
        means = node_means(self._setup, starts, ends)
        lead = 0.0 if self.remote else 2 * self._setup.lead_ohm
        fault = {"ok": 1.0, "open": 0.0, "swapped": -1.0}[self._setup.sense_fault] if self.remote else 1.0
        seen = means.voltage * fault + lead * means.current if self.on or self.off_mode == "ZERO" else np.zeros(len(starts))
        flowing = means.current if self.on or self.off_mode == "ZERO" else np.zeros(len(starts))
        level = peak_current(self._setup, starts, ends, means, full_scale=self.range_a)
        largest = covering(self.current_ranges, self.limit_a)
        auto = max(covering(self.current_ranges, float(level.max(initial=0.0))), self.lowest_auto_a)
        chosen = self._amps.index(min(auto if self.auto_a else self.range_a, largest))
        volts = self._volts.read(seen, starts, ends, self._volts.index(self.used_source_range()))
        amps = self._amps.read(flowing, starts, ends, chosen)
        if self.overloaded():  # the manual gives the largest load only; that a loop beyond it rings is assumed
            amps = amps + np.where(np.arange(len(amps)) % 2, 1.0, -1.0) * self.limit_a
        beyond = self._amps.overloaded(level, chosen) if self.on else np.zeros(len(starts), bool)
        amps[beyond] = np.inf
        return amps, volts, beyond

    def used_source_range(self) -> float:
        """The source side is measured on the source range (User's Guide p. 6-4)."""
        return covering(VOLTAGE_RANGES, self.volt) if self.source_auto else self.source_range
