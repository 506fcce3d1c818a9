"""Virtual Yokogawa WT310E, WT310EH, WT332E or WT333E power meter, DC, in the supply line of the board.

Commands: "WT310E/WT332E/WT333E Communication Interface User's Manual" IM WT310E-17EN (syntax p. 5-1 to 5-6, status p. 7-5, data format
p. 9-7); specification: IM WT310E-02EN p. 7-7, over-range p. 1-12; ranges, which all elements share, and which of them is left by itself:
IM WT310E-01EN p. 2-7. Error numbers of this maker are positive (113 where others say -113).
Peak over-range is bit 7 (voltage) and 8 (current) of the condition register, 3 more an element (p. 7-5); a fixed range holds peaks of three
times itself (IM WT310E-01EN p. 2-7).
Not read on a page: which share of its offset the zero calibration leaves (5 %); how long a peak is told, of which the less kind is here:
while it lasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Converter, Floats, Instants, MeterRange, NoiseCurve, beyond, drawn_timebase, instants, node_means
from labd_virtual.instruments.yokogawa_wt310e_integrator import Integrator
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import definite_block
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Raw, Word, short_form
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Call, Command, pattern_keywords

IDENTITY = "YOKOGAWA,{}-C2-D/C7,VIRTUAL3,F1.04"
VOLTAGE_RANGES = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
_LARGE = (1.0, 2.0, 5.0, 10.0, 20.0)
CURRENT_RANGES = {
    "WT310E": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, *_LARGE),
    "WT310EH": (*_LARGE, 40.0),
    "WT332E": (0.5, *_LARGE),
    "WT333E": (0.5, *_LARGE),
}
ELEMENTS = {"WT310E": 1, "WT310EH": 1, "WT332E": 2, "WT333E": 3}
BY_ELEMENT = {1: "WT310E", 2: "WT332E", 3: "WT333E"}
SWITCHES = {  # off after a reset
    "filter": "[INPut:]FILTer:LINE",
    "frequency_filter": "[INPut:]FILTer:FREQuency",
    "scaling": "[INPut:]SCALing[:STATe]",
    "averaging": "MEASure:AVERaging[:STATe]",
    "max_hold": "MEASure:MHOLd",
}
UPDATES_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
SMALL_RANGE, ESCAPE_RANGE = 0.2, 1.0  # a fixed range up to 200 mA is left for 1 A AUTO by itself on over-input
OVER, OVER_40_A = 1.4, 1.1  # of range
CUT = 3.0  # of range: peak
BY_KEY_S = 0.25  # when the key of a trap is pressed, after the last setting
NOW_NS = 100_000  # over which the condition register looks for a peak
UPDATING, INTEGRATING, TIMING = 1, 2, 4  # condition register, p. 7-5
OVER_RANGE = {1: 64, 2: 512, 3: 4096}  # by element
PEAK_FILTER = 9  # POA1, bit 8
NOT_A_NUMBER, INFINITE = math.nan, math.inf  # 0x7FC00000 no data, 0x7F800000 over-range, p. 9-7
_UPDATE_SHARE = 0.02  # UPD is 1 for this share of an interval, at its end
_ZERO_LEAVES = 0.05
_NOISE = NoiseCurve((1e-3, 1.0), (5e-5, 2e-6))  # of full scale; assumed


TRAPS = {
    "leaves_range": "an input too large for a fixed range of 5 to 200 mA makes it leave that for 1 A and automatic ranges, without a word",
    "no_data": "an item without data is NaN in a block that is as long as ever",
    "over_range": "an input beyond its range is infinite in a block that is as long as ever",
    "null": "the NULL key subtracts what was read when it was pressed from voltage and current, though not from power",
    "averaging": "averaging, switched on by key, mixes what has flowed long before into each reading",
    "scaling": "ratios, switched on by key, multiply every reading",
    "max_hold": "MAX HOLD, switched on by key, shows the largest value so far in place of the present one",
    "peak_over": "peaks beyond a range are cut off: the values are too small, and only the condition register tells",
}


def create(setup: PersonaSetup) -> Persona:
    """Option `element`: the one in the board's supply; 2 makes it a WT332E, 3 a WT333E. An error row of quantity `power` counts where its
    full scale is voltage range x current range; else P has the errors of U and I."""
    return WT310E(setup, BY_ELEMENT[setup.options.get("element", 1)])


@dataclass(frozen=True, slots=True)
class Update:
    """One display update: interval number, means over it."""

    number: int
    volt: float
    ampere: float
    watt: float


class WT310E(ScpiPersona):
    """The instrument; see the module for sources. It feeds nothing."""

    def __init__(self, setup: PersonaSetup, model: str = "WT310E") -> None:
        super().__init__(setup, IDENTITY.format(model))
        self._elements, self._wired = ELEMENTS[model], setup.options.get("element", 1)
        self._amp_ranges = CURRENT_RANGES[model]
        amps = tuple(MeterRange(r, _NOISE.scaled(r)) for r in self._amp_ranges)
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
        self._mode, self._crest = "DC", "3"
        self._on = dict.fromkeys(SWITCHES, False)
        self._volt_range, self._volt_auto = 600.0, True
        self._amp_range, self._amp_auto = self._amp_ranges[-1], True
        self._null = (0.0, 0.0)
        self._null_on, self._float, self._update_s = False, False, 0.25
        self._least_auto, self._seen_update = self._amp_ranges[0], -1
        self._done, self._latched, self._peak_latched = -1, False, False
        self._items: list[tuple[str, int] | None] = [("U", 1), ("I", 1), ("P", 1), *[None] * 252]
        self._count = 3
        self._integral = Integrator()
        self._restart()

    def _restart(self) -> None:
        """A changed setting starts a new first interval, and leaves what the event register has latched [I p7-5]."""
        self._latched |= self._done > self._seen_update
        self._seen_update = -1
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
        if self.clock.now_ns() - self._origin_ns >= BY_KEY_S * 1e9:
            self._press_key()
        last = self._completed()
        while self._done < last:
            first = self._done + 1
            edges = instants(self._origin_ns, first, last - self._done, dt_ns=self._interval_ns(), timebase=self._timebase)
            means = node_means(self.setup, edges[:-1], edges[1:])
            over = np.flatnonzero((means.current_rms > self._most_a()) | (self.setup.trap == "leaves_range"))
            escapes = not self._amp_auto and self._amp_range <= SMALL_RANGE
            stop = int(over[0]) + 1 if len(over) and escapes else len(edges) - 1
            self._take(edges[: stop + 1], means.voltage[:stop], means.current[:stop], means.power[:stop])
            self._done = first + stop - 1
            if len(over) and escapes:
                self._amp_range, self._amp_auto, self._least_auto = ESCAPE_RANGE, True, ESCAPE_RANGE

    def _press_key(self) -> None:
        if self.setup.trap == "null" and not self._null_on and self._latest is not None:
            self._nulled(on=True)
        elif self.setup.trap in self._on:
            self._on[self.setup.trap] = True

    def _take(self, edges: Instants, volt: Floats, ampere: Floats, watt: Floats) -> None:
        if self._volt_auto and len(volt):
            self._volt_range = _reaching(VOLTAGE_RANGES, float(np.abs(volt).max()))
        if self._amp_auto and len(ampere):
            self._amp_range = _reaching(self._amp_ranges, max(float(np.abs(ampere).max()), self._least_auto))
        v_index, i_index = self._volts.index(self._volt_range), self._amps.index(self._amp_range)
        volts = self._volts.read(volt, edges[:-1], edges[1:], v_index)
        amps = self._amps.read(ampere, edges[:-1], edges[1:], i_index)
        cut = self._cut_a(edges)
        amps = amps - np.copysign(cut, ampere)
        watts = self._power(watt - volt * cut, volt, ampere - np.copysign(cut, ampere), volts, amps)
        if self._null_on:
            volts, amps = volts - self._null[0], amps - self._null[1]
        if self._on["scaling"]:
            amps, watts = 10.0 * amps, 10.0 * watts
        amps = np.where(np.abs(ampere) > self._most_a(), INFINITE, amps)
        watts = np.where(np.isinf(amps), INFINITE, watts)
        self._integral.add(edges, amps, watts)
        self._latest = self._processed(Update(self._done + len(volt), float(volts[-1]), float(amps[-1]), float(watts[-1])))

    def _processed(self, new: Update) -> Update:
        """By what its keys have switched on. The factor of exponential averaging is the smallest there is."""
        old = self._latest
        if old is None or not (self._on["averaging"] or self._on["max_hold"]):
            return new
        shares = [(getattr(old, name), getattr(new, name)) for name in ("volt", "ampere", "watt")]
        if self._on["max_hold"]:
            return Update(new.number, *(max(pair, key=abs) for pair in shares))
        return Update(new.number, *(before + (now - before) / 8 for before, now in shares))

    def _cut_a(self, edges: Instants) -> Floats:
        """Mean current of each update that lies beyond what the range holds, and is latched as a peak (A)."""
        width = np.diff(edges) * 1e-9
        cut = beyond(self.setup, edges[:-1], edges[1:], limit_a=CUT * self._amp_range) / width
        if self.setup.trap == "peak_over":
            cut = cut + 1e-3 * self._amp_range
        elif self._filters[PEAK_FILTER + 3 * (self._wired - 1)] in ("RISE", "BOTH"):
            self._peak_latched |= bool(np.any(cut > 0.0))
        return cut

    def _peaks_now(self) -> bool:
        now = np.array([self.clock.now_ns()], dtype=np.int64)
        if self.setup.trap == "peak_over" or now[0] < NOW_NS:
            return self.setup.trap == "peak_over"
        return bool(beyond(self.setup, now - NOW_NS, now, limit_a=CUT * self._amp_range)[0] > 0.0)

    def _most_a(self) -> float:
        return (OVER_40_A if self._amp_range == 40.0 else OVER) * self._amp_range

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
        over = OVER_RANGE[self._wired] if self._latest is not None and math.isinf(self._latest.ampere) else 0
        peak = self._poa if self._peaks_now() else 0
        return (UPDATING if within > 1 - _UPDATE_SHARE else 0) | busy | over | peak

    @property
    def _poa(self) -> int:
        return int(1 << (PEAK_FILTER - 1 + 3 * (self._wired - 1)))

    def _extended_event(self) -> int:
        """UPD falls at every completed interval; between two reads that is all a poll can know."""
        event = self._events.event()
        if (self._latched or self._done > self._seen_update) and self._filters[1] in ("FALL", "BOTH"):
            event |= UPDATING
        event |= self._poa if self._peak_latched else 0
        self._latched, self._peak_latched, self._seen_update = False, False, self._done
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
        if call.suffixes[0] == 1:
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
        for name, header in SWITCHES.items():
            self._declare_switch(name, header)
        tree.add("[INPut:]CFACtor", self._set_crest, Raw())
        tree.query("[INPut:]CFACtor", lambda _: self._crest)
        tree.add("[INPut:]NULL[:STATe]", self._set_null, Boolean())
        tree.query("[INPut:]NULL[:STATe]", lambda _: str(int(self._null_on)))
        self._range("VOLTage", "V", VOLTAGE_RANGES, "_volt")
        self._range("CURRent", "A", self._amp_ranges, "_amp")
        tree.add("RATE", self._set_rate, Number("S", UPDATES_S[0], UPDATES_S[-1]))
        tree.query("RATE", lambda _: f"{self._update_s:.3E}")

    def _declare_switch(self, name: str, header: str) -> None:
        self.scpi.tree.add(header, lambda c: self._on.__setitem__(name, c[0]), Boolean())
        self.scpi.tree.query(header, lambda _: str(int(self._on[name])))

    def _range(self, name: str, unit: str, ranges: tuple[float, ...], prefix: str) -> None:
        def change(call: Call) -> None:
            if self._integral.running:
                raise ScpiError(-221)
            if not _is_range(ranges, call[0]):
                raise ScpiError(-222)
            setattr(self, f"{prefix}_range", _reaching(ranges, call[0]))
            setattr(self, f"{prefix}_auto", False)
            self._least_auto = self._amp_ranges[0]
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
            raise ScpiError(-221)  # AC modes are not built here but by key
        self._mode = call[0]

    def _set_crest(self, call: Call) -> None:
        if call[0].text not in ("3", "6", "A6"):
            raise ScpiError(-224)
        if call[0].text != "3":
            raise ScpiError(-221)  # the halved ranges are not built here

    def _set_null(self, call: Call) -> None:
        self._nulled(on=call[0])

    def _nulled(self, *, on: bool) -> None:
        self._null_on = on
        if on and self._latest is not None:
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
        element = 1 if call[1] is None else call[1]
        if element > self._elements:
            raise ScpiError(-222)
        self._items[call.suffixes[0] - 1] = None if name == "NONE" else (name, element)

    def _item_text(self, number: int) -> str:
        item = self._items[number - 1]
        return "NONE" if item is None else f"{item[0]},{item[1]}"

    def _values(self, call: Call) -> str | bytes:
        items = self._items[: self._count] if call[0] is None else [self._items[call[0] - 1]]
        values = [NOT_A_NUMBER if item is None else self._value(*item) for item in items]
        if self._float:
            return definite_block(np.array(values, dtype=">f4").tobytes())
        return ",".join(_ascii(v) for v in values)

    def _value(self, name: str, element: int) -> float:
        """Nothing is wired to the other elements."""
        if name in ("WH", "AH", "TIME"):
            return self._integral.value(name)
        if self._latest is None:
            return NOT_A_NUMBER
        if self.setup.trap in ("no_data", "over_range"):
            return NOT_A_NUMBER if self.setup.trap == "no_data" else INFINITE
        readings: dict[str, Callable[[Update], float]] = {"U": lambda u: u.volt, "I": lambda u: u.ampere, "P": lambda u: u.watt}
        return readings[name](self._latest) if element == self._wired else 0.0

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


def _ascii(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    return "INF" if math.isinf(value) else f"{value:.4E}"


def _reaching(ranges: tuple[float, ...], value: float) -> float:
    return next((r for r in ranges if value <= r * (1 + 1e-9)), ranges[-1])


def _is_range(ranges: tuple[float, ...], value: float) -> bool:
    return any(math.isclose(r, value, rel_tol=1e-6) for r in ranges)
