"""Yokogawa WT310E, WT310EH, WT332E and WT333E power analyzers: steady means of power for the closure test, never windows.

Documents: [I] IM WT310E-17EN (communication interface); [S] IM WT310E-02EN (specifications); [U] IM WT310E-01EN p. 2-7 (ranges);
[W] the WT3000's measured behaviour in labd's instrument reference. Published drivers, none by this project: [Y] Intel's yoko-tools for
the WT310 (each set-up, the register of updates, `*CAL?`); [P] MLPerf's sampler of a WT333E (ranges are asked without an element, because
all elements share one); [T] a driver of a WT333E (items by element); [A] a WT310 program that takes `FLOat` blocks; [E] one for this family
by its manual (several queries in a line, which `;` separates in the answer; what each peak over-range bit is for).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.checks import HOST_CLOCK, Clock, configured, exact, identified
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    Reading,
    Setups,
    StreamSetup,
)
from labd_instruments.errors import OutOfRangeError, ReadBackError, RefusedError, ReplyError, SentinelError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link
from labd_instruments.options import option

__all__ = ["CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "ROLES", "WT310E", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Measures")
ROLES = ("power_analyzer",)
IDENTIFIES = r"YOKOGAWA,WT3(10|32|33)E"
EVIDENCE = Evidence.BY_INDEPENDENT_DRIVER
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off

VOLTAGE_RANGES_V = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
UPDATES_S = {0.1: "100MS", 0.25: "250MS", 0.5: "500MS", 1.0: "1S", 2.0: "2S", 5.0: "5S", 10.0: "10S", 20.0: "20S"}
UPDATE_S = min(UPDATES_S)
SPECIFICATION = "IM WT310E-02EN p7-7 (active power, DC, 12 months)"
ITEMS = ("U", "I", "P")
ENDED_UPDATE = 1  # bit 0 of the condition register is UPD, updating
PEAK_BITS = {"voltage": 7, "current": 8}  # POV1, POA1 of the condition register; 3 more an element [I p7-5] [Y]
OFF = (  # each of them changes what is read, and has a key
    ":INP:VOLT:AUTO",  # [Y] [E]
    ":INP:CURR:AUTO",
    ":INP:NULL",  # [I]
    ":INP:SCAL",  # [E]
    ":MEAS:AVER:STATE",  # [Y] [E]
    ":MEAS:MHOL",  # [Y] [E]
    ":INP:FILT:LINE",  # [Y] [E]
    ":INP:FILT:FREQ",  # [Y] [E]
)
LATE_UPDATES = 2.0  # between two looks: what was latched before may be of an update that nobody has read


@dataclass(frozen=True, slots=True)
class Model:
    """elements: inputs, which share their ranges. current_ranges_a: fixed, ascending, at crest factor 3 [U]. gain: limit of error of DC
    power, fraction of reading; all have 0.2 % of range beside it [S p7-7]."""

    elements: int
    current_ranges_a: tuple[float, ...]
    gain: float = 1e-3


_LARGE_A = (1.0, 2.0, 5.0, 10.0, 20.0)
MODELS = {
    "WT310E": Model(1, (5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, *_LARGE_A)),
    "WT310EH": Model(1, (*_LARGE_A, 40.0), gain=3e-3),  # its direct input
    "WT332E": Model(2, (0.5, *_LARGE_A)),
    "WT333E": Model(3, (0.5, *_LARGE_A)),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    element: int = option(1, "input element that measures the board; a WT332E has two, a WT333E three, the others one", low=1, high=3)
    new_data: str = option(
        "register",
        "how a new update is told from an old one: register (UPD latched in the extended event register) or values (U, I or P differs)",
        choices=("register", "values"),
    )
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> WT310E:
    """Open the meter at `resource` (or on `link`) and check who answers. clock: tells when a changed setting has settled.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError.
    """
    return identified(WT310E(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a power analyzer has no output."""
    del resource, timeout_s


def accuracy_rows(model: str) -> tuple[AccuracyRow, ...]:
    """Active power of one element on every pair of ranges (full scale = U range x I range), the sum of reading and range errors [S]."""
    kind = MODELS[model]
    full_scales = sorted({round(u * i, 9) for u in VOLTAGE_RANGES_V for i in kind.current_ranges_a})
    return tuple(AccuracyRow("power", fs, kind.gain, 2e-3 * fs, UPDATE_S, SPECIFICATION) for fs in full_scales)


def _current_word(ampere: float) -> str:
    """`200MA`, `1A`: MA is milliampere for current [I p5-6]."""
    return f"{ampere * 1000:g}MA" if ampere < 1.0 else f"{ampere:g}A"


class WT310E:
    """One element of a meter of the family."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    voltage_ranges_v = VOLTAGE_RANGES_V
    crest_factor = 3.0  # IM WT310E-01EN p. 2-17: the default, the largest peak in multiples of the range

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._link = link
        self._options = options
        self._declared = declared
        self._accuracy = AccuracyTable().declared(declared)
        self._model = "WT310E"
        self._ranges: tuple[float, float] | None = None
        self._last: bytes = b""
        self._clock = clock
        self._update_s = max(UPDATES_S)
        self._settled_s = self._looked_s = 0.0
        self._peaks = 0

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return MODELS[self._model].current_ranges_a

    def identify(self) -> Identity:
        """Raises WrongInstrumentError, OutOfRangeError (an element that this model does not have)."""
        who = scpi.identity(self._link.query("*IDN?"))
        found = re.match(r"WT(310EH|310E|332E|333E)", who.model.upper())
        if not who.maker.upper().startswith("YOKOGAWA") or found is None:
            wanted = "a Yokogawa WT310E, WT310EH, WT332E or WT333E"
            raise WrongInstrumentError(f"{self.name}: {self._link.resource} is a {who.maker} {who.model}, wanted is {wanted}")
        self._model = found[0]
        elements = MODELS[self._model].elements
        if self._options.element > elements:
            raise OutOfRangeError(f"{self.name}: option element is {self._options.element}, a {self._model} has {elements}")
        self._accuracy = AccuracyTable(accuracy_rows(self._model)).declared(self._declared)
        return who

    def reset(self) -> None:
        self._ranges = None
        self._link.write("*RST")
        self._link.write("*CLS")
        self._link.write(":COMM:HEAD OFF")  # [I] otherwise replies carry their headers
        self._link.write(":COMM:VERB OFF")  # [I]
        self._link.write(":INP:MODE DC")  # [I p5-6]
        self._link.write(":INP:FILT:LINE OFF")  # [Y]
        self._link.write(":INP:FILT:FREQ OFF")  # [Y]
        self._link.write(":INP:NULL OFF")  # [I] what was read at a press of the key is subtracted
        self._link.write(":INP:SCAL OFF")  # [E] ratios multiply every reading
        self._link.write(":MEAS:AVER:STATE OFF")  # [Y] [E]
        self._link.write(":MEAS:MHOL OFF")  # [Y] [E] shows maxima
        self._link.write(":INP:CFAC 3")  # [Y] [E] ranges are half as large at 6
        self._link.write(":NUM:FORM FLO")  # [A] [I p9-7]
        self._link.write(f":NUM:NORM:NUMB {len(ITEMS)}")  # [Y] [T]
        for number, item in enumerate(ITEMS, start=1):
            self._link.write(f":NUM:NORM:ITEM{number} {item},{self._options.element}")  # [T] [I p9-7]
        if self._options.new_data == "register":
            self._link.write(":STAT:FILT1 FALL")  # [Y] the end of an update is latched
        for bit in self._peak_bits.values():
            self._link.write(f":STAT:FILT{bit + 1} RISE")  # [Y] a peak beyond a range is latched
        self.check_errors("its reset")

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self._link, ":STAT:ERR?"), self.name, doing)  # [Y]

    def make_safe(self) -> None:
        """Nothing to switch off."""

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._link.close()

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups()

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        return intervals.at_or_above(setup.aperture_s if isinstance(setup, MeanSetup) else setup.dt_s, UPDATES_S)

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """aperture_s is the update interval. Raises OutOfRangeError for one, or a range, that the meter does not have."""
        volts = exact(f"{self.name}: voltage range", setup.voltage_range_v, VOLTAGE_RANGES_V, "V", f"a {self._model}")
        amperes = exact(f"{self.name}: current range", setup.current_range_a, self.current_ranges_a, "A", f"a {self._model}")
        update_s = exact(f"{self.name}: update interval", setup.aperture_s, UPDATES_S, "s", f"a {self._model}")
        self._link.write(f":INP:VOLT:RANG {volts:g}")  # [I p5-6]
        self._link.write(f":INP:CURR:RANG {_current_word(amperes)}")  # [I]
        self._link.write(f":RATE {UPDATES_S[update_s]}")  # [I]
        self.check_errors("the set-up of its ranges")
        self._ranges, self._update_s = (volts, amperes), update_s
        self._check_settings()
        self._settle()
        return Acquisition(
            dt_ns=round(update_s * 1e9),
            columns=("current", "voltage", "power"),
            aperture_s=update_s,
            current_range_a=amperes,
            voltage_range_v=volts,
            remote_sense=False,
            settings={
                "acquisition": "update",
                "mode": "DC",
                "line_filter": "off",
                "new_data": self._options.new_data,
                "element": str(self._options.element),
            },
        )

    def _check_settings(self) -> None:
        """Its keys work while nobody locks them, and it leaves a fixed 5 to 200 mA range for 1 A by itself when the input is too large [U]:
        look again each time. All in one line [E], for each question apart takes its time of an update."""
        volts, amperes = configured(self._ranges, self.name, "mean")
        wanted: dict[str, float | str] = {
            ":INP:VOLT:RANG": volts,
            ":INP:CURR:RANG": amperes,
            ":RATE": self._update_s,
            ":INP:MODE": "DC",
            **dict.fromkeys(OFF, 0.0),
            ":INP:CFAC": self.crest_factor,
        }
        replies = self._link.query(";".join(f"{header}?" for header in wanted)).split(";")
        if len(replies) != len(wanted):
            raise ReplyError(f"{self.name}: {len(wanted)} settings were asked for, got {';'.join(replies)!r}")
        for (header, right), reply in zip(wanted.items(), replies, strict=True):
            if isinstance(right, str):
                if reply.strip().upper() != right:
                    raise ReadBackError(f"{self.name}: {header} is {reply.strip()} now, was set to {right}")
                continue
            got = scpi.value(reply, f"{self.name}: {header}")
            if abs(got - right) > 1e-6 * right:
                over = ": over-input?" if header.endswith(":RANG") else ": was a key pressed?"
                raise ReadBackError(f"{self.name}: {header} was fixed at {right:g} and is {got:g} now{over}")

    @property
    def _peak_bits(self) -> dict[str, int]:
        return {quantity: bit + 3 * (self._options.element - 1) for quantity, bit in PEAK_BITS.items()}

    def _settle(self) -> None:
        """An update that is under way has begun before the change: what is shown two intervals later is wholly from after it."""
        self._last, self._peaks = b"", 0
        self._settled_s = self._clock.now_s() + 2 * self._update_s

    def read_mean(self) -> Reading | None:
        """Raises SentinelError for over-range (+INF), no data (NaN) and cut-off peaks, ReadBackError when it has left its
        range or a key was pressed."""
        now_s = self._clock.now_s()
        if now_s < self._settled_s:
            return None
        late = now_s - self._looked_s > LATE_UPDATES * self._update_s
        self._looked_s = now_s
        ended, peaks = self._events()
        self._peaks = 0 if late else self._peaks | peaks
        if (late and peaks) or (self._options.new_data == "register" and not ended):
            return None
        block = self._link.query_definite_block(":NUM:NORM:VAL?", ">f4")  # [Y] [P] [T]
        if len(block) != len(ITEMS):
            raise ReplyError(f"{self.name}: {len(block)} values came, {len(ITEMS)} are set up ({', '.join(ITEMS)})")
        raw = block.tobytes()
        if self._options.new_data == "values" and raw == self._last:
            return None
        self._last = raw
        self._peaks |= self._events()[1]  # an update that has ended since the first look may be this one: it is not to come again
        self._check_settings()
        if not np.all(np.abs(block) < scpi.SENTINEL):  # a WT3000's marks are large and finite
            raise SentinelError(f"{self.name}: U, I, P are {', '.join(map(str, block))}: NaN is no data, INF over-range [I p9-7]")
        self._check_peaks()
        voltage, current, power = (float(value) for value in block)
        return Reading(current, voltage, power)

    def _check_peaks(self) -> None:
        """A peak that lasts rises once, and is in the condition register from then on; one that has passed is latched."""
        told = self._peaks | scpi.integers(self._link.query(":STAT:COND?"), f"{self.name}: the condition register")[0]  # [I p7-5]
        self._peaks = 0
        for quantity, bit in self._peak_bits.items():
            if told >> bit & 1:
                raise SentinelError(
                    f"{self.name}: peaks of the {quantity} beyond its range were cut off (bit {bit} of its condition) [I p7-5]"
                )

    def _events(self) -> tuple[bool, int]:
        """Whether an update has ended, and which peaks were beyond a range, since it was asked last."""
        latched = scpi.integers(self._link.query(":STAT:EESR?"), f"{self.name}: the extended event register")[0]  # [Y]
        return bool(latched & ENDED_UPDATE), latched & sum(1 << bit for bit in self._peak_bits.values())

    def zero(self) -> None:
        """Zero-level compensation; the reply is 0 when it went well [Y]. Raises RefusedError."""
        outcome = scpi.integers(self._link.query("*CAL?"), f"{self.name}: the zero calibration")[0]
        if outcome:
            raise RefusedError(f"{self.name}: zero-level compensation failed (*CAL? answered {outcome})", ((outcome, "*CAL?"),))
        self._settle()
