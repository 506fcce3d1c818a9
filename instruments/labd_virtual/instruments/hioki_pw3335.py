"""Virtual Hioki PW3335, PW3336 or PW3337 power meter, DC, in the supply line of the board.

Documents: communication command manuals PW3335A985-01 and PW3336A987-01 (introduction: headers in a short and a long form and no other,
TCP port 3300, error bits), instruction manual of the PW3335 (p30 current inputs, p61 integration), PW3390 command manual p11 (bits of
*ESR?); answers as published clients show them (`U +110.14E+0;I +0.0000E+0`, the energy answered as WP whatever it was asked as).
Not read on a page: that a response ends in CR LF, at which input a range is over (150 %), ranges between those the manuals name, how
long an update takes (0.2 s for each average), and what the marks are for a blank and for over-range (those of the PW3390 and the 3193).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Converter, MeterRange, NoiseCurve, drawn_timebase, instants, node_means
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Word
from labd_virtual.scpi_tree import Call, Command, pattern_keywords

VOLTAGE_RANGES = (6.0, 15.0, 30.0, 60.0, 150.0, 300.0, 600.0, 1000.0)
CURRENT_RANGES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
CURRENT_RANGES_65A = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
AVERAGES = (1, 2, 5, 10, 25, 50, 100)
UPDATE_S = 0.2
OVER = 1.5
OVER_RANGE, BLANK = "+9999.9E+99", "+6666.6E+99"
MODELS = {1: "PW3335", 2: "PW3336", 3: "PW3337"}
ITEMS = ("U", "I", "P", "UDC", "IDC", "PDC", "WP", "WH")
_NOISE = NoiseCurve((1e-3, 1.0), (5e-5, 2e-6))  # of full scale; assumed
_MOST_ITEMS = 16

TRAPS = {
    "over_range": "an input beyond its range is answered as +9999.9E+99, a number like any other",
    "blank": "a display without a value is answered as +6666.6E+99, a number like any other",
    "held": "somebody holds the display by key: the same values come for ever",
    "auto_range": "automatic ranging comes on again by key after a range was fixed, and the range moves without a word",
    "ratio": "a CT ratio set by key multiplies current and power, and the answers do not tell",
    "integrating": "an integration that was begun by key refuses every setting, and only a bit of *ESR? tells",
}
BY_KEY_S = 0.3  # when the key of a trap is pressed, after the last setting


def create(setup: PersonaSetup) -> Persona:
    """Option `channel`: the input in the board's supply; 2 makes it a PW3336, 3 a PW3337. Raises ValueError for an interface other than
    the raw socket: the meter has nothing else on its network."""
    return PW333x(setup, MODELS[setup.options.get("channel", 1)])


@dataclass(frozen=True, slots=True)
class Shown:
    """One display update, SI units; None where its range is exceeded."""

    volt: float | None
    ampere: float | None
    watt: float | None
    volt_rms: float | None
    ampere_rms: float | None


class PW333x(ScpiPersona):
    """The instrument; see the module for sources. It feeds nothing."""

    def __init__(self, setup: PersonaSetup, model: str) -> None:
        if setup.interface != "socket":
            raise ValueError(f"a {model} has a raw socket and no {setup.interface}")
        super().__init__(setup, f"HIOKI,{model},VIRTUAL5,V1.10")
        self._channels = {name: count for count, name in MODELS.items()}[model]
        self._wired = setup.options.get("channel", 1)
        self._volt_ranges = VOLTAGE_RANGES if model == "PW3335" else VOLTAGE_RANGES[1:]
        self._amp_ranges = CURRENT_RANGES if model == "PW3335" else CURRENT_RANGES_65A
        self._volts = Converter(setup, "voltage", tuple(MeterRange(r, _NOISE.scaled(r)) for r in self._volt_ranges))
        self._amps = Converter(
            setup,
            "current",
            tuple(MeterRange(r, _NOISE.scaled(r)) for r in self._amp_ranges),
            hum=setup.factor("hum_a", 0.2e-6),
            leakage=setup.fixture_leakage_a,
        )
        self.redraw(setup.rng)
        self._headers = True
        self._reset()
        scpi = self.scpi
        scpi.before, scpi.reset, scpi.decorate, scpi.trigger = self._catch_up, self._reset, self._with_header, self._sample
        scpi.terminator = b"\r\n"
        self._declare()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self._timebase = drawn_timebase(self.setup, clock)

    def output_on(self) -> bool:
        return False

    # --- measuring

    def _reset(self) -> None:
        """The header is a communication setting, which a reset leaves alone."""
        if getattr(self, "_integrating", False):
            raise ScpiError(-221)
        self._ranges = {"VOLTage": 1000.0, "CURRent": self._amp_ranges[-1]}
        self._auto = {"VOLTage": True, "CURRent": True}
        self._ratios = {"VT": 1.0, "CT": 1.0}
        self._averages, self._held = 1, False
        self._integrating, self._joules = False, 0.0
        if self.setup.trap == "integrating":
            self._integrating = True
        self._restart()

    def _restart(self) -> None:
        self._origin_ns, self._done = self.clock.now_ns(), -1
        self._latest: Shown | None = None
        self._displayed: Shown | None = None

    def _dt_ns(self) -> float:
        return UPDATE_S * self._averages * 1e9

    def _catch_up(self) -> None:
        last = int((self.clock.now_ns() - self._origin_ns) / (self._dt_ns() * (1 + self._timebase))) - 1
        edges = instants(self._origin_ns, self._done + 1, max(0, last - self._done), dt_ns=self._dt_ns(), timebase=self._timebase)
        while len(edges) > 1 and edges[-1] > self.clock.now_ns():
            edges = edges[:-1]
        if len(edges) > 1:
            self._take(edges)
            self._done += len(edges) - 1
        self._press_keys()

    def _take(self, edges: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        starts, ends = edges[:-1], edges[1:]
        means = node_means(self.setup, starts, ends)
        self._find_ranges(float(means.voltage[-1]), float(means.current_rms[-1]))
        volt_range, amp_range = self._ranges["VOLTage"], self._ranges["CURRent"]
        volts = self._volts.read(means.voltage, starts, ends, self._volts.index(volt_range))
        amps = self._amps.read(means.current, starts, ends, self._amps.index(amp_range))
        ripple = means.power - means.voltage * means.current
        watts = volts * amps + ripple
        if self._integrating:
            self._joules += float(np.sum(watts * (ends - starts) * 1e-9))
        over_v = abs(float(means.voltage[-1])) > OVER * volt_range
        over_a = float(means.current_rms[-1]) > OVER * amp_range
        rms = math.sqrt(float(amps[-1]) ** 2 + max(0.0, float(means.current_rms[-1]) ** 2 - float(means.current[-1]) ** 2))
        self._latest = Shown(
            None if over_v else float(volts[-1]),
            None if over_a else float(amps[-1]),
            None if over_v or over_a else float(watts[-1]),
            None if over_v else abs(float(volts[-1])),
            None if over_a else rms,
        )
        if not self._held:
            self._displayed = self._latest

    def _find_ranges(self, volt: float, ampere: float) -> None:
        for name, ranges, level in (("VOLTage", self._volt_ranges, abs(volt)), ("CURRent", self._amp_ranges, ampere)):
            if self._auto[name]:
                self._ranges[name] = next((r for r in ranges if level <= r), ranges[-1])

    def _press_keys(self) -> None:
        """What the traps do, some time after the last setting."""
        if self.clock.now_ns() - self._origin_ns < BY_KEY_S * 1e9:
            return
        if self.setup.trap == "held":
            self._held = True
        elif self.setup.trap == "auto_range":
            self._auto["CURRent"] = True
        elif self.setup.trap == "ratio":
            self._ratios["CT"] = 10.0

    def _sample(self) -> None:
        """*TRG takes one display update while it is held."""
        if self._held:
            self._displayed = self._latest

    # --- commands

    def _with_header(self, command: Command, text: str) -> str:
        if command.headerless or not self._headers:
            return text
        names, _ = pattern_keywords(command.pattern)
        return ":" + ":".join(names).upper() + " " + text

    def _declare(self) -> None:
        tree = self.scpi.tree
        tree.add("HEADer", lambda c: setattr(self, "_headers", c[0]), Boolean())
        tree.query("HEADer", lambda _: _on(self._headers))
        tree.add("HOLD", self._setting(lambda c: setattr(self, "_held", c[0])), Boolean())
        tree.query("HOLD", lambda _: _on(self._held))
        tree.add("AVERaging", self._setting(self._set_averages), Integer(1, 100))
        tree.query("AVERaging", lambda _: str(self._averages))
        self._declare_range("VOLTage", "V", self._volt_ranges)
        self._declare_range("CURRent", "A", self._amp_ranges)
        for ratio in ("VT", "CT"):
            self._declare_ratio(ratio)
        tree.add("INTEGrate:STATe", self._integrate, Choice("STARt|STOP|RESet"))
        tree.query("INTEGrate:STATe", lambda _: "START" if self._integrating else "STOP" if self._joules else "RESET")
        tree.query("MEASure", self._measured, Word(), *[Word(optional=True)] * (_MOST_ITEMS - 1), headerless=True)

    def _setting(self, action: Callable[[Call], None]) -> Callable[[Call], None]:
        """Refused while it integrates; else the measurement begins anew."""

        def act(call: Call) -> None:
            if self._integrating:
                raise ScpiError(-221)
            action(call)
            self._restart()

        return act

    def _numbered(self, name: str) -> str:
        return f"{name}<1-{self._channels}>" if self._channels > 1 else name

    def _declare_range(self, name: str, unit: str, ranges: tuple[float, ...]) -> None:
        def change(call: Call) -> None:
            if not any(math.isclose(r, call[0], rel_tol=1e-6) for r in ranges):
                raise ScpiError(-222)
            self._ranges[name], self._auto[name] = call[0], False

        tree, header = self.scpi.tree, self._numbered(name)
        tree.add(f"{header}:RANGe", self._setting(change), Number(unit, 0.0, ranges[-1]))
        tree.query(f"{header}:RANGe", lambda _: f"{self._ranges[name]:g}")
        tree.add(f"{header}:AUTO", self._setting(lambda c: self._auto.__setitem__(name, c[0])), Boolean())
        tree.query(f"{header}:AUTO", lambda _: _on(self._auto[name]))

    def _declare_ratio(self, ratio: str) -> None:
        tree, header = self.scpi.tree, f"{self._numbered('SCALe')}:{ratio}"
        tree.add(header, self._setting(lambda c: self._ratios.__setitem__(ratio, c[0])), Number("", 0.1, 1000.0))
        tree.query(header, lambda _: f"{self._ratios[ratio]:g}")

    def _set_averages(self, call: Call) -> None:
        if call[0] not in AVERAGES:
            raise ScpiError(-222)
        self._averages = call[0]

    def _integrate(self, call: Call) -> None:
        if call[0] == "RES":
            if self._integrating:
                raise ScpiError(-221)
            self._joules = 0.0
        else:
            self._integrating = call[0] == "STAR"

    def _measured(self, call: Call) -> str:
        names = [name for name in call.values if name is not None]
        return ";".join(self._item(name) for name in names)

    def _item(self, name: str) -> str:
        item, channel = (name[:-1], int(name[-1])) if self._channels > 1 and name[-1].isdigit() else (name, 1)
        if item not in ITEMS or channel > self._channels or (self._channels > 1 and item == name):
            raise ScpiError(-141)
        label = name.replace("WH", "WP") + " " if self._headers else ""
        return label + self._text(item, channel)

    def _text(self, item: str, channel: int) -> str:
        shown = self._displayed
        if self.setup.trap in ("over_range", "blank"):
            return OVER_RANGE if self.setup.trap == "over_range" else BLANK
        if item in ("WP", "WH"):
            return _digits(self._joules / 3600, 100.0)
        if shown is None:
            return BLANK
        vt, ct = self._ratios["VT"], self._ratios["CT"]
        volt_fs, amp_fs = self._ranges["VOLTage"], self._ranges["CURRent"]
        product = None if shown.volt is None or shown.ampere is None else shown.volt * shown.ampere
        value, full_scale, ratio = {
            "U": (shown.volt_rms, volt_fs, vt),
            "UDC": (shown.volt, volt_fs, vt),
            "I": (shown.ampere_rms, amp_fs, ct),
            "IDC": (shown.ampere, amp_fs, ct),
            "P": (shown.watt, volt_fs * amp_fs, vt * ct),
            "PDC": (product, volt_fs * amp_fs, vt * ct),
        }[item]
        if value is None:
            return OVER_RANGE
        return _digits(value * ratio if channel == self._wired else 0.0, full_scale * ratio)


def _on(state: bool) -> str:  # noqa: FBT001 - one plain state
    return "ON" if state else "OFF"


def _digits(value: float, full_scale: float) -> str:
    """Five digits, the point and the exponent by the range: `+03.000E+0` on 15 V, `+010.00E-3` on 100 mA."""
    power = 3 * math.floor(math.log10(full_scale * (1 + 1e-9)) / 3)
    mantissa, whole = value / 10.0**power, math.floor(math.log10(full_scale * (1 + 1e-9))) - power + 1
    return f"{mantissa:+07.{5 - whole}f}E{power:+d}"
