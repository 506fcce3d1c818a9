"""The measuring side of a virtual Keithley 2400: functions, ranges, conversions and status words.

Pages are of the "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labd_virtual.front_end import Converter, Floats, Instants, MeterRange, NoiseCurve, drawn_timebase, node_means, peak_current
from labd_virtual.instruments.keithley_2400_source import OVER, Source, reaching
from labd_virtual.persona import PersonaSetup

NAN = 9.91e37  # not measured (p. 18-50) and, on a fixed range, overflow (p. 7-2)
# Bits of the status word (p. 18-50, 18-51).
OVERFLOW, FILTER, FRONT, COMPLIANCE, OVP, V_MEAS, I_MEAS, R_MEAS, V_SOUR, I_SOUR, RANGE_COMPLIANCE, REMOTE = (
    1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 22,
)  # fmt: skip
# Appendix A, cases I to VI: a conversion takes 185 us more than it integrates; latency without source changes; firmware overhead.
CONVERSION_S = 185e-6
LATENCY_S = {True: 500e-6, False: 100e-6}  # auto zero on, off
OVERHEAD_S = {(True, 1): 1.8e-3, (True, 2): 2.3e-3, (False, 1): 0.3e-3, (False, 2): 0.6e-3}  # the last is assumed: its page was not at hand


def _ranges(full_scales: tuple[float, ...]) -> tuple[MeterRange, ...]:
    """Noise is in no table at hand: 2 ppm of range over a line cycle and white is a plausible choice, not a documented one."""
    return tuple(MeterRange(fs, NoiseCurve((0.2e-3, 16.7e-3), (2e-5 * fs, 2e-6 * fs))) for fs in full_scales)


class Meter:
    """What is measured, and how. nplc: of all functions at once (p. 18-69). range, auto: of the current; voltage as the source."""

    def __init__(self, setup: PersonaSetup, source: Source) -> None:
        self._setup, self._source = setup, source
        hum, leakage = setup.factor("hum_a", 0.2e-6), setup.fixture_leakage_a
        self.amps = Converter(setup, "current", _ranges(source.model.amps), hum=hum, leakage=leakage)
        self.volts = Converter(setup, "voltage", _ranges(source.model.volts))
        self.timebase = 0.0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, source, clock = rng.spawn(4)
        self.amps.redraw(amps)
        self.volts.redraw(volts)
        self._source.redraw(source)
        self.timebase = drawn_timebase(self._setup, clock)

    def reset(self) -> None:
        self.functions, self.concurrent = {"CURR"}, True
        self.range = {"VOLT": reaching(self._source.model.volts, 21.0), "CURR": 1e-4}
        self.auto = {"VOLT": True, "CURR": True}
        self.nplc, self.auto_zero, self.filter, self.front = 1.0, True, False, True

    def zero(self, t_ns: int) -> None:
        self.amps.zero(t_ns)
        self.volts.zero(t_ns)

    def aperture_ns(self) -> int:
        return round(self.nplc / self._setup.mains_hz * 1e9)

    def _conversion_ns(self) -> int:
        return self.aperture_ns() + round(CONVERSION_S * 1e9)

    def _signals(self) -> int:
        return 2 if len(self.functions) > 1 else 1

    def cycle_ns(self) -> int:
        """One source-delay-measure cycle without source changes."""
        phases = self._signals() + (2 if self.auto_zero else 0)
        fixed_s = LATENCY_S[self.auto_zero] + OVERHEAD_S[self.auto_zero, self._signals()]
        return phases * self._conversion_ns() + round(fixed_s * 1e9)

    def clamp_range(self) -> float | None:
        """The fixed current range, which limits the output whatever is measured."""
        return None if self.auto["CURR"] else self.range["CURR"]

    def read(self, starts: Instants) -> Floats:
        """Rows [n, 5] of cycles that began at `starts` and have ended: voltage, current, resistance, time, status."""
        n = len(starts)
        if self.auto_zero and n:
            self.zero(int(starts[0]))
        first = starts + round(LATENCY_S[self.auto_zero] * 1e9)
        phases_between = 3 if self.auto_zero else 1
        second = first + (phases_between * self._conversion_ns() if self._signals() > 1 else 0)
        current, over_i = self._current(first) if "CURR" in self.functions else (np.full(n, self._sourced("CURR")), np.zeros(n, bool))
        voltage, over_v = self._voltage(second) if "VOLT" in self.functions else (np.full(n, self._sourced("VOLT")), np.zeros(n, bool))
        ohm = np.full(n, NAN)
        if "RES" in self.functions:
            volts, amps = self._voltage(second)[0], self._current(first)[0]
            ohm = np.divide(volts, amps, out=np.full(n, NAN), where=amps != 0)
        status = self._status(starts) | np.where(over_i | over_v, OVERFLOW, 0)
        time_s = np.round(starts * 1e-9, 3)  # milliseconds, as the display has them (p. 9-3)
        rows = np.column_stack([voltage, current, ohm, time_s, status.astype(np.float64)])
        if self._setup.trap == "nan" and n:
            rows[-1, 1] = NAN
        return rows

    def _sourced(self, function: str) -> float:
        """A function that is not measured shows the source's value, or that there is none (p. 18-50)."""
        return self._source.level[function] if self._source.function == function else NAN

    def _current(self, starts: Instants) -> tuple[Floats, NDArray[np.bool_]]:
        ends = starts + self.aperture_ns()
        means = node_means(self._setup, starts, ends)
        level = peak_current(self._setup, starts, ends, means, full_scale=self.range["CURR"])
        full_scale = float(level.max(initial=0.0)) / OVER if self.auto["CURR"] else self.range["CURR"]
        index = self.amps.index(full_scale)
        values = self.amps.read(means.current, starts, ends, index)
        beyond = self.amps.overloaded(level, index)
        values[beyond] = NAN
        return values, beyond

    def _voltage(self, starts: Instants) -> tuple[Floats, NDArray[np.bool_]]:
        """On the range of the voltage source, which nothing else selects (p. 18-62)."""
        ends = starts + self.aperture_ns()
        means, source = node_means(self._setup, starts, ends), self._source
        fault = {"ok": 1.0, "open": 0.0, "swapped": -1.0}[self._setup.sense_fault] if source.remote else 1.0
        lead = 0.0 if source.remote else 2 * self._setup.lead_ohm
        seen = means.voltage * fault + lead * means.current
        by_level = reaching(source.model.volts, float(np.abs(seen).max(initial=0.0)))
        index = self.volts.index(source.range["VOLT"] if source.function == "VOLT" else by_level)
        values = self.volts.read(seen, starts, ends, index)
        beyond = self.volts.overloaded(seen, index)
        values[beyond] = NAN
        return values, beyond

    def _status(self, starts: Instants) -> NDArray[np.int64]:
        source = self._source
        bits = V_SOUR if source.function == "VOLT" else I_SOUR
        measured = {"VOLT": V_MEAS, "CURR": I_MEAS, "RES": R_MEAS}
        bits |= sum(measured[name] for name in self.functions)
        bits |= (FILTER * self.filter) | (FRONT * self.front) | (REMOTE * source.remote) | (OVP * source.protecting())
        since = self._setup.node.clamped_since() if source.limiting() else None
        limit = RANGE_COMPLIANCE if source.range_compliance() else COMPLIANCE
        inside = np.zeros(len(starts), bool) if since is None else starts + self.cycle_ns() >= since
        if self._setup.trap == "compliance":
            inside, limit = np.ones(len(starts), bool), COMPLIANCE
        status: NDArray[np.int64] = np.where(inside, bits | limit, bits).astype(np.int64)
        return status
