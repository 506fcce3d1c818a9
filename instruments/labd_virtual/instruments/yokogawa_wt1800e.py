"""Virtual Yokogawa WT500, WT1800 or WT1800E power analyzer, DC, in the supply line of the board.

Sources: the maker's demonstrations for the WT500 (in github.com/NilsMinor/QWT500) and for the WT1800 and WT1800E (ranges by element, update
intervals, items, blocks with the large end first, headers and their absence, external sensors, *IDN?, the latched end of an update); the
list of commands of IM WT1801-17EN in github.com/Soochol/WF_EOL_TESTER (crest factor, scaling, averaging, hold, modules, peak over-range,
integration, *CAL?, NULL) with its driver (813 while it integrates); a dialogue of a real WT500 in QWT500 (NAN of items without data).
Numbers of other errors are those of a WT310E (IM WT310E-17EN), which are positive.
Not read anywhere, and assumed: at which mean a range is over (140 %) and at which peak it cuts off (330 % at crest factor 3), how one asks
for the elements of a module list (all, by comma), that a changed setting begins a new update, what the zero calibration leaves (5 %),
how long it takes (1.2 s; updates end meanwhile).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Converter, MeterRange, NoiseCurve, beyond, drawn_timebase, instants, node_means
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import Kind, definite_block
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Raw, Word, short_form
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Call, Command, pattern_keywords

HIGH_V = (15.0, 30.0, 60.0, 100.0, 150.0, 300.0, 600.0, 1000.0)
VOLTAGE_RANGES = {"WT500": HIGH_V, "WT1800": (1.5, 3.0, 6.0, 10.0, *HIGH_V)}
CURRENT_RANGES = {
    40: (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0),  # of a WT500
    5: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
    50: (1.0, 2.0, 5.0, 10.0, 20.0, 50.0),
}
UPDATES_S = {"WT500": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0), "WT1800": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)}
OVER, CUT = 1.4, 3.3  # of range: mean, peak
NOT_A_NUMBER, INFINITE = math.nan, math.inf
INTEGRATING = ScpiError(-813, "Cannot be set while integration is running")
FUNCTIONS = ("UDC", "IDC", "P", "URMS", "IRMS", "U", "I", "NONE")
CALIBRATION_S = 1.2  # what *CAL? takes
BY_KEY_S = 0.25  # when the key of a trap is pressed, after the last setting
_ZERO_LEAVES = 0.05
_NOISE = NoiseCurve((1e-3, 1.0), (5e-5, 2e-6))  # of full scale; assumed

TRAPS = {
    "no_data": "an item without data is NaN in a block that is as long as ever",
    "over_range": "an input beyond its range is infinite in a block that is as long as ever",
    "peak_over": "peaks beyond a range are cut off: the values are too small, and only a query of its own tells",
    "held": "somebody holds the values by key: no update ends any more",
    "auto_range": "automatic ranging comes on again by key after a range was fixed, and the range moves without a word",
    "external": "the input of an external sensor is chosen by key, and current and power are what that sensor would mean",
    "scaling": "a CT ratio switched on by key multiplies current and power, and the values do not tell",
    "averaging": "averaging, switched on by key, mixes what has flowed long before into each reading",
    "null": "the NULL key subtracts what was read when it was pressed from every later reading",
    "integrating": "an integration that was begun by key refuses every setting",
}


def create(setup: PersonaSetup) -> Persona:
    """Option `element`: the one in the board's supply, the last of a WT1801E to WT1806E, whose elements take 5 A. Raises ValueError for an
    interface of the network other than VXI-11, which it does not have."""
    return WT1800E(setup, f"WT180{setup.options.get('element', 1)}E")


@dataclass(frozen=True, slots=True)
class Update:
    """What one update tells of the wired element, SI units. peak_over: a peak was cut off."""

    values: dict[str, float]
    peak_over: bool


class WT1800E(ScpiPersona):
    """The instrument; see the module for sources. It feeds nothing. module: ampere that its elements take, 40 of a WT500."""

    def __init__(self, setup: PersonaSetup, model: str, *, module: int = 5) -> None:
        if setup.interface != "vxi11":
            raise ValueError(f"a {model} has VXI-11 and no {setup.interface}")
        self._family = "WT1800" if model.startswith("WT") else "WT500"
        self._elements, self._wired = int(model.rstrip("E")[-1]), setup.options.get("element", 1)
        self._module = module if self._family == "WT1800" else 40
        suffix = f"{self._module}A{self._elements}" if self._family == "WT1800" else "30"
        super().__init__(setup, f"YOKOGAWA,{model}-{suffix},VIRTUAL7,F1.01")
        self._ranges_of = {"VOLT": VOLTAGE_RANGES[self._family], "CURR": CURRENT_RANGES[self._module]}
        volts, amps = (tuple(MeterRange(r, _NOISE.scaled(r)) for r in self._ranges_of[q]) for q in ("VOLT", "CURR"))
        self._volts = Converter(setup, "voltage", volts)
        self._amps = Converter(setup, "current", amps, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self.redraw(setup.rng)
        self._events = RegisterGroup(lambda: 0)
        self._reset()
        self._integrating = setup.trap == "integrating"
        self.scpi.before, self.scpi.reset, self.scpi.decorate = self._catch_up, self._reset, self._with_header
        self._declare_system()
        self._declare_input()
        self._declare_numeric()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self._timebase = drawn_timebase(self.setup, clock)

    def output_on(self) -> bool:
        return False

    # --- measuring

    def _reset(self) -> None:
        self._may_change()
        self._headers = self._verbose = True
        self._crest, self._update_s = "3", 0.5
        self._range = {"VOLT": self._ranges_of["VOLT"][-1], "CURR": self._ranges_of["CURR"][-1]}
        self._auto = {"VOLT": False, "CURR": False}
        self._external: float | None = None
        self._scaling = self._averaging = self._held = self._float = False
        self._null: tuple[float, float] = (0.0, 0.0)
        self._null_on = False
        self._items: list[tuple[str, int]] = [("URMS", 1), ("IRMS", 1), ("P", 1), *[("NONE", 1)] * 252]
        self._count, self._falls = 3, False
        self._restart()

    def _may_change(self) -> None:
        if getattr(self, "_integrating", False):
            raise INTEGRATING

    def _restart(self) -> None:
        self._origin_ns, self._done, self._seen = self.clock.now_ns(), -1, -1
        self._latest: Update | None = None

    def _edge_ns(self, number: int) -> int:
        return int(instants(self._origin_ns, number, 0, dt_ns=self._update_s * 1e9, timebase=self._timebase)[0])

    def _catch_up(self) -> None:
        """Only the last of the updates that have ended counts."""
        last = int((self.clock.now_ns() - self._origin_ns) / (self._update_s * 1e9 * (1 + self._timebase)))
        while self._edge_ns(last) > self.clock.now_ns():
            last -= 1
        if last - 1 > self._done and not self._held:
            self._done = last - 1
            self._latest = self._measured(self._done)
        if self.clock.now_ns() - self._origin_ns >= BY_KEY_S * 1e9:
            self._press_keys()

    def _press_keys(self) -> None:
        if self.setup.trap == "held":
            self._held = True
        elif self.setup.trap == "auto_range":
            self._auto["CURR"] = True
        elif self.setup.trap == "external":
            self._external = 10.0
        elif self.setup.trap == "scaling":
            self._scaling = True
        elif self.setup.trap == "averaging":
            self._averaging = True
        elif self.setup.trap == "null" and not self._null_on and self._latest is not None:
            self._nulled(on=True)

    def _nulled(self, *, on: bool) -> None:
        """What is shown at the press of the key is subtracted from then on."""
        shown = self._latest if on else None
        self._null_on, self._null = on, (0.0, 0.0) if shown is None else (shown.values["UDC"], shown.values["IDC"])

    def _measured(self, number: int) -> Update:
        edges = np.array([self._edge_ns(number), self._edge_ns(number + 1)], dtype=np.int64)
        starts, ends = edges[:-1], edges[1:]
        means = node_means(self.setup, starts, ends)
        levels = {"VOLT": abs(float(means.voltage[0])), "CURR": float(means.current_rms[0])}
        for quantity in ("VOLT", "CURR"):
            if self._auto[quantity]:
                self._range[quantity] = next((r for r in self._ranges_of[quantity] if levels[quantity] <= r), self._ranges_of[quantity][-1])
        volt = float(self._volts.read(means.voltage, starts, ends, self._volts.index(self._range["VOLT"]))[0])
        ampere = float(self._amps.read(means.current, starts, ends, self._amps.index(self._range["CURR"]))[0])
        lost = float(beyond(self.setup, starts, ends, limit_a=CUT * self._range["CURR"])[0]) / float(ends[0] - starts[0]) * 1e9
        cut = lost > 0.0 or self.setup.trap == "peak_over"
        ampere = (ampere - math.copysign(lost, ampere)) * (0.9 if self.setup.trap == "peak_over" else 1.0)
        ampere *= 10.0 if self._scaling or self._external is not None else 1.0
        volt, ampere = volt - self._null[0], ampere - self._null[1]
        ripple = float(means.power[0]) - float(means.voltage[0]) * float(means.current[0])
        if any(levels[quantity] > OVER * self._range[quantity] for quantity in levels) or self.setup.trap == "over_range":
            ampere = INFINITE
        rms = math.sqrt(ampere**2 + max(0.0, levels["CURR"] ** 2 - float(means.current[0]) ** 2))
        if self._averaging and self._latest is not None:  # exponential, by the smallest factor
            volt, ampere = (new + (self._latest.values[name] - new) * 7 / 8 for new, name in ((volt, "UDC"), (ampere, "IDC")))
        values = {"UDC": volt, "IDC": ampere, "P": volt * ampere + ripple, "URMS": abs(volt), "IRMS": rms, "U": abs(volt), "I": rms}
        return Update(values, cut)

    # --- commands

    def _with_header(self, command: Command, text: str) -> str:
        if command.headerless or not self._headers:
            return text
        names, optional = pattern_keywords(command.pattern)
        kept = names if self._verbose else [n for n, skip in zip(names, optional, strict=True) if not skip]
        return ":" + ":".join(n.upper() if self._verbose else short_form(n) for n in kept) + " " + text

    def _setting(self, header: str, change: Callable[[Call], None], *parameters: Boolean | Raw | Number) -> None:
        """Refused while it integrates; else the measurement begins anew."""

        def act(call: Call) -> None:
            self._may_change()
            change(call)
            self._restart()

        self.scpi.tree.add(header, act, *parameters)

    def _element(self, call: Call) -> int:
        if call.suffixes[-1] > self._elements:
            raise ScpiError(-114)
        return call.suffixes[-1]

    def _declare_system(self) -> None:
        tree = self.scpi.tree
        tree.query("STATus:ERRor", lambda _: self._error(), headerless=True)
        tree.query("STATus:EESR", lambda _: str(self._extended_event()))
        tree.add("STATus:FILTer<1-16>", self._set_filter, Choice("RISE|FALL|BOTH|NEVer"))
        tree.add("COMMunicate:HEADer", lambda c: setattr(self, "_headers", c[0]), Boolean())
        tree.query("COMMunicate:HEADer", lambda _: str(int(self._headers)))
        tree.add("COMMunicate:VERBose", lambda c: setattr(self, "_verbose", c[0]), Boolean())
        tree.query("COMMunicate:VERBose", lambda _: str(int(self._verbose)))
        tree.add("COMMunicate:REMote", lambda _: None, Boolean())
        tree.query("*CAL", lambda _: self._calibrate(), headerless=True)
        tree.add("INTEGrate:STARt", lambda _: setattr(self, "_integrating", True))
        tree.add("INTEGrate:STOP", lambda _: setattr(self, "_integrating", False))
        tree.add("HOLD", lambda c: setattr(self, "_held", c[0]), Boolean())
        tree.query("HOLD", lambda _: str(int(self._held)))
        self._setting("MEASure:AVERaging[:STATe]", lambda c: setattr(self, "_averaging", c[0]), Boolean())
        tree.query("MEASure:AVERaging[:STATe]", lambda _: str(int(self._averaging)))

    def _error(self) -> str:
        code, text = self.scpi.errors.pop()
        return f'{abs(code)},"{text}"'

    def _set_filter(self, call: Call) -> None:
        if call.suffixes[0] == 1:
            self._falls, self._seen = call[0] in ("FALL", "BOTH"), self._done

    def _extended_event(self) -> int:
        ended, self._seen = self._done > self._seen, self._done
        return int(ended and self._falls)

    async def _calibrate(self) -> str:
        await self.clock.sleep_until(self.clock.now_ns() + round(CALIBRATION_S * 1e9))
        self._catch_up()
        for converter in (self._amps, self._volts):
            converter.zero(self.clock.now_ns(), offset_left=_ZERO_LEAVES)
        return "0"

    def _declare_input(self) -> None:
        tree = self.scpi.tree
        self._setting("[INPut:]CFACtor", self._set_crest, Raw())
        tree.query("[INPut:]CFACtor", lambda _: self._crest)
        tree.query("[INPut:]POVer", lambda _: self._by_element(lambda: self._latest is not None and self._latest.peak_over))
        if self._family == "WT1800":
            tree.query("[INPut:]MODUle", lambda _: ",".join([str(self._module)] * self._elements))
        self._setting("[INPut:]NULL[:STATe]", lambda c: self._nulled(on=c[0]), Boolean())
        tree.query("[INPut:]NULL[:STATe]", lambda _: str(int(self._null_on)))
        self._setting("[INPut:]SCALing[:STATe]:ELEMent<1-6>", self._set_scaling, Boolean())
        tree.query("[INPut:]SCALing[:STATe]:ELEMent<1-6>", lambda c: self._of_wired(c, str(int(self._scaling)), "0"))
        for quantity, name in (("VOLT", "VOLTage"), ("CURR", "CURRent")):
            self._declare_range(quantity, name)
        self._setting("RATE", self._set_rate, Number("S"))
        tree.query("RATE", lambda _: f"{self._update_s:.3E}")

    def _of_wired(self, call: Call, wired: str, other: str) -> str:
        return wired if self._element(call) == self._wired else other

    def _by_element(self, state: Callable[[], bool]) -> str:
        return ",".join(str(int(number == self._wired and state())) for number in range(1, self._elements + 1))

    def _set_crest(self, call: Call) -> None:
        if call[0].text not in ("3", "6", "A6"):
            raise ScpiError(-224)
        self._crest = call[0].text

    def _set_scaling(self, call: Call) -> None:
        if self._element(call) == self._wired:
            self._scaling = call[0]

    def _set_rate(self, call: Call) -> None:
        known = next((u for u in UPDATES_S[self._family] if math.isclose(u, call[0], rel_tol=1e-6)), None)
        if known is None:
            raise ScpiError(-222)
        self._update_s = known

    def _declare_range(self, quantity: str, name: str) -> None:
        def change(call: Call) -> None:
            wired, external = self._element(call) == self._wired, call[0].kind is Kind.WORD
            if external and (quantity == "VOLT" or not "EXTERNAL".startswith(call[0].text) or call[1] is None):
                raise ScpiError(-224)
            value = call[1] if external else Number(quantity[0].replace("C", "A"), 0.0).value(call[0])
            if not external and not any(math.isclose(value, r * self._share(), rel_tol=1e-6) for r in self._ranges_of[quantity]):
                raise ScpiError(-222)
            if wired and quantity == "CURR":
                self._external = value if external else None
            if wired and not external:
                self._range[quantity], self._auto[quantity] = value / self._share(), False

        def automatic(call: Call) -> None:
            if self._element(call) == self._wired:
                self._auto[quantity] = call[0]

        def told(call: Call) -> str:
            if quantity == "CURR" and self._external is not None and self._element(call) == self._wired:
                return f"{'EXTERNAL' if self._verbose else 'EXT'},{self._external:.2E}"
            return self._of_wired(call, f"{self._range[quantity] * self._share():.2E}", f"{self._ranges_of[quantity][-1]:.2E}")

        tree = self.scpi.tree
        self._setting(f"[INPut:]{name}:RANGe:ELEMent<1-6>", change, Raw(), Number("V", optional=True))
        tree.query(f"[INPut:]{name}:RANGe:ELEMent<1-6>", told)
        self._setting(f"[INPut:]{name}:AUTO:ELEMent<1-6>", automatic, Boolean())
        tree.query(f"[INPut:]{name}:AUTO:ELEMent<1-6>", lambda c: self._of_wired(c, str(int(self._auto[quantity])), "0"))

    def _share(self) -> float:
        """Ranges at crest factor 6 are half as large."""
        return 1.0 if self._crest == "3" else 0.5

    def _declare_numeric(self) -> None:
        tree = self.scpi.tree
        tree.add("NUMeric:FORMat", lambda c: setattr(self, "_float", c[0] == "FLO"), Choice("ASCii|FLOat"))
        tree.query("NUMeric:FORMat", lambda _: "FLO" if self._float else "ASC")
        tree.add("NUMeric[:NORMal]:NUMBer", lambda c: setattr(self, "_count", c[0]), Integer(1, 255))
        tree.add("NUMeric[:NORMal]:ITEM<1-255>", self._set_item, Word(), Integer(1, 6, optional=True))
        tree.query("NUMeric[:NORMal]:VALue", lambda _: self._values(), headerless=True)

    def _set_item(self, call: Call) -> None:
        element = 1 if call[1] is None else call[1]
        if call[0] not in FUNCTIONS:
            raise ScpiError(-224)
        if element > self._elements:
            raise ScpiError(-222)
        self._items[call.suffixes[0] - 1] = (call[0], element)

    def _values(self) -> str | bytes:
        values = [self._value(*item) for item in self._items[: self._count]]
        if self._float:
            return definite_block(np.array(values, dtype=">f4").tobytes())
        return ",".join("NAN" if math.isnan(v) else "INF" if math.isinf(v) else f"{v:.4E}" for v in values)

    def _value(self, function: str, element: int) -> float:
        if self._latest is None or function == "NONE" or self.setup.trap == "no_data":
            return NOT_A_NUMBER
        return self._latest.values[function] if element == self._wired else 0.0
