"""Yokogawa WT310E power analyzer: steady means of power for the closure test, never windows.

Documents: [I] IM WT310E-17EN (communication interface); [S] IM WT310E-02EN (specifications); [W] the WT3000's measured behaviour in
labd's instrument reference; [-]: of the WT300 command set, no page was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.checks import HOST_CLOCK, Clock, identified
from labd_instruments.contract import Acquisition, Evidence, Identity, MeanSetup, OffAssurance, Reading
from labd_instruments.errors import OutOfRangeError, ReadBackError, RefusedError, ReplyError, SentinelError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link
from labd_instruments.options import option

__all__ = ["CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "ROLES", "WT310E", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Measures")
ROLES = ("power_analyzer",)
IDENTIFIES = r"YOKOGAWA,WT310E"
EVIDENCE = Evidence.EXPERIMENTAL  # as long as strings marked [-] are among its commands
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off

VOLTAGE_RANGES_V = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
CURRENT_RANGES_A = (5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
UPDATES_S = {0.1: "100MS", 0.25: "250MS", 0.5: "500MS", 1.0: "1S", 2.0: "2S", 5.0: "5S", 10.0: "10S", 20.0: "20S"}
SPECIFICATION = "IM WT310E-02EN p7-7 (active power, DC, 12 months; read as 0.1 % of reading + 0.2 % of range)"
ITEMS = ("U", "I", "P")
ENDED_UPDATE = 1  # bit 0 of the condition register is UPD, updating


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    new_data: str = option(
        "values",
        "how a new update is told from an old one: values (U, I or P differs) or register (UPD latched in the extended event register)",
        choices=("values", "register"),
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
    """Open the meter at `resource` (or on `link`) and check who answers. clock is not needed: updates are told apart by their values.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError.
    """
    del clock
    return identified(WT310E(name, link or open_link(resource, options.timeout_s), options, declared))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a power analyzer has no output."""
    del resource, timeout_s


def accuracy_rows(model: str) -> tuple[AccuracyRow, ...]:
    """Active power on every pair of ranges (full scale = U range x I range). The WT310EH's direct input has its own figures."""
    gain = 3e-3 if model.upper().startswith("WT310EH") else 1e-3
    full_scales = sorted({round(u * i, 9) for u in VOLTAGE_RANGES_V for i in CURRENT_RANGES_A})
    return tuple(AccuracyRow("power", fs, gain, 2e-3 * fs, 0.1, SPECIFICATION) for fs in full_scales)


def _exact(what: str, value: float | None, known: tuple[float, ...], unit: str) -> float:
    for candidate in known:
        if value is not None and abs(value - candidate) <= 1e-6 * candidate:
            return candidate
    asked = "automatic" if value is None else f"{value:g} {unit}"
    raise OutOfRangeError(f"{what} is {asked}, a WT310E has {', '.join(f'{k:g}' for k in known)} {unit}")


def _current_word(ampere: float) -> str:
    """`200MA`, `1A`: MA is milliampere for current [I p5-6]."""
    return f"{ampere * 1000:g}MA" if ampere < 1.0 else f"{ampere:g}A"


class WT310E:
    """One WT310E or WT310EH, element 1."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    voltage_ranges_v = VOLTAGE_RANGES_V
    current_ranges_a = CURRENT_RANGES_A
    crest_factor = 3.0  # IM WT310E-01EN p. 2-17: the default, the largest peak in multiples of the range

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...]) -> None:
        self.name = name
        self._link = link
        self._options = options
        self._declared = declared
        self._accuracy = AccuracyTable().declared(declared)
        self._ranges: tuple[float, float] | None = None
        self._last: bytes = b""

    def identify(self) -> Identity:
        who = scpi.identity(self._link.query("*IDN?"))
        if not (who.maker.upper().startswith("YOKOGAWA") and who.model.upper().startswith("WT310E")):
            raise WrongInstrumentError(f"{self.name}: {self._link.resource} is a {who.maker} {who.model}, wanted is a Yokogawa WT310E")
        self._accuracy = AccuracyTable(accuracy_rows(who.model)).declared(self._declared)
        return who

    def reset(self) -> None:
        self._ranges = None
        self._link.write("*RST")
        self._link.write("*CLS")
        self._link.write(":COMM:HEAD OFF")  # [I] otherwise replies carry their headers
        self._link.write(":COMM:VERB OFF")  # [I]
        self._link.write(":INP:MODE DC")  # [I p5-6]
        self._link.write(":INP:FILT:LINE OFF")  # [-]
        self._link.write(":NUM:FORM FLO")  # [-]
        self._link.write(f":NUM:NORM:NUMB {len(ITEMS)}")  # [-]
        for number, item in enumerate(ITEMS, start=1):
            self._link.write(f":NUM:NORM:ITEM{number} {item},1")  # [I p9-7 names the command]
        if self._options.new_data == "register":
            self._link.write(":STAT:FILT1 FALL")  # [-] the end of an update is latched
        self.check_errors("its reset")

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self._link, ":STAT:ERR?"), self.name, doing)  # [-]

    def make_safe(self) -> None:
        """Nothing to switch off."""

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._link.close()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """aperture_s is the update interval. Raises OutOfRangeError for one, or a range, that the meter does not have."""
        volts = _exact(f"{self.name}: voltage range", setup.voltage_range_v, VOLTAGE_RANGES_V, "V")
        amperes = _exact(f"{self.name}: current range", setup.current_range_a, CURRENT_RANGES_A, "A")
        update_s = _exact(f"{self.name}: update interval", setup.aperture_s, tuple(UPDATES_S), "s")
        self._link.write(f":INP:VOLT:RANG {volts:g}")  # [I p5-6]
        self._link.write(f":INP:CURR:RANG {_current_word(amperes)}")  # [I]
        self._link.write(f":RATE {UPDATES_S[update_s]}")  # [I]
        self.check_errors("the set-up of its ranges")
        self._ranges = (volts, amperes)
        self._check_ranges()
        self._last = b""
        return Acquisition(
            dt_ns=round(update_s * 1e9),
            columns=("current", "voltage", "power"),
            aperture_s=update_s,
            current_range_a=amperes,
            voltage_range_v=volts,
            remote_sense=False,
            settings={"acquisition": "update", "mode": "DC", "line_filter": "off", "new_data": self._options.new_data},
        )

    def _check_ranges(self) -> None:
        """A fixed 5 to 200 mA range is left for 1 A by the meter itself when the input is too large [W]: look again each time."""
        if self._ranges is None:
            raise OutOfRangeError(f"{self.name}: no mean is configured; configure_mean comes first")
        for what, query, wanted in zip(("voltage", "current"), (":INP:VOLT:RANG?", ":INP:CURR:RANG?"), self._ranges, strict=True):
            got = scpi.value(self._link.query(query), f"{self.name}: its {what} range")
            if abs(got - wanted) > 1e-6 * wanted:
                raise ReadBackError(f"{self.name}: the {what} range was fixed at {wanted:g} and is {got:g} now: over-input?")

    def read_mean(self) -> Reading | None:
        """Raises SentinelError for over-range (+INF) and no data (NaN), ReadBackError when the meter has left its range."""
        if self._options.new_data == "register" and not self._update_ended():
            return None
        self._link.write(":NUM:NORM:VAL?")  # [-]
        block = self._link.read_definite_block(">f4")
        if len(block) != len(ITEMS):
            raise ReplyError(f"{self.name}: {len(block)} values came, {len(ITEMS)} are set up ({', '.join(ITEMS)})")
        raw = block.tobytes()
        if self._options.new_data == "values" and raw == self._last:
            return None
        self._last = raw
        self._check_ranges()
        if not np.all(np.isfinite(block)):
            raise SentinelError(f"{self.name}: U, I, P are {', '.join(map(str, block))}: NaN is no data, INF over-range [I p9-7]")
        voltage, current, power = (float(value) for value in block)
        return Reading(current, voltage, power)

    def _update_ended(self) -> bool:
        return bool(scpi.integers(self._link.query(":STAT:EESR?"), f"{self.name}: the extended event register")[0] & ENDED_UPDATE)  # [-]

    def zero(self) -> None:
        """Zero-level compensation; the reply is 0 when it went well [-]. Raises RefusedError."""
        outcome = scpi.integers(self._link.query("*CAL?"), f"{self.name}: the zero calibration")[0]
        if outcome:
            raise RefusedError(f"{self.name}: zero-level compensation failed (*CAL? answered {outcome})", ((outcome, "*CAL?"),))
        self._last = b""
