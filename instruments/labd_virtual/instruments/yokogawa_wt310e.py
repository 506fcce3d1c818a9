"""Virtual Yokogawa WT310E power meter, DC, in the supply line of the board.

Commands: "WT310E/WT332E/WT333E Communication Interface User's Manual" IM WT310E-17EN (syntax p. 5-1 to 5-6, status p. 7-5, data format
p. 9-7); specification: IM WT310E-02EN p. 7-7. Error numbers of this maker are positive (113 where others say -113).
Not read on a page: the over-range threshold (140 % of range taken) and which share of its offset the zero calibration leaves (5 %).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Converter, Floats, Instants, MeterRange, NoiseCurve, drawn_timebase, instants, node_means
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import definite_block
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Word, short_form
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Call, Command, pattern_keywords

IDENTITY = "YOKOGAWA,WT310E-C2-D/C7,VIRTUAL3,F1.04"
VOLTAGE_RANGES = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
CURRENT_RANGES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
UPDATES_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
SMALL_RANGE, ESCAPE_RANGE = 0.2, 1.0  # a fixed range up to 200 mA is left for 1 A AUTO by itself on over-input
OVER = 1.4
UPDATING, INTEGRATING, TIMING, OVER_RANGE_1 = 1, 2, 4, 64  # condition register, p. 7-5
NOT_A_NUMBER, INFINITE = math.nan, math.inf  # 0x7FC00000 no data, 0x7F800000 over-range, p. 9-7
_UPDATE_SHARE = 0.02  # UPD is 1 for this share of an interval, at its end
_ZERO_LEAVES = 0.05
_NOISE = NoiseCurve((1e-3, 1.0), (5e-5, 2e-6))  # of full scale; assumed


TRAPS = {
    "leaves_range": "an input too large for a fixed range of 5 to 200 mA makes it leave that for 1 A and automatic ranges, without a word",
    "no_data": "an item without data is NaN in a block that is as long as ever",
    "over_range": "an input beyond its range is infinite in a block that is as long as ever",
}


def create(setup: PersonaSetup) -> Persona:
    """No options. An error row of quantity `power` counts where its full scale is voltage range x current range; else P has the errors
    of U and I."""
    return WT310E(setup)


@dataclass(frozen=True, slots=True)
class Update:
    """One display update: interval number, means over it."""

    number: int
    volt: float
    ampere: float
    watt: float


class WT310E(ScpiPersona):
    """The instrument; see the module for sources. It feeds nothing."""

    def __init__(self, setup: PersonaSetup) -> None:
        super().__init__(setup, IDENTITY)
        amps = tuple(MeterRange(r, _NOISE.scaled(r)) for r in CURRENT_RANGES)
        volts = tuple(MeterRange(r, _NOISE.scaled(r)) for r in VOLTAGE_RANGES)
        self._amps = Converter(setup, "current", amps, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self._volts = Converter(setup, "voltage", volts)
        self.redraw(setup.rng)
        self._reset()
        scpi = self.scpi
        scpi.before, scpi.reset, scpi.decorate = self._catch_up, self._reset, self._with_header
        self._events = RegisterGroup(self._condition)
        self._events.positive = 0
        self._filters = dict.fromkeys(range(1, 17), "NEV")
        self._declare_system()
        self._declare_input()
        self._declare_numeric()
        self._declare_integrator()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock, power = rng.spawn(4)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self._timebase = drawn_timebase(self.setup, clock)
        self._power_draw = tuple(power.uniform(-1, 1, 2))

    def output_on(self) -> bool:
        return False

    # --- measuring

    def _reset(self) -> None:
        self._headers = self._verbose = True
        self._mode, self._line_filter = "DC", False
        self._volt_range, self._volt_auto = 600.0, True
        self._amp_range, self._amp_auto = 20.0, True
        self._null = (0.0, 0.0)
        self._null_on, self._float, self._update_s = False, False, 0.25
        self._least_auto, self._seen_update = CURRENT_RANGES[0], -1
        self._items: list[str | None] = ["U", "I", "P", *[None] * 252]
        self._count = 3
        self._integral = Integrator()
        self._restart()

    def _restart(self) -> None:
        """A changed setting starts a new first interval."""
        self._origin_ns, self._done = self.clock.now_ns(), -1
        self._latest: Update | None = None

    def _interval_ns(self) -> float:
        return self._update_s * 1e9

    def _edge_ns(self, number: int) -> int:
        return int(instants(self._origin_ns, number, 0, dt_ns=self._interval_ns(), timebase=self._timebase)[0])

    def _completed(self) -> int:
        """Number of the last whole interval, -1 before the first."""
        elapsed = self.clock.now_ns() - self._origin_ns
        number = int(elapsed / (self._interval_ns() * (1 + self._timebase)))
        while self._edge_ns(number) > self.clock.now_ns():
            number -= 1
        return number - 1

    def _catch_up(self) -> None:
        """Work off the intervals since the last look; only the last counts for display, every one for over-input and integration."""
        last = self._completed()
        while self._done < last:
            first = self._done + 1
            edges = instants(self._origin_ns, first, last - self._done, dt_ns=self._interval_ns(), timebase=self._timebase)
            means = node_means(self.setup, edges[:-1], edges[1:])
            over = np.flatnonzero((means.current_rms > OVER * self._amp_range) | (self.setup.trap == "leaves_range"))
            escapes = not self._amp_auto and self._amp_range <= SMALL_RANGE
            stop = int(over[0]) + 1 if len(over) and escapes else len(edges) - 1
            self._take(edges[: stop + 1], means.voltage[:stop], means.current[:stop], means.power[:stop])
            self._done = first + stop - 1
            if len(over) and escapes:
                self._amp_range, self._amp_auto, self._least_auto = ESCAPE_RANGE, True, ESCAPE_RANGE

    def _take(self, edges: Instants, volt: Floats, ampere: Floats, watt: Floats) -> None:
        if self._volt_auto and len(volt):
            self._volt_range = _reaching(VOLTAGE_RANGES, float(np.abs(volt).max()))
        if self._amp_auto and len(ampere):
            self._amp_range = _reaching(CURRENT_RANGES, max(float(np.abs(ampere).max()), self._least_auto))
        v_index, i_index = self._volts.index(self._volt_range), self._amps.index(self._amp_range)
        volts = self._volts.read(volt, edges[:-1], edges[1:], v_index)
        amps = self._amps.read(ampere, edges[:-1], edges[1:], i_index)
        watts = self._power(watt, volt, ampere, volts, amps)
        if self._null_on:
            volts, amps = volts - self._null[0], amps - self._null[1]
        amps = np.where(np.abs(ampere) > OVER * self._amp_range, INFINITE, amps)
        watts = np.where(np.isinf(amps), INFINITE, watts)
        self._integral.add(edges, amps, watts)
        self._latest = Update(self._done + len(volt), float(volts[-1]), float(amps[-1]), float(watts[-1]))

    def _power(self, watt: Floats, volt: Floats, ampere: Floats, volts: Floats, amps: Floats) -> Floats:
        full = self._volt_range * self._amp_range
        row = next((r for r in self.setup.accuracy if r.quantity == "power" and math.isclose(r.full_scale, full, rel_tol=1e-6)), None)
        if row is not None:
            gain, offset = row.gain * self._power_draw[0], row.offset * self._power_draw[1]
            by_row: Floats = watt * (1 + gain) + offset + self.setup.fixture_leakage_a * volt
            return by_row
        ripple = watt - volt * ampere  # power in the changing parts, which the product of means misses
        product: Floats = volts * amps + ripple
        return product

    # --- status

    def _condition(self) -> int:
        within = (self.clock.now_ns() - self._origin_ns) / (self._interval_ns() * (1 + self._timebase)) % 1.0
        busy = (INTEGRATING | TIMING) if self._integral.running else 0
        over = OVER_RANGE_1 if self._latest is not None and math.isinf(self._latest.ampere) else 0
        return (UPDATING if within > 1 - _UPDATE_SHARE else 0) | busy | over

    def _extended_event(self) -> int:
        """UPD falls at every completed interval; between two reads that is all a poll can know."""
        event = self._events.event()
        if self._done > self._seen_update and self._filters[1] in ("FALL", "BOTH"):
            event |= UPDATING
        self._seen_update = self._done
        return event

    async def _wait(self, call: Call) -> None:
        """:COMMunicate:WAIT <register>: until one of the extended event bits is set; only the update bit can be awaited here."""
        if call[0] & UPDATING and self._filters[1] != "NEV" and self._done <= self._seen_update:
            await self.clock.sleep_until(self._edge_ns(self._done + 2))
            self._catch_up()

    # --- commands

    def _with_header(self, command: Command, text: str) -> str:
        if command.headerless or not self._headers:
            return text
        names, optional = pattern_keywords(command.pattern)
        kept = [n for n, skip in zip(names, optional, strict=True) if not skip] if not self._verbose else names
        return ":" + ":".join(n.upper() if self._verbose else short_form(n) for n in kept) + " " + text

    def _declare_system(self) -> None:
        tree = self.scpi.tree
        tree.query("STATus:ERRor", lambda _: self._error(), headerless=True)
        tree.query("STATus:CONDition", lambda _: str(self._condition()))
        tree.query("STATus:EESR", lambda _: str(self._extended_event()))
        tree.add("STATus:EESE", lambda c: setattr(self._events, "enable", c[0]), Integer(0, 65535))
        tree.query("STATus:EESE", lambda _: str(self._events.enable))
        tree.add("STATus:FILTer<1-16>", self._set_filter, Choice("RISE|FALL|BOTH|NEVer"))
        tree.query("STATus:FILTer<1-16>", lambda c: self._filters[c.suffixes[0]])
        tree.add("COMMunicate:HEADer", lambda c: setattr(self, "_headers", c[0]), Boolean())
        tree.query("COMMunicate:HEADer", lambda _: str(int(self._headers)))
        tree.add("COMMunicate:VERBose", lambda c: setattr(self, "_verbose", c[0]), Boolean())
        tree.query("COMMunicate:VERBose", lambda _: str(int(self._verbose)))
        tree.add("COMMunicate:REMote", lambda _: None, Boolean())
        tree.add("COMMunicate:WAIT", self._wait, Integer(0, 65535))
        tree.query("*OPT", lambda _: "NONE", headerless=True)
        tree.query("*CAL", lambda _: self._calibrate(), headerless=True)

    def _error(self) -> str:
        code, text = self.scpi.errors.pop()
        return f'{abs(code)},"{text}"'

    def _set_filter(self, call: Call) -> None:
        self._filters[call.suffixes[0]] = call[0]
        self._seen_update = self._done

    def _calibrate(self) -> str:
        """*CAL?: zero-level compensation; it takes away the offsets of the inputs, not a current that flows."""
        for converter in (self._amps, self._volts):
            converter.zero(self.clock.now_ns(), offset_left=_ZERO_LEAVES)
        return "0"

    def _declare_input(self) -> None:
        tree = self.scpi.tree
        tree.add("[INPut:]MODE", self._set_mode, Choice("RMS|VMEan|DC"))
        tree.query("[INPut:]MODE", lambda _: self._mode)
        tree.add("[INPut:]FILTer:LINE", lambda c: setattr(self, "_line_filter", c[0]), Boolean())
        tree.query("[INPut:]FILTer:LINE", lambda _: str(int(self._line_filter)))
        tree.add("[INPut:]NULL[:STATe]", self._set_null, Boolean())
        tree.query("[INPut:]NULL[:STATe]", lambda _: str(int(self._null_on)))
        self._range("VOLTage", "V", VOLTAGE_RANGES, "_volt")
        self._range("CURRent", "A", CURRENT_RANGES, "_amp")
        tree.add("RATE", self._set_rate, Number("S", UPDATES_S[0], UPDATES_S[-1]))
        tree.query("RATE", lambda _: f"{self._update_s:.3E}")

    def _range(self, name: str, unit: str, ranges: tuple[float, ...], prefix: str) -> None:
        def change(call: Call) -> None:
            if self._integral.running:
                raise ScpiError(-221)
            if not _is_range(ranges, call[0]):
                raise ScpiError(-222)
            setattr(self, f"{prefix}_range", _reaching(ranges, call[0]))
            setattr(self, f"{prefix}_auto", False)
            self._least_auto = CURRENT_RANGES[0]
            self._restart()

        def automatic(call: Call) -> None:
            setattr(self, f"{prefix}_auto", call[0])
            self._restart()

        tree = self.scpi.tree
        tree.add(f"[INPut:]{name}:RANGe", change, Number(unit, 0.0, ranges[-1]))
        tree.query(f"[INPut:]{name}:RANGe", lambda _: f"{getattr(self, prefix + '_range'):.3E}")
        tree.add(f"[INPut:]{name}:AUTO", automatic, Boolean())
        tree.query(f"[INPut:]{name}:AUTO", lambda _: str(int(getattr(self, prefix + "_auto"))))

    def _set_mode(self, call: Call) -> None:
        if call[0] != "DC":
            raise ScpiError(-221)  # AC modes are not built here
        self._mode = call[0]

    def _set_null(self, call: Call) -> None:
        self._null_on = call[0]
        if call[0] and self._latest is not None:
            self._null = (self._latest.volt, self._latest.ampere)

    def _set_rate(self, call: Call) -> None:
        if self._integral.running:
            raise ScpiError(-221)
        if not _is_range(UPDATES_S, call[0]):
            raise ScpiError(-222)
        self._update_s = call[0]
        self._restart()

    def _declare_numeric(self) -> None:
        tree = self.scpi.tree
        tree.add("NUMeric:FORMat", lambda c: setattr(self, "_float", c[0] == "FLO"), Choice("ASCii|FLOat"))
        tree.query("NUMeric:FORMat", lambda _: "FLO" if self._float else "ASC")
        tree.add("NUMeric[:NORMal]:NUMBer", lambda c: setattr(self, "_count", c[0]), Integer(1, 255))
        tree.query("NUMeric[:NORMal]:NUMBer", lambda _: str(self._count))
        tree.add("NUMeric[:NORMal]:ITEM<1-255>", self._set_item, Word(), Integer(1, 3, optional=True))
        tree.query("NUMeric[:NORMal]:ITEM<1-255>", lambda c: self._item_text(c.suffixes[0]))
        tree.query("NUMeric[:NORMal]:VALue", self._values, Integer(1, 255, optional=True), headerless=True)

    def _set_item(self, call: Call) -> None:
        name = call[0]
        if name not in ("U", "I", "P", "WH", "AH", "TIME", "NONE"):
            raise ScpiError(-224)
        if call[1] not in (None, 1):
            raise ScpiError(-222)  # a WT310E has one element
        self._items[call.suffixes[0] - 1] = None if name == "NONE" else name

    def _item_text(self, number: int) -> str:
        name = self._items[number - 1]
        return "NONE" if name is None else f"{name},1"

    def _values(self, call: Call) -> str | bytes:
        names = self._items[: self._count] if call[0] is None else [self._items[call[0] - 1]]
        values = [self._value(name) for name in names]
        if self._float:
            return definite_block(np.array(values, dtype=">f4").tobytes())
        return ",".join(_ascii(v) for v in values)

    def _value(self, name: str | None) -> float:
        if name in ("WH", "AH", "TIME"):
            return self._integral.value(name)
        if name is None or self._latest is None:
            return NOT_A_NUMBER
        if self.setup.trap in ("no_data", "over_range"):
            return NOT_A_NUMBER if self.setup.trap == "no_data" else INFINITE
        readings: dict[str, Callable[[Update], float]] = {"U": lambda u: u.volt, "I": lambda u: u.ampere, "P": lambda u: u.watt}
        return readings[name](self._latest)

    def _declare_integrator(self) -> None:
        tree = self.scpi.tree

        def integral() -> Integrator:
            return self._integral

        tree.add("INTEGrate:MODE", lambda c: setattr(integral(), "mode", c[0]), Choice("NORMal|CONTinuous"))
        tree.query("INTEGrate:MODE", lambda _: integral().mode)
        hours = (Integer(0, 10000), Integer(0, 59), Integer(0, 59))
        tree.add("INTEGrate:TIMer", lambda c: setattr(integral(), "timer", c.values), *hours)
        tree.query("INTEGrate:TIMer", lambda _: ",".join(str(v) for v in integral().timer))
        tree.add("INTEGrate:STARt", lambda _: self._start())
        tree.add("INTEGrate:STOP", lambda _: integral().stop())
        tree.add("INTEGrate:RESet", lambda _: integral().reset())
        tree.query("INTEGrate:STATe", lambda _: integral().state)

    def _start(self) -> None:
        """Integration needs fixed ranges."""
        if self._volt_auto or self._amp_auto:
            raise ScpiError(-221)
        self._integral.start()


@dataclass(slots=True)
class Integrator:
    """Watt hours and ampere hours over whole display intervals. state: STAR, STOP, RES, TIM or ERR."""

    mode: str = "NORM"
    timer: tuple[int, ...] = (0, 0, 0)
    state: str = "RES"
    joules: float = 0.0
    coulombs: float = 0.0
    seconds: float = 0.0

    @property
    def running(self) -> bool:
        return self.state == "STAR"

    def start(self) -> None:
        if self.state not in ("RES", "STOP"):
            raise ScpiError(-221)
        self.state = "STAR"

    def stop(self) -> None:
        if not self.running:
            raise ScpiError(-221)
        self.state = "STOP"

    def reset(self) -> None:
        if self.running:
            raise ScpiError(-221)
        self.state, self.joules, self.coulombs, self.seconds = "RES", 0.0, 0.0, 0.0

    def add(self, edges: Instants, amps: Floats, watts: Floats) -> None:
        if not self.running:
            return
        width = np.diff(edges) * 1e-9
        limit = self.timer[0] * 3600 + self.timer[1] * 60 + self.timer[2]
        room = limit - self.seconds if limit else math.inf
        kept = int(np.searchsorted(np.cumsum(width), room * (1 + 1e-9), side="right"))
        self.joules += float(np.sum(watts[:kept] * width[:kept]))
        self.coulombs += float(np.sum(amps[:kept] * width[:kept]))
        self.seconds += float(np.sum(width[:kept]))
        if not math.isfinite(self.joules):
            self.state = "ERR"
        elif kept < len(width) or self.seconds >= limit > 0:
            self.state = "TIM"

    def value(self, name: str) -> float:
        return {"WH": self.joules / 3600, "AH": self.coulombs / 3600, "TIME": self.seconds}[name]


def _ascii(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    return "INF" if math.isinf(value) else f"{value:.4E}"


def _reaching(ranges: tuple[float, ...], value: float) -> float:
    return next((r for r in ranges if value <= r * (1 + 1e-9)), ranges[-1])


def _is_range(ranges: tuple[float, ...], value: float) -> bool:
    return any(math.isclose(r, value, rel_tol=1e-6) for r in ranges)
