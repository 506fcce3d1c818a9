"""One N678xA as a meter: its ranges, its noise, and the columns it delivers for any stretch of board time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from labd_virtual.contract import Integrals
from labd_virtual.front_end import (
    OVER_RANGE,
    Converter,
    Floats,
    Instants,
    drawn_delays,
    drawn_timebase,
    node_means,
    peak_current,
    pin_means,
    wired,
)
from labd_virtual.instruments.keysight_n6705c_modules import Locus, model_of
from labd_virtual.instruments.keysight_n6705c_output import Background, Output
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError

TICK_NS = 5120  # converter interval of the N678x: 5.12 us

Column = tuple[str, str]  # quantity "I" or "V", statistic "AVG", "MIN" or "MAX"


@dataclass(slots=True)
class Settings:
    """What *RST puts back; one each for the elog and for the digitizer with MEASure. No page says whether current is on: it is not."""

    current: bool = False
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
        self.model = model_of(setup)
        self.output = Output(setup if feeds else replace(setup, node=_Nowhere()), self.model, background)
        self._amps = Converter(
            setup,
            "current",
            self.model.amps,
            hum=setup.factor("hum_a", 0.2e-6) if feeds else 0.0,
            leakage=setup.fixture_leakage_a if feeds else 0.0,
        )
        self._volts = Converter(setup, "voltage", self.model.volts[-1:])
        self._low_volts = Converter(setup, "voltage", self.model.volts[:-1]) if self.model.volts[:-1] else self._volts
        self._pin = None if feeds else wired(setup.wires, f"channel{number}", "marker")
        self.timebase, self.trigger_late_ns = 0.0, 0
        self._late_ns = (0, 0)
        self.reset()

    def reset(self) -> None:
        top = self.model.amps[-1].full_scale
        self.measure, self.sweep = Settings(current_range=top), Sweep()
        self.elog_measure, self.elog = Settings(current=False, voltage=False, current_range=top), ElogSettings()
        self.emulation = self.model.power_on
        self.output.reset()

    def redraw(self, rng: np.random.Generator, timebase: float, trigger_late_ns: int) -> None:
        """timebase, and by how much samples begin after their trigger: the mainframe's, common to all its channels."""
        amps, volts, source, low_volts, lines = rng.spawn(5)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        if self._low_volts is not self._volts:
            self._low_volts.redraw(low_volts)
        self.output.redraw(source)
        self.timebase, self.trigger_late_ns = timebase, trigger_late_ns
        self._late_ns = drawn_delays(self.setup, lines)

    async def set_volt(self, volt: float) -> None:
        """VOLTage. Raises ScpiError(-222) beyond the source range, and for a negative one in two quadrants."""
        if abs(volt) > self.output.locus.volt * (1 + 1e-9) or (volt < 0 and self.emulation != "PS4Q"):
            raise ScpiError(-222)
        self.output.volt = volt
        await self.output.apply()

    async def set_limit(self, ampere: float) -> None:
        """CURRent:LIMit. Raises ScpiError(-222) beyond what the source range holds."""
        if ampere > self.output.locus.ampere * (1 + 1e-9):
            raise ScpiError(-222)
        self.output.limit = ampere
        self.couple(self.output.coupled)
        await self.output.apply()

    def couple(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        """CURRent:LIMit:COUPle: the negative limit follows the positive one ("N6705 Programmer's Reference Guide", p. 460, as quoted in a
        published driver)."""
        self.output.coupled = on
        if on:
            self.output.sunk_limit = -self.output.limit

    def set_sunk_limit(self, ampere: float) -> None:
        """CURRent:LIMit:NEGative. Raises ScpiError(-222) beyond what the source range holds, -221 while the limits are coupled."""
        if self.output.coupled:
            raise ScpiError(-221)
        if -ampere > self.output.locus.ampere * (1 + 1e-9):
            raise ScpiError(-222)
        self.output.sunk_limit = ampere

    async def set_locus(self, locus: Locus) -> None:
        """VOLTage:RANGe. Raises ScpiError(-221) when the present voltage or limit does not fit into it."""
        if abs(self.output.volt) > locus.volt or max(self.output.limit, -self.output.sunk_limit) > locus.ampere:
            raise ScpiError(-221)
        self.output.locus = locus
        await self.output.apply()

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
            return self._voltmeter(starts, ends, settings)
        means = node_means(self.setup, starts, ends)
        if settings.seamless:
            # the 10 uA range is only ever fixed: seamless ranging moves between 1 mA and the ranges above
            chosen = np.maximum(self._amps.seamless(means.current_rms), self._amps.index(self.model.seamless_from_a or 0.0))
            level = means.current_rms
        else:
            chosen = np.full(len(starts), self._amps.index(settings.current_range))
            level = peak_current(self.setup, starts, ends, means, full_scale=self._amps.ranges[chosen[0]].full_scale)
        amps = self._amps.read(means.current, starts, ends, chosen)
        amps[self._amps.overloaded(level, chosen) | (self.setup.trap == "overflow")] = OVER_RANGE
        seen = self._sensed(means.voltage, means.current)
        return {"I": amps, "V": self._volt_readings(seen, starts, ends, settings)}

    def _volt_readings(self, seen: Floats, starts: Instants, ends: Instants, settings: Settings) -> Floats:
        meter = self._volts if settings.voltage_range >= self._volts.ranges[0].full_scale else self._low_volts
        chosen = meter.index(settings.voltage_range)
        volts = meter.read(seen, starts, ends, chosen)
        volts[meter.overloaded(seen, chosen)] = OVER_RANGE
        return volts

    def _voltmeter(self, starts: Instants, ends: Instants, settings: Settings) -> dict[str, Floats]:
        volts = pin_means(self.setup.pins, self._pin, starts, ends, late_ns=self._late_ns) if self._pin else np.zeros(len(starts))
        return {"I": self._amps.read(np.zeros(len(starts)), starts, ends, 0), "V": self._volt_readings(volts, starts, ends, settings)}

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
