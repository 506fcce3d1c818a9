"""ZES Zimmer LMG610, LMG640, LMG641, LMG670 and LMG671 power analyzers: steady means of power for the closure test, never windows.

Of the maker's manual (Instrument Family LMG600, V1.009 and a later one of 472 pages) only the contents could be read. Published drivers,
none by this project: [C] github.com/cuveland/lmgtools, `lmg670.py` and the log of a real LMG670 in `example/` (port, both languages,
ranges, items, what cycles look like, 9.91E+37); [D] github.com/tud-zih-energy/lmgd, `device.cpp`, `channel.cpp`, `connection.cpp` (set-up
in SCPI, each step with `:SYST:ERR:ALL?`; short commands in an older `main.cpp`): two authors with an instrument each, neither of whom
names the other. [V] github.com/sunspec/svp_energy_lab, `Lib/svpelab/device_lmg670.py`, which follows [C] in its languages and pages of the
manual in the rest (`INIM` before a query, one line of items, `ISCA`, `IJACK`, `CYCLMOD`). [-] no source for these models: the query forms
of settings, which SCPI gives to each; how many channels a model has room for, which its name says.

The instrument speaks two languages. SCPI has the error queue, the cycle time and the suppression of zero; the items of which means are
wanted are published in the short one alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.checks import HOST_CLOCK, Clock, configured, exact, identified, same
from labd_instruments.contract import Acquisition, CaptureSetup, Evidence, Identity, MeanSetup, OffAssurance, Reading, Setups, StreamSetup
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError, ReadBackError, ReplyError, SentinelError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link
from labd_instruments.options import option

__all__ = ["CAPABILITIES", "EVIDENCE", "LMG600", "NEEDS_LEAVE", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Measures")
ROLES = ("power_analyzer",)
IDENTIFIES = r"ZES[^,]*,\s*LMG6[147][01]"
EVIDENCE = Evidence.EXPERIMENTAL
ON_THE_WIRE = ("SOCKET",)  # port 5025 [C] [D] [V]; no published driver uses another service of its network
NEEDS_LEAVE = True  # no page of the manual's command reference was read
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off

CYCLES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # 0.05 s [D] [V], 0.5 s after a reset [C]; one that it has not reads back otherwise
UPDATE_S = 0.1  # of a cross-check
VOLTAGE_RANGES_V = (12.5, 250.0)  # those that [D], [C] and [V] set
CURRENT_RANGES_A = (5e-3, 1.2, 10.0, 20.0, 32.0)  # those that [D] and [C] set
TIMEBASE = 0.01  # by how much a cycle may differ from what was set; 0.02 % in the log of [C], where it is synchronised to the mains
SETTLING_CYCLES = 1  # the first that ends after a changed setting may have begun before it
LOOKS = 0.1  # of a cycle: from one look for a new cycle to the next
AWAY_CYCLES = 2.0  # without a look, and the cycle that was asked for is an old one
STALE_CYCLES = 10.0  # without a new one, nothing is measured any more
ITEMS = ("UDC", "IDC", "P", "UTRMS", "ITRMS", "UCF", "ICF")  # [C]; all but the crest factors also [V]
STAMP = re.compile(r"\d{4}:\d\d:\d\dD\d\d:\d\d:\d\d\.\d+[+-]\d{4}")  # 2015:01:21D17:20:55.437817000+0000 [C]
QUEUE = re.compile(r'([+-]?\d+)\s*,\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    channel: int = option(
        1, "channel that measures the board; an LMG610 has one, an LMG640 up to four, an LMG670 up to seven", low=1, high=7
    )
    timeout_s: float = option(5.0, "time-out of one exchange in seconds; an answer may wait for the end of a cycle", low=0.1, high=30.0)


@dataclass(frozen=True, slots=True)
class Configured:
    """voltage_v, current_a: the fixed ranges. cycle_s: as it reads back."""

    voltage_v: float
    current_a: float
    cycle_s: float


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> LMG600:
    """Open the analyzer at `resource` (`TCPIP::address::5025::SOCKET`, or on `link`) and check who answers. clock: tells when to look.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (a channel that this model has no room for).
    """
    return identified(LMG600(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a power analyzer has no output."""
    del resource, timeout_s


class LMG600:
    """One channel of an analyzer of the family."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    voltage_ranges_v = VOLTAGE_RANGES_V
    crest_factor = 1.0  # of which no page was at hand: a range then always holds its peaks

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._link = link
        self._channel = options.channel
        self._accuracy = AccuracyTable().declared(declared)  # no document with limits of error was at hand
        certified = (row.full_scale for row in declared if row.quantity == "current")
        self.current_ranges_a = tuple(sorted({*CURRENT_RANGES_A, *certified}))  # no page has the list of them either
        self._clock = clock
        self._set: Configured | None = None
        self._kept: dict[str, str] = {}
        self._last, self._settling = "", 0
        self._look_s = self._stale_s = self._looked_s = 0.0
        self._was_away, self._timeout_s = False, options.timeout_s

    def identify(self) -> Identity:
        who = scpi.identity(self._link.query("*IDN?"))
        found = re.match(r"LMG6([147])[01]", who.model.upper())
        if not who.maker.upper().startswith("ZES") or found is None:
            wanted = "a ZES Zimmer LMG610, LMG640, LMG641, LMG670 or LMG671"
            raise WrongInstrumentError(f"{self.name}: {self._link.resource} is a {who.maker} {who.model}, wanted is {wanted}")
        if self._channel > int(found[1]):
            raise OutOfRangeError(f"{self.name}: option channel is {self._channel}, a {who.model} has room for {found[1]}")
        return who

    def reset(self) -> None:
        self._set = None
        with self._in_scpi():
            self._link.write("*RST")  # [C] [D]
            self._link.write("*CLS")  # [C]
            self._link.write(":INIT:CONT OFF")  # [D] else answers of an earlier session's list come unasked
            self._link.write(":SENS:ZPR 0")  # [D] else small readings are told as zero
        self._link.write(f"ISCA{self._channel} 1")  # [V] a factor left behind multiplies every reading
        self._link.write("CYCLMOD 0")  # [V] cycles as long as is set, whatever is measured
        self.check_errors("its reset")
        self._kept = {header: self._asked(f"{header}?").strip() for header in (f"IJACK{self._channel}", "CYCLMOD")}  # [-]

    def check_errors(self, doing: str) -> None:
        """Raises RefusedError, ReplyError."""
        with self._in_scpi():
            reply = self._link.query(":SYST:ERR:ALL?")  # [C] [D]
        entries = tuple((int(code), text) for code, text in QUEUE.findall(reply))
        if not entries:
            raise ReplyError(f"{self.name}: :SYST:ERR:ALL? answers codes and texts, got {reply!r}")
        scpi.raise_errors(tuple(entry for entry in entries if entry[0]), self.name, doing)

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
        return intervals.at_or_above(setup.aperture_s if isinstance(setup, MeanSetup) else setup.dt_s, CYCLES_S)

    # --- Measures

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """aperture_s is the cycle time. A range beside those that published drivers set, such as one that a certificate in the bench file
        names, is taken where the instrument reads it back as it was set. Raises OutOfRangeError, ReadBackError, RefusedError."""
        volts = self._range("voltage range", setup.voltage_range_v, VOLTAGE_RANGES_V, "V")
        amperes = self._range("current range", setup.current_range_a, CURRENT_RANGES_A, "A")
        cycle_s = exact(f"{self.name}: cycle time", setup.aperture_s, CYCLES_S, "s")
        for letter, full_scale in (("U", volts), ("I", amperes)):
            self._link.write(f"{letter}AUTO{self._channel} 0")  # [C] [V] [D]
            self._link.write(f"{letter}RNG{self._channel} {full_scale:g}")  # [C] [V] [D]
        with self._in_scpi():
            self._link.write(f":SENS:SWE:TIME {cycle_s:g}")  # [D] without trailing zeros, which it refuses
            same(f"{self.name}: the cycle time", cycle_s, self._number(":SENS:SWE:TIME?"), tolerance=1e-6 * cycle_s)  # [D]
        self.check_errors("the set-up of its ranges and its cycle")
        self._set = Configured(volts, amperes, cycle_s)
        self._check_settings(self._set)
        self._last, self._settling = "", SETTLING_CYCLES
        self._next_cycle(cycle_s)
        return Acquisition(
            dt_ns=round(cycle_s * 1e9),
            columns=("current", "voltage", "power"),
            aperture_s=cycle_s,
            current_range_a=amperes,
            voltage_range_v=volts,
            remote_sense=False,
            settings={
                "acquisition": "cycle",
                "items": ", ".join(ITEMS[:3]),
                "zero_suppression": "off",
                "channel": str(self._channel),
                "new_data": "time stamp of the cycle",
            },
        )

    def read_mean(self) -> Reading | None:
        """The cycle that was asked for ended soon after: a host that was away asks anew, and at its second late look waits for the answer,
        if that comes within the time-out.

        Raises SentinelError for marks and for a range that is exceeded, ReadBackError when a setting has changed or a cycle was longer
        than set, ReplyError when no cycle ends any more, RefusedError when it says that something went wrong."""
        setup = configured(self._set, self.name, "mean")
        now_s = self._clock.now_s()
        away = now_s - self._looked_s > AWAY_CYCLES * (1 + TIMEBASE) * setup.cycle_s
        again, self._was_away, self._looked_s = self._was_away and setup.cycle_s < self._timeout_s, away, now_s
        if away and not again:
            self._next_cycle(setup.cycle_s)
        elif away:
            self._link.write("INIM")  # [V] the answer waits for the end of the cycle
        if now_s < self._look_s:
            return None
        fields = self._fetched()
        if fields[0] == self._last:
            if self._clock.now_s() > self._stale_s:
                raise ReplyError(f"{self.name}: no cycle has ended since {self._last}: is it held, or does it wait for a signal?")
            self._look_s = self._clock.now_s() + LOOKS * setup.cycle_s
            return None
        self._last = fields[0]
        self._next_cycle(setup.cycle_s)
        self._check_settings(setup)
        if self._settling:
            self._settling -= 1
            return None
        lasted_s = scpi.value(fields[1], f"{self.name}: DURNORM{self._channel}")
        if abs(lasted_s - setup.cycle_s) > TIMEBASE * setup.cycle_s:
            raise ReadBackError(f"{self.name}: a cycle took {lasted_s:g} s, set are {setup.cycle_s:g} s: it is synchronised to a signal")
        return self._reading(fields[2:], setup)

    def zero(self) -> None:
        """Nothing: no published driver adjusts its zero; it is made by key before a run."""

    # --- inside

    @contextmanager
    def _in_scpi(self) -> Iterator[None]:
        """The short language is what it speaks otherwise."""
        self._link.write("*zlang scpi")  # [C] [D] [V]
        try:
            yield
        finally:
            self._link.write("*zlang short")

    def _next_cycle(self, cycle_s: float) -> None:
        """Ask for the values of the cycle that ends next; a query waits for them, so that it comes when they are there."""
        self._link.write("INIM")  # [V] [D]
        now_s = self._clock.now_s()
        self._looked_s, self._look_s = now_s, now_s + cycle_s * (1 + TIMEBASE)
        self._stale_s = now_s + STALE_CYCLES * cycle_s

    def _fetched(self) -> list[str]:
        """Time stamp, duration and items of one cycle."""
        names = ("TSNORM", "DURNORM", *ITEMS)
        reply = self._asked(";".join(f"{name}{self._channel}?" for name in names))  # [C] [V]
        fields = [field.strip() for field in reply.split(";")]
        if len(fields) != len(names) or not STAMP.fullmatch(fields[0]):
            raise ReplyError(f"{self.name}: {', '.join(names)} were asked for, got {reply!r}")
        return fields

    def _reading(self, fields: list[str], setup: Configured) -> Reading:
        what = f"{self.name}: {', '.join(ITEMS)} of channel {self._channel}"
        voltage, current, power, volts_rms, amperes_rms = (scpi.value(field, what) for field in fields[:5])
        for quantity, rms, crest, full_scale in (
            ("voltage", volts_rms, fields[5], setup.voltage_v),
            ("current", amperes_rms, fields[6], setup.current_a),
        ):
            peak = rms * scpi.value(crest, what) if rms else 0.0  # a silent input has no crest factor: 9.91E+37 [C]
            if not max(peak, rms) <= full_scale * (1 + TIMEBASE):
                raise SentinelError(
                    f"{self.name}: peaks of the {quantity} are {max(peak, rms):g}, which its range {full_scale:g} need not hold"
                )
        return Reading(current, voltage, power)

    def _check_settings(self, setup: Configured) -> None:
        """Its keys work while it is measured with, so that settings are looked at again with every reading."""
        for setting, wanted in (
            ("UAUTO", 0.0),
            ("IAUTO", 0.0),
            ("URNG", setup.voltage_v),
            ("IRNG", setup.current_a),
            ("ISCA", 1.0),
        ):
            header = f"{setting}{self._channel}"
            same(f"{self.name}: {header}", wanted, self._number(f"{header}?"), tolerance=1e-6 * wanted)  # [-]

        for header, was in self._kept.items():  # which jack is wired nobody but the reset's answer tells
            if (now := self._asked(f"{header}?").strip()) != was:
                raise ReadBackError(f"{self.name}: {header} was {was} after its reset and is {now} now")

    def _number(self, query: str) -> float:
        return scpi.value(self._asked(query), f"{self.name}: {query}")

    def _asked(self, query: str) -> str:
        """A query that it refuses has no answer, and the reason in the queue."""
        try:
            return self._link.query(query)
        except LinkTimeoutError:
            self.check_errors(query)
            raise

    def _range(self, what: str, value: float | None, known: tuple[float, ...], unit: str) -> float:
        if value is None or not value > 0:
            asked = "automatic" if value is None else f"{value:g} {unit}"
            raise OutOfRangeError(f"{self.name}: {what} is {asked}, right would be a fixed one, such as {known[0]:g} {unit}")
        return value
