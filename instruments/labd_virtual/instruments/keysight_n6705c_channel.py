"""One N6781A as a meter: its ranges, its noise, and the columns it delivers for any stretch of board time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from labd_virtual.contract import Integrals
from labd_virtual.front_end import (
    OVER_RANGE,
    Converter,
    Floats,
    Instants,
    MeterRange,
    NoiseCurve,
    drawn_timebase,
    node_means,
    peak_current,
    pin_means,
    wired,
)
from labd_virtual.instruments.keysight_n6705c_output import Background, Output
from labd_virtual.persona import PersonaSetup

TICK_NS = 5120  # converter interval of the N678x: 5.12 us

# Noise added per averaging time: "N6700 Specifications Guide", p. 52, read as one standard deviation. Voltage: N6781A, 20 V range.
# Current: that page has no N6781A column we could read; taken from the N6785A's 100 mA and 1 mA columns, the 8 A column in proportion
# to full scale for 3 A, and a hundredth of the 1 mA column (full scale in proportion) for 10 uA. Plausible, not documented.
_APERTURES_S = (5.12e-6, 51.2e-6, 102.4e-6, 512e-6, 1.7e-3, 16.7e-3)
_NOISE_20V = NoiseCurve(_APERTURES_S, (2.3e-3, 1.2e-3, 993.7e-6, 533.4e-6, 276.6e-6, 69.6e-6))
_NOISE_100MA = NoiseCurve(_APERTURES_S, (13.5e-6, 7.1e-6, 5.4e-6, 2.5e-6, 1.3e-6, 471.5e-9))
_NOISE_1MA = NoiseCurve(_APERTURES_S, (1.4e-6, 594.3e-9, 306.2e-9, 67.7e-9, 23.8e-9, 6.9e-9))
_NOISE_8A = NoiseCurve(_APERTURES_S, (1.2e-3, 552.2e-6, 409.7e-6, 198.9e-6, 94.4e-6, 43.5e-6))

CURRENT_RANGES = (
    MeterRange(10e-6, _NOISE_1MA.scaled(0.01)),
    MeterRange(1e-3, _NOISE_1MA),
    MeterRange(0.1, _NOISE_100MA),
    MeterRange(3.0, _NOISE_8A.scaled(3 / 8)),
)
VOLTAGE_RANGES = (MeterRange(20.0, _NOISE_20V),)
Column = tuple[str, str]  # quantity "I" or "V", statistic "AVG", "MIN" or "MAX"

SEAMLESS_FROM_A = 1e-3


@dataclass(slots=True)
class Settings:
    """What *RST puts back; one each for the elog and for the digitizer with MEASure."""

    current: bool = True
    voltage: bool = True
    current_minmax: bool = False
    voltage_minmax: bool = False
    current_range: float = 3.0
    seamless: bool = False
    voltage_range: float = 20.0


@dataclass(slots=True)
class Sweep:
    points: int = 1024
    offset: int = 0
    interval_s: float = 20.48e-6
    fine: bool = True  # RES20; RES40 otherwise
    source: str = "BUS"


@dataclass(slots=True)
class ElogSettings:
    period_s: float = 0.1
    source: str = "IMM"


class _Nowhere:
    """The node of an output whose terminals are not wired to the board's supply."""

    def drive(self, *, emf_v: float, resistance_ohm: float, clamp_a: float, connected: bool) -> None:
        """Nothing is connected."""

    def integrals(self, t_ns: Instants) -> Integrals:
        zero = np.zeros(len(t_ns))
        return Integrals(zero, zero, zero, zero)

    def current(self, t_ns: Instants) -> Floats:
        return np.zeros(len(t_ns))

    def voltage(self, t_ns: Instants) -> Floats:
        return np.zeros(len(t_ns))

    def clamped_since(self) -> int | None:
        return None


class Channel:
    """One module. feeds: it is the one connected to the node; any other measures the board pin wired to it, and its output goes nowhere."""

    def __init__(self, setup: PersonaSetup, number: int, *, feeds: bool, background: Background) -> None:
        self.setup, self.number, self.feeds = setup, number, feeds
        self.output = Output(setup if feeds else replace(setup, node=_Nowhere()), background)
        self._amps = Converter(
            setup,
            "current",
            CURRENT_RANGES,
            hum=setup.factor("hum_a", 0.2e-6) if feeds else 0.0,
            leakage=setup.fixture_leakage_a if feeds else 0.0,
        )
        self._volts = Converter(setup, "voltage", VOLTAGE_RANGES)
        self._pin = None if feeds else wired(setup.wires, f"channel{number}", "marker")
        self.timebase = 0.0
        self.reset()

    def reset(self) -> None:
        self.measure, self.sweep = Settings(), Sweep()
        self.elog_measure, self.elog = Settings(current=False, voltage=False), ElogSettings()
        self.emulation = "PS4Q"
        self.output.reset()

    def redraw(self, rng: np.random.Generator, timebase: float) -> None:
        """timebase: the mainframe's, common to all its channels."""
        amps, volts, source = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self.output.redraw(source)
        self.timebase = timebase

    def columns(self, wanted: tuple[Column, ...], starts: Instants, ends: Instants, settings: Settings) -> Floats:
        """Readings over [starts, ends), float64 [n, len(wanted)]; over-range samples are 9.91E37."""
        if len(starts) == 0:
            return np.zeros((0, len(wanted)))
        average = self._averages(starts, ends, settings)
        extremes = _Extremes(self, starts, ends, settings) if any(stat != "AVG" for _, stat in wanted) else None
        picked = [average[q] if stat == "AVG" or extremes is None else extremes.of(q, stat) for q, stat in wanted]
        return np.column_stack(picked)

    def _averages(self, starts: Instants, ends: Instants, settings: Settings) -> dict[str, Floats]:
        if not self.feeds:
            return self._voltmeter(starts, ends)
        means = node_means(self.setup, starts, ends)
        if settings.seamless:
            # the 10 uA range is only ever fixed: seamless ranging moves between 1 mA, 100 mA and 3 A
            chosen = np.maximum(self._amps.seamless(means.current_rms), self._amps.index(SEAMLESS_FROM_A))
            level = means.current_rms
        else:
            chosen = np.full(len(starts), self._amps.index(settings.current_range))
            level = peak_current(self.setup, starts, ends, means, full_scale=self._amps.ranges[chosen[0]].full_scale)
        amps = self._amps.read(means.current, starts, ends, chosen)
        amps[self._amps.overloaded(level, chosen) | (self.setup.trap == "overflow")] = OVER_RANGE
        seen = self._sensed(means.voltage, means.current)
        return {"I": amps, "V": self._volts.read(seen, starts, ends, 0)}

    def _voltmeter(self, starts: Instants, ends: Instants) -> dict[str, Floats]:
        volts = pin_means(self.setup.pins, self._pin, starts, ends) if self._pin else np.zeros(len(starts))
        return {"I": self._amps.read(np.zeros(len(starts)), starts, ends, 0), "V": self._volts.read(volts, starts, ends, 0)}

    def _sensed(self, volts: Floats, amps: Floats) -> Floats:
        if not self.output.connected:
            return np.zeros(len(volts))
        if not self.output.remote:
            return volts + 2 * self.setup.lead_ohm * amps
        return volts * {"ok": 1.0, "open": 0.0, "swapped": -1.0}[self.setup.sense_fault]


@dataclass(slots=True)
class _Extremes:
    """Smallest and largest 20.48 us average within each sample, computed once for all columns that need it."""

    channel: Channel
    starts: Instants
    ends: Instants
    settings: Settings
    _pieces: dict[str, Floats] | None = field(default=None)

    def of(self, quantity: str, statistic: str) -> Floats:
        if self._pieces is None:
            self._pieces = self._look()
        pieces = self._pieces[quantity]
        found: Floats = pieces.min(axis=1) if statistic == "MIN" else pieces.max(axis=1)
        return found

    def _look(self) -> dict[str, Floats]:
        count = max(1, round(float(np.median(self.ends - self.starts)) / (4 * TICK_NS)))
        width = (self.ends - self.starts)[:, None]
        edges = self.starts[:, None] + np.rint(width * (np.arange(count + 1) / count)).astype(np.int64)
        pieces = self.channel._averages(edges[:, :-1].ravel(), edges[:, 1:].ravel(), self.settings)
        return {quantity: values.reshape(len(self.starts), count) for quantity, values in pieces.items()}


def mainframe_timebase(setup: PersonaSetup, rng: np.random.Generator) -> float:
    """One clock for all modules of a mainframe."""
    return drawn_timebase(setup, rng)
