"""Virtual ZES Zimmer LMG610, LMG640 or LMG670 power analyzer, DC, in the supply line of the board.

The manual's command reference was not at hand: commands are those that lmgtools (github.com/cuveland/lmgtools) and lmgd
(github.com/tud-zih-energy/lmgd) use on real instruments, the form of answers that of the log in lmgtools: two languages, time stamps,
durations, 0.5 s after a reset, 9.91E+37 for the crest factor of nothing, small readings told as zero, `0,"No error"`, no trailing zeros in
a cycle time, no answer to a suffix without a channel (lmgd); the current jack and the mode of cycles (github.com/sunspec/svp_energy_lab,
device_lmg670.py).
Not read anywhere, and assumed: ranges between those that both set, that a range is chosen by what it holds, the maker's name in *IDN?,
that values come with the first cycle to end after INIM and a query waits for it, that a changed setting begins a new cycle, the level
below which zero is told (0.5 % of range), where a range is cut off (twice itself), which error number a refusal has, that channels share
their ranges, which jack the board is wired to (1), in what form a jack and a mode answer (the number that was set).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from labd_virtual.front_end import Converter, MeterRange, NoiseCurve, drawn_timebase, instants, node_means, peak_current
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import Argument, Kind
from labd_virtual.scpi_params import Boolean, Choice, Number, Parameter, Raw
from labd_virtual.scpi_tree import Action, Call

VOLTAGE_RANGES = (3.0, 6.0, 12.5, 25.0, 60.0, 130.0, 250.0, 400.0, 600.0, 1000.0)
CURRENT_RANGES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 20.0, 32.0)
SHORTEST_S, LONGEST_S = 0.01, 3600.0
SUPPRESSED, CUT = 0.005, 2.0  # of range
NOT_A_NUMBER = 9.91e37
STRETCHED = 1.2  # trap: what synchronised cycles last, in multiples of what was set
BY_KEY_S = 0.25  # when the key of a trap is pressed, after the last setting
MOST_CHANNELS = 7
ITEMS = ("UDC", "IDC", "P", "UTRMS", "ITRMS", "UCF", "ICF")
FETCHED = {"VOLTage": "UTRMS", "CURRent": "ITRMS", "POWer": "P"}
_NOISE = NoiseCurve((1e-3, 1.0), (5e-5, 2e-6))  # of full scale; assumed
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

TRAPS = {
    "no_value": "an item without a value is 9.91E+37, a number like any other",
    "over_range": "peaks beyond a fixed range are cut off there: the readings are too small, and only the crest factor tells",
    "stretched": "cycles that are synchronised to a signal last until its whole periods have passed: longer than was set, without a word",
    "held": "somebody holds the values by key: those of the same cycle come for ever",
    "auto_range": "automatic ranging comes on again by key after a range was fixed, and the range moves without a word",
    "jack": "the other current jack, chosen by key, measures what flows there, and the readings do not tell",
    "scale": "a factor for a current sensor, set by key, multiplies current and power, and the readings do not tell",
}


def create(setup: PersonaSetup) -> Persona:
    """Option `channel`: the one in the board's supply; above 1 makes it an LMG640, above 4 an LMG670. Raises ValueError for an interface
    other than the raw socket, the only one that published clients use."""
    channel = setup.options.get("channel", 1)
    return LMG600(setup, 1 if channel == 1 else 4 if channel <= 4 else MOST_CHANNELS)


@dataclass(frozen=True, slots=True)
class Cycle:
    """What is told of one cycle: its begin and duration (ns), readings of the wired channel in SI units."""

    began_ns: int
    lasted_ns: int
    readings: dict[str, float]


class LMG600(ScpiPersona):
    """The instrument; see the module for sources. It feeds nothing."""

    def __init__(self, setup: PersonaSetup, channels: int) -> None:
        if setup.interface != "socket":
            raise ValueError(f"an LMG600 is virtual on a raw socket and not on {setup.interface}")
        super().__init__(setup, f"ZES ZIMMER Electronic Systems GmbH,LMG6{channels}0,VIRTUAL6,4.020")
        self._channels, self._wired = channels, setup.options.get("channel", 1)
        self._volts = Converter(setup, "voltage", tuple(MeterRange(r, _NOISE.scaled(r)) for r in VOLTAGE_RANGES))
        amps = tuple(MeterRange(r, _NOISE.scaled(r)) for r in CURRENT_RANGES)
        self._amps = Converter(setup, "current", amps, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self.redraw(setup.rng)
        self._language = "SCPI"
        self._reset()
        self.scpi.before, self.scpi.reset = self._catch_up, self._reset
        self.scpi.tree.add("*ZLANG", lambda c: setattr(self, "_language", c[0]), Choice("SCPI|SHORT"))
        self._declare_scpi()
        self._declare_short()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self._timebase = drawn_timebase(self.setup, clock)

    def output_on(self) -> bool:
        return False

    # --- measuring

    def _reset(self) -> None:
        self._ranges = {"U": VOLTAGE_RANGES[-1], "I": CURRENT_RANGES[-1]}
        self._auto = {"U": True, "I": True}
        self._scale, self._suppresses, self._cycle_s = 1.0, True, 0.5
        self._held, self._jack, self._cycle_mode = False, "1", "0"
        self._awaited: int | None = None
        self._restart()

    def _restart(self) -> None:
        self._origin_ns = self.clock.now_ns()
        self._shown: Cycle | None = None
        self._awaited = None if self._awaited is None else 0

    def _edge_ns(self, number: int) -> int:
        dt_ns = self._cycle_s * 1e9 * (STRETCHED if self.setup.trap == "stretched" else 1.0)
        return int(instants(self._origin_ns, number, 0, dt_ns=dt_ns, timebase=self._timebase)[0])

    def _running(self) -> int:
        """Number of the cycle that has not ended."""
        number = int((self.clock.now_ns() - self._origin_ns) / (self._edge_ns(1) - self._origin_ns))
        while self._edge_ns(number) > self.clock.now_ns():
            number -= 1
        return number

    def _catch_up(self) -> None:
        if self._awaited is not None and self._edge_ns(self._awaited + 1) <= self.clock.now_ns():
            self._shown, self._awaited = self._measured(self._awaited), None
        if self.clock.now_ns() - self._origin_ns >= BY_KEY_S * 1e9:
            self._press_keys()

    def _press_keys(self) -> None:
        if self.setup.trap == "held":
            self._held = True
        elif self.setup.trap == "auto_range":
            self._auto["I"] = True
        elif self.setup.trap == "jack":
            self._jack = "0"
        elif self.setup.trap == "scale":
            self._scale = 10.0

    def _measured(self, number: int) -> Cycle:
        edges = np.array([self._edge_ns(number), self._edge_ns(number + 1)], dtype=np.int64)
        starts, ends = edges[:-1], edges[1:]
        means = node_means(self.setup, starts, ends)
        rms = float(means.current_rms[0])
        for letter, ranges, level in (("U", VOLTAGE_RANGES, abs(float(means.voltage[0]))), ("I", CURRENT_RANGES, rms)):
            if self._auto[letter]:
                self._ranges[letter] = next((r for r in ranges if level <= r), ranges[-1])
        amp_range = self._ranges["I"]
        volt = float(self._volts.read(means.voltage, starts, ends, self._volts.index(self._ranges["U"]))[0])
        ampere = float(self._amps.read(means.current, starts, ends, self._amps.index(amp_range))[0])
        if self._jack != "1":
            return Cycle(int(edges[0]), int(edges[1] - edges[0]), self._told(volt, 0.0, 0.0, 0.0, 0.0))
        peak = float(peak_current(self.setup, starts, ends, means, full_scale=amp_range)[0])
        if self.setup.trap == "over_range":
            ampere, peak = 0.9 * ampere, 1.5 * amp_range
        ampere = math.copysign(min(abs(ampere), CUT * amp_range), ampere)
        varying = max(0.0, rms**2 - float(means.current[0]) ** 2)
        ripple = float(means.power[0]) - float(means.voltage[0]) * float(means.current[0])
        return Cycle(int(edges[0]), int(edges[1] - edges[0]), self._told(volt, ampere, varying, ripple, peak))

    def _told(self, volt: float, ampere: float, varying: float, ripple: float, peak: float) -> dict[str, float]:
        """Readings with the suppression of zero and the factor. varying: mean square (A²) of what changes in the current."""
        volt_rms, amp_rms = abs(volt), math.sqrt(ampere**2 + varying)
        small = {
            letter: self._suppresses and level < SUPPRESSED * self._ranges[letter] for letter, level in (("U", volt_rms), ("I", amp_rms))
        }
        volt, volt_rms = (0.0, 0.0) if small["U"] else (volt, volt_rms)
        ampere, amp_rms = (0.0, 0.0) if small["I"] else (ampere, amp_rms)
        return {
            "UDC": volt,
            "IDC": ampere * self._scale,
            "P": 0.0 if any(small.values()) else (volt * ampere + ripple) * self._scale,
            "UTRMS": volt_rms,
            "ITRMS": amp_rms * self._scale,
            "UCF": 1.0 if volt_rms else NOT_A_NUMBER,
            "ICF": max(1.0, peak / amp_rms) if amp_rms else NOT_A_NUMBER,
        }

    # --- commands

    def _in(self, language: str, action: Action) -> Action:
        """Refused in the other language, and of a channel that is not there."""

        def act(call: Call) -> str | bytes | Awaitable[str | bytes | None] | None:
            if self._language != language:
                raise ScpiError(-113)
            if call.suffixes and call.suffixes[-1] > self._channels:
                raise ScpiError(-114)
            return action(call)

        return act

    def _setting(self, language: str, header: str, change: Callable[[Call], None], told: Callable[[], str], parameter: Parameter) -> None:
        def act(call: Call) -> None:
            change(call)
            self._restart()

        self.scpi.tree.add(header, self._in(language, act), parameter)
        self.scpi.tree.query(header, self._in(language, lambda _: told()))

    def _declare_scpi(self) -> None:
        tree = self.scpi.tree
        tree.query("SYSTem:ERRor:ALL", self._in("SCPI", lambda _: self._errors()))
        tree.add("INITiate:IMMediate", self._in("SCPI", lambda _: self._initiate()))
        tree.add("INITiate:CONTinuous", self._in("SCPI", self._continuous), Boolean())
        self._setting("SCPI", "SENSe:ZPR", lambda c: setattr(self, "_suppresses", c[0]), lambda: str(int(self._suppresses)), Boolean())
        self._setting("SCPI", "SENSe:SWEep:TIME", self._set_cycle, lambda: f"{self._cycle_s:g}", Raw())
        for letter, name in (("U", "VOLTage"), ("I", "CURRent")):
            header = f"SENSe:{name}:RANGe<1-{MOST_CHANNELS}>"
            self._declare_range("SCPI", letter, header, f"{header}:AUTO<1-{MOST_CHANNELS}>")
        for name, item in FETCHED.items():
            tree.query(f"FETCh:{name}<1-{MOST_CHANNELS}>", self._in("SCPI", self._item(item)))

    def _declare_short(self) -> None:
        tree = self.scpi.tree
        tree.query("ERRALL", self._in("SHORT", lambda _: self._errors()))
        tree.add("INIM", self._in("SHORT", lambda _: self._initiate()))
        tree.add("CONT", self._in("SHORT", self._continuous), Boolean())
        for letter in ("U", "I"):
            self._declare_range("SHORT", letter, f"{letter}RNG<1-{MOST_CHANNELS}>", f"{letter}AUTO<1-{MOST_CHANNELS}>")
        channel = f"<1-{MOST_CHANNELS}>"
        self._setting("SHORT", "CYCL", self._set_cycle, lambda: f"{self._cycle_s:g}", Raw())
        self._setting("SHORT", f"IJACK{channel}", lambda c: setattr(self, "_jack", c[0].text), lambda: self._jack, Raw())
        self._setting("SHORT", "CYCLMOD", lambda c: setattr(self, "_cycle_mode", c[0].text), lambda: self._cycle_mode, Raw())
        self._setting("SHORT", f"ISCA{channel}", lambda c: setattr(self, "_scale", c[0]), lambda: f"{self._scale:g}", Number())
        tree.query(f"TSNORM{channel}", self._in("SHORT", self._stamp))
        tree.query(f"DURNORM{channel}", self._in("SHORT", self._duration))
        for item in ITEMS:
            tree.query(f"{item}{channel}", self._in("SHORT", self._item(item)))

    def _declare_range(self, language: str, letter: str, header: str, auto: str) -> None:
        ranges = VOLTAGE_RANGES if letter == "U" else CURRENT_RANGES

        def change(call: Call) -> None:
            self._ranges[letter], self._auto[letter] = next(r for r in ranges if call[0] <= r * (1 + 1e-6)), False

        unit = "V" if letter == "U" else "A"
        self._setting(language, header, change, lambda: f"{self._ranges[letter]:g}", Number(unit, 0.0, ranges[-1]))
        self._setting(language, auto, lambda c: self._auto.__setitem__(letter, c[0]), lambda: str(int(self._auto[letter])), Boolean())

    def _errors(self) -> str:
        first = self.scpi.errors.pop()
        rest = [self.scpi.errors.pop() for _ in range(len(self.scpi.errors))]
        return ",".join(f'{code},"{text}"' for code, text in (first, *rest))

    def _set_cycle(self, call: Call) -> None:
        given: Argument = call[0]
        if given.kind is not Kind.NUMBER or ("." in given.text and given.text.endswith("0")):
            raise ScpiError(-224)
        if not SHORTEST_S <= float(given.text) <= LONGEST_S:
            raise ScpiError(-222)
        self._cycle_s = float(given.text)

    def _continuous(self, call: Call) -> None:
        if call[0]:
            raise ScpiError(-221)  # answers that come unasked are not built here

    def _initiate(self) -> None:
        if not self._held:
            self._awaited = self._running()

    async def _cycle(self) -> Cycle | None:
        if self._awaited is not None:
            await self.clock.sleep_until(self._edge_ns(self._awaited + 1))
            self._catch_up()
        return self._shown

    async def _stamp(self, _: Call) -> str:
        cycle = await self._cycle()
        seconds, nanoseconds = divmod(0 if cycle is None else cycle.began_ns, 1_000_000_000)
        began = datetime.fromtimestamp(_EPOCH.timestamp() + seconds, tz=UTC)
        return f"{began:%Y:%m:%dD%H:%M:%S}.{nanoseconds:09d}+0000"

    async def _duration(self, _: Call) -> str:
        cycle = await self._cycle()
        return f"{0 if cycle is None else cycle.lasted_ns * 1e-9:.9f}"

    def _item(self, item: str) -> Action:
        async def read(call: Call) -> str:
            cycle = await self._cycle()
            value = NOT_A_NUMBER if cycle is None else cycle.readings[item]
            if self.setup.trap == "no_value" and item in ("IDC", "P"):
                value = NOT_A_NUMBER
            return f"{value if call.suffixes[-1] == self._wired else 0.0:.6E}"

        return read
