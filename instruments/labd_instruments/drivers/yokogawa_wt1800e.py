"""Yokogawa WT500, WT1801 to WT1806 and WT1801E to WT1806E power analyzers: steady means of power for the closure test, never windows.

Sources: [5] the maker's own demonstration for the WT500, in github.com/NilsMinor/QWT500 (`WT500_VC++_Demo_Src for 2015/MainDialog.cpp`)
and [18] its sister for the WT1800 and WT1800E (`WT1800Demo`, MainDialog.cpp): ranges and their queries by element, update intervals,
items, blocks, errors, the latched end of an update, *IDN?. Drivers that are not by the maker: [Q] `QWT500/qwt500.cpp` of the same
repository, with a dialogue of a real WT500 (NAN); [W] github.com/Soochol/WF_EOL_TESTER, a WT1806's, and the list of commands of
IM WT1801-17EN that it keeps [L]: crest factor, scaling, hold, averaging, modules, peak over-range, zero calibration. [3] a WT3000's
library, for the form of their answers. [-] of [L], and of a WT500 not seen: whatever bears no other mark.

Other than a WT310E these have ranges by element and no mode: mean values are items of their own (UDC, IDC). A current range may be that of
an external sensor, which answers `EXTERNAL,10.00E+00` [3] [5].
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.checks import HOST_CLOCK, Clock, configured, exact, identified, same
from labd_instruments.contract import Acquisition, CaptureSetup, Evidence, Identity, MeanSetup, OffAssurance, Reading, Setups, StreamSetup
from labd_instruments.errors import OutOfRangeError, ReadBackError, RefusedError, ReplyError, SentinelError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link
from labd_instruments.options import option

__all__ = ["CAPABILITIES", "EVIDENCE", "NEEDS_LEAVE", "OFF_ASSURANCE", "ROLES", "WT1800E", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Measures")
ROLES = ("power_analyzer",)
IDENTIFIES = r"YOKOGAWA,(WT180[1-6]|76020[1-3])"
EVIDENCE = Evidence.EXPERIMENTAL
ON_THE_WIRE = ("VXI-11",)  # of its network [5] [18]; USBTMC and GPIB beside it
NEEDS_LEAVE = True  # no page of a manual was read, but by whoever keeps [L]
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off

CREST_FACTOR = 3
ITEMS = ("UDC", "IDC", "P")  # [5] [18]
ENDED_UPDATE = 1  # bit 0 of the extended event register [5] [18] [Q]
SETTLING_UPDATES = 1  # the first that ends after a changed setting may have begun before it
STALE_UPDATES = 10.0  # without a new one, nothing is measured any more
UPDATES_S = {0.05: "50MS", 0.1: "100MS", 0.2: "200MS", 0.5: "500MS", 1.0: "1S", 2.0: "2S", 5.0: "5S", 10.0: "10S", 20.0: "20S"}  # [18]
UPDATE_S = 0.1  # a WT500 has no shorter one


@dataclass(frozen=True, slots=True)
class Model:
    """voltage_ranges_v, current_ranges_a: fixed, ascending, at crest factor 3. updates_s: intervals between updates."""

    voltage_ranges_v: tuple[float, ...]
    current_ranges_a: tuple[float, ...]
    updates_s: tuple[float, ...]


_HIGH_V = (15.0, 30.0, 60.0, 100.0, 150.0, 300.0, 600.0, 1000.0)
WT500 = Model(_HIGH_V, (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0), (0.1, 0.2, 0.5, 1.0, 2.0, 5.0))  # [5]
_WT1800_V = (1.5, 3.0, 6.0, 10.0, *_HIGH_V)  # [18]
BY_MODULE = {  # of a WT1800 or WT1800E: 5 A and 50 A elements [W]; their ranges together are those of [18]
    5: Model(_WT1800_V, (10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0), tuple(UPDATES_S)),
    50: Model(_WT1800_V, (1.0, 2.0, 5.0, 10.0, 20.0, 50.0), tuple(UPDATES_S)),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    element: int = option(1, "input element that measures the board; the last digit of a model's name is how many it has", low=1, high=6)
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


@dataclass(frozen=True, slots=True)
class Configured:
    """The fixed ranges, and the interval between updates."""

    voltage_v: float
    current_a: float
    update_s: float


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> WT1800E:
    """Open the analyzer at `resource` (or on `link`) and check who answers. clock: tells when updates have ceased.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (an element that it has not).
    """
    return identified(WT1800E(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a power analyzer has no output."""
    del resource, timeout_s


def _current_word(ampere: float) -> str:
    """`200MA`, `1A`: MA is milliampere for a current [18]."""
    return f"{ampere * 1000:g}MA" if ampere < 1.0 else f"{ampere:g}A"


def _bare(reply: str) -> str:
    """A reply without its header, which is there until it is switched off."""
    return reply.strip().rsplit(" ", 1)[-1] if reply.startswith(":") else reply.strip()


class WT1800E:
    """One element of an analyzer of the family."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    crest_factor = float(CREST_FACTOR)

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._link = link
        self._element = options.element
        self._accuracy = AccuracyTable().declared(declared)  # no document with limits of error was at hand
        self._clock = clock
        self._model = WT500
        self._set: Configured | None = None
        self._settling, self._stale_s = 0, 0.0

    @property
    def voltage_ranges_v(self) -> tuple[float, ...]:
        return self._model.voltage_ranges_v

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._model.current_ranges_a

    def identify(self) -> Identity:
        """A WT500 calls itself 760201 to 760203 [5], the others WT1801 to WT1806E with their elements, `WT1806E-5A3-50A3` [18]."""
        who = scpi.identity(self._link.query("*IDN?"))
        found = re.match(r"(?:WT180([1-6])|76020([1-3]))", who.model.upper())
        if who.maker.upper() != "YOKOGAWA" or found is None:
            wanted = "a Yokogawa WT500, WT1800 or WT1800E"
            raise WrongInstrumentError(f"{self.name}: {self._link.resource} is a {who.maker} {who.model}, wanted is {wanted}")
        if "EM" in who.model.upper():
            raise WrongInstrumentError(f"{self.name}: {who.model} is set to the commands of another model, right would be its own")  # [18]
        elements = int(found[1] or found[2])
        if self._element > elements:
            raise OutOfRangeError(f"{self.name}: option element is {self._element}, a {who.model} has {elements}")
        self._model = WT500 if found[2] else self._by_module(elements)
        return who

    def _by_module(self, elements: int) -> Model:
        modules = scpi.integers(_bare(self._link.query(":INP:MODU?")), f"{self.name}: :INP:MODU?")  # [L] [3]
        module = modules[self._element - 1] if len(modules) >= elements else 0
        if module not in BY_MODULE:
            raise OutOfRangeError(f"{self.name}: element {self._element} of {modules} is none of {', '.join(map(str, BY_MODULE))} A")
        return BY_MODULE[module]

    def reset(self) -> None:
        self._set = None
        self._link.write("*RST")  # [5] [18] [Q]
        self._link.write("*CLS")  # [W]
        self._link.write(":COMM:HEAD OFF")  # [5] [18] otherwise replies carry their headers
        self._link.write(":COMM:VERB OFF")  # [5] [18]
        self._link.write(f":INP:CFAC {CREST_FACTOR}")  # [L]; the query [5] [18]
        self._link.write(f":INP:SCAL:STAT:ELEM{self._element} OFF")  # [L] a ratio left behind multiplies every reading
        self._link.write(":MEAS:AVER:STAT OFF")  # [L]
        self._link.write(":INP:NULL OFF")  # [L] what was read at a press of the key is subtracted
        self._link.write(":HOLD OFF")  # [L]
        self._link.write(":NUM:FORM FLO")  # [5] [18]
        self._link.write(f":NUM:NORM:NUMB {len(ITEMS)}")  # [5] [18] [Q] [W]
        for number, item in enumerate(ITEMS, start=1):
            self._link.write(f":NUM:NORM:ITEM{number} {item},{self._element}")  # [5] [18] [Q] [W]
        self._link.write(":STAT:FILT1 FALL")  # [5] [18] [Q] the end of an update is latched
        self.check_errors("its reset")

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self._link, ":STAT:ERR?"), self.name, doing)  # [5] [18] [W]

    def make_safe(self) -> None:
        """Nothing to switch off."""

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._link.close()

    # --- TellsSetups

    @property
    def setups(self) -> Setups:
        return Setups()

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        return intervals.at_or_above(setup.aperture_s if isinstance(setup, MeanSetup) else setup.dt_s, self._model.updates_s)

    # --- Measures

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """aperture_s is the update interval. Raises OutOfRangeError, ReadBackError, RefusedError."""
        volts = exact(f"{self.name}: voltage range", setup.voltage_range_v, self.voltage_ranges_v, "V")
        amperes = exact(f"{self.name}: current range", setup.current_range_a, self.current_ranges_a, "A")
        update_s = exact(f"{self.name}: update interval", setup.aperture_s, self._model.updates_s, "s")
        element = f"ELEM{self._element}"
        for quantity, word in (("VOLT", f"{volts:g}V"), ("CURR", _current_word(amperes))):
            self._link.write(f":INP:{quantity}:AUTO:{element} OFF")  # [L]; the query, and ON [5] [18]
            self._link.write(f":INP:{quantity}:RANG:{element} {word}")  # [5] [18] [Q] [W]
        self._link.write(f":RATE {UPDATES_S[update_s]}")  # [5] [18] [Q]
        self.check_errors("the set-up of its ranges")
        self._set = Configured(volts, amperes, update_s)
        self._check_settings(self._set)
        self._begin(self._set)
        return Acquisition(
            dt_ns=round(update_s * 1e9),
            columns=("current", "voltage", "power"),
            aperture_s=update_s,
            current_range_a=amperes,
            voltage_range_v=volts,
            remote_sense=False,
            settings={
                "acquisition": "update",
                "items": ", ".join(ITEMS),
                "new_data": "register",
                "crest_factor": str(CREST_FACTOR),
                "element": str(self._element),
            },
        )

    def read_mean(self) -> Reading | None:
        """Raises SentinelError for no data (NaN), over-range (INF) and cut-off peaks, ReadBackError when it has other settings than were
        set, ReplyError when no update ends any more."""
        setup = configured(self._set, self.name, "mean")
        if not self._update_ended():
            if self._clock.now_s() > self._stale_s:
                raise ReplyError(f"{self.name}: no update has ended for {STALE_UPDATES * setup.update_s:g} s: is it held?")
            return None
        self._stale_s = self._clock.now_s() + STALE_UPDATES * setup.update_s
        block = self._link.query_definite_block(":NUM:NORM:VAL?", ">f4")  # [5] [18] [Q] [W]
        self._update_ended()  # since the first look: these values may be of that one, which is not to come again
        self._check_settings(setup)
        if self._settling:
            self._settling -= 1
            return None
        if len(block) != len(ITEMS):
            raise ReplyError(f"{self.name}: {len(block)} values came, {len(ITEMS)} are set up ({', '.join(ITEMS)})")
        if not np.all(np.abs(block) < scpi.SENTINEL):
            raise SentinelError(f"{self.name}: {', '.join(ITEMS)} are {', '.join(map(str, block))}: NaN is no data, INF over-range")
        if any(scpi.integers(self._link.query(":INP:POV?"), f"{self.name}: :INP:POV?")):  # [L] [3]
            raise SentinelError(f"{self.name}: peaks beyond a range were cut off (:INP:POV?)")
        voltage, current, power = (float(value) for value in block)
        return Reading(current, voltage, power)

    def zero(self) -> None:
        """Zero-level compensation; the reply is 0 when it went well [L]. Raises RefusedError."""
        outcome = scpi.integers(self._link.query("*CAL?"), f"{self.name}: the zero calibration")[0]
        if outcome:
            raise RefusedError(f"{self.name}: zero-level compensation failed (*CAL? answered {outcome})", ((outcome, "*CAL?"),))
        if self._set is not None:
            self._begin(self._set)

    # --- inside

    def _begin(self, setup: Configured) -> None:
        """Whatever has ended before is forgotten, and how long ago."""
        self._update_ended()
        self._settling = SETTLING_UPDATES
        self._stale_s = self._clock.now_s() + STALE_UPDATES * setup.update_s

    def _update_ended(self) -> bool:
        """Since it was asked last."""
        return bool(scpi.integers(self._link.query(":STAT:EESR?"), f"{self.name}: the extended event register")[0] & ENDED_UPDATE)

    def _check_settings(self, setup: Configured) -> None:
        """Its keys work while nobody locks them, so that settings are looked at again with every reading."""
        element = f"ELEM{self._element}"
        for header, wanted in (
            (f":INP:VOLT:AUTO:{element}", 0.0),  # [5] [18]
            (f":INP:CURR:AUTO:{element}", 0.0),
            (f":INP:VOLT:RANG:{element}", setup.voltage_v),  # [5] [18]
            (f":INP:CURR:RANG:{element}", setup.current_a),
            (f":INP:SCAL:STAT:{element}", 0.0),  # [L] [3]
            (":INP:NULL", 0.0),  # [L]
            (":MEAS:AVER:STAT", 0.0),  # [L]
            (":INP:CFAC", float(CREST_FACTOR)),  # [5] [18]
            (":RATE", setup.update_s),  # [5] [18]
        ):
            reply = self._link.query(f"{header}?")
            if reply.upper().startswith("EXT"):
                raise ReadBackError(
                    f"{self.name}: element {self._element} measures an external sensor ({reply}), right would be its own input"
                )
            same(f"{self.name}: {header}", wanted, scpi.value(reply, f"{self.name}: {header}"), tolerance=1e-6 * wanted)
