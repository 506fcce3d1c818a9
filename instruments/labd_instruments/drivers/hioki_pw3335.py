"""Hioki PW3335, PW3336 and PW3337 power meters: steady means of power for the closure test, never windows.

Sources, by tag: [M] communication command manuals PW3335A985-01 and PW3336A987-01, of which the introduction (two forms of a header, TCP
port 3300, no other service of the network) and the list of command groups could be read, not the reference of each command. Published
clients, none by this project: [A] of a PW3335 (`:MEAS? U,I,P,WH` and its answers), [B] and [C] of a PW3336 (`:HEADer OFF`, items such as
`UDC2`, `*CLS`), [D] of a PW3337 (ranges, automatic ranges, ratios, `*RST;*CLS`, answers parted by semicolons), [E] and [F] of their
predecessor 3334 (`:AVERAGING`, `:HOLD`, ranges, and what the queries answer). [3390] PW3390 command manual p11 (`*ESR?`, whose bits are
all that tells of an error: this maker has no error queue here). [-] no source for these models: the channel's number in the name of a
range, as [D] has it for ratios.

One such client talks to port 3390 (which is the PW3390's), another calls the meter a GW Instek and takes every failure for 0 W: neither
was followed there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.checks import HOST_CLOCK, Clock, exact, identified
from labd_instruments.contract import Acquisition, CaptureSetup, Evidence, Identity, MeanSetup, OffAssurance, Reading, Setups, StreamSetup
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError, ReadBackError, ReplyError, SentinelError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link
from labd_instruments.options import option

__all__ = ["CAPABILITIES", "EVIDENCE", "NEEDS_LEAVE", "OFF_ASSURANCE", "PW3335", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Measures")
ROLES = ("power_analyzer",)
IDENTIFIES = r"(\*IDN )?HIOKI,PW333[567]"
EVIDENCE = Evidence.EXPERIMENTAL
ON_THE_WIRE = ("SOCKET",)  # PW3335A985-01: TCP port 3300 is all that its network has
NEEDS_LEAVE = True  # no page of the command reference, no published client that sets all of this
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off

UPDATE_S = 0.2  # of the display; n averages take n times as long (assumed, see _AVERAGES)
TIMEBASE = 0.01  # how much slower its updates may come than they are said to; no page
SETTLING_UPDATES = 2  # the first after a changed setting may have begun before it
_AVERAGES = (1, 2, 5, 10, 25, 50, 100)  # [E]
AVERAGED_S = tuple(n * UPDATE_S for n in _AVERAGES)
BEYOND = 2.0  # no reading is larger than this many times its range: marks such as +9999.9E+99 [3390] and +999.99E+9 [E] are
ERRORS = {4: "query error", 8: "device error", 16: "execution error", 32: "command error"}  # bits of *ESR? [3390]
CATALOGUE = "HIOKI PW3336/PW3337 catalogue p8 (DC, input below full scale)"


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    channel: int = option(1, "input that measures the board; a PW3335 has one, a PW3336 two, a PW3337 three", low=1, high=3)
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


@dataclass(frozen=True, slots=True)
class Model:
    """channels: inputs. ranges: fixed, ascending, of which the ends are in the manuals (PW3335 p30; catalogue of the others)."""

    channels: int
    voltage_ranges_v: tuple[float, ...]
    current_ranges_a: tuple[float, ...]


_MANY_V = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0, 1000.0)
_MANY_A = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_SMALL_A = (1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1)
MODELS = {
    "PW3335": Model(1, (6.0, *_MANY_V), (*_SMALL_A, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)),
    "PW3336": Model(2, _MANY_V, _MANY_A),
    "PW3337": Model(3, _MANY_V, _MANY_A),
}


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> PW3335:
    """Open the meter at `resource` (`TCPIP::address::3300::SOCKET`, or on `link`) and check who answers. clock: tells updates apart.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (a channel that this model does not have).
    """
    return identified(PW3335(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a power meter has no output."""
    del resource, timeout_s


def accuracy_rows(model: str) -> tuple[AccuracyRow, ...]:
    """0.1 % of reading + 0.1 % of full scale for U, I and P (full scale = U range x I range); of a PW3335 no document was found."""
    if model == "PW3335":
        return ()
    volts, amperes = MODELS[model].voltage_ranges_v, MODELS[model].current_ranges_a
    watts = sorted({round(u * i, 9) for u in volts for i in amperes})
    return (
        *(AccuracyRow("voltage", fs, 1e-3, 1e-3 * fs, UPDATE_S, CATALOGUE) for fs in volts),
        *(AccuracyRow("current", fs, 1e-3, 1e-3 * fs, UPDATE_S, CATALOGUE) for fs in amperes),
        *(AccuracyRow("power", fs, 1e-3, 1e-3 * fs, UPDATE_S, CATALOGUE) for fs in watts),
    )


def _bare(reply: str) -> str:
    """A reply without its header, which is there until it is switched off: `*IDN HIOKI,...`."""
    return reply.strip().rsplit(" ", 1)[-1] if reply.startswith((":", "*")) else reply.strip()


class PW3335:
    """One channel of a meter of the family. A reading is new when a whole update has passed since the last one was fetched."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    crest_factor = 1.0  # of which no page was at hand: a range then always holds its peaks

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._link = link
        self._channel = options.channel
        self._declared = declared
        self._clock = clock
        self._accuracy = AccuracyTable().declared(declared)
        self._model = MODELS["PW3335"]
        self._settings: dict[str, float] = {}
        self._ranges = (0.0, 0.0)
        self._next_s = 0.0
        self._update_s = UPDATE_S

    @property
    def voltage_ranges_v(self) -> tuple[float, ...]:
        return self._model.voltage_ranges_v

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._model.current_ranges_a

    def identify(self) -> Identity:
        who = scpi.identity(self._link.query("*IDN?").removeprefix("*IDN "))
        found = re.match(r"PW333[567]", who.model.upper())
        if who.maker.upper() != "HIOKI" or found is None:
            wanted = "a Hioki PW3335, PW3336 or PW3337"
            raise WrongInstrumentError(f"{self.name}: {self._link.resource} is a {who.maker} {who.model}, wanted is {wanted}")
        self._model = MODELS[found[0]]
        if self._channel > self._model.channels:
            raise OutOfRangeError(f"{self.name}: option channel is {self._channel}, a {found[0]} has {self._model.channels}")
        self._accuracy = AccuracyTable(accuracy_rows(found[0])).declared(self._declared)
        return who

    def reset(self) -> None:
        self._settings = {}
        self._link.write("*RST")  # [D]
        self._link.write("*CLS")  # [C] [D]
        self._link.write(":HEADer OFF")  # [B] [D]
        self._link.write(":HOLD OFF")  # [E]
        for ratio in ("VT", "CT"):
            self._link.write(f":SCALe{self._suffix()}:{ratio} 1")  # [D]; a ratio left behind multiplies every reading
        self.check_errors("its reset")

    def check_errors(self, doing: str) -> None:
        """The standard event register, which says what kind of error there was and not which. Raises RefusedError."""
        register = scpi.integers(_bare(self._link.query("*ESR?")), f"{self.name}: the standard event register")[0]  # [3390]
        scpi.raise_errors(tuple((bit, text) for bit, text in ERRORS.items() if register & bit), self.name, doing)

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
        return intervals.at_or_above(setup.aperture_s if isinstance(setup, MeanSetup) else setup.dt_s, AVERAGED_S)

    # --- Measures

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """aperture_s is 0.2 s or a multiple of it that the meter averages over. Raises OutOfRangeError, ReadBackError, RefusedError."""
        volts = exact(f"{self.name}: voltage range", setup.voltage_range_v, self.voltage_ranges_v, "V")
        amperes = exact(f"{self.name}: current range", setup.current_range_a, self.current_ranges_a, "A")
        update_s = exact(f"{self.name}: averaging time", setup.aperture_s, AVERAGED_S, "s")
        number = self._suffix()
        for header, full_scale in (("VOLTage", volts), ("CURRent", amperes)):
            self._link.write(f":{header}{number}:AUTO OFF")  # [D] [E]
            self._link.write(f":{header}{number}:RANGe {scpi.number(full_scale)}")  # [D] [E]
        self._link.write(f":AVERaging {round(update_s / UPDATE_S)}")  # [E]
        self.check_errors("the set-up of its ranges")
        self._ranges, self._update_s = (volts, amperes), update_s
        self._settings = {
            f":VOLTage{number}:RANGe": volts,
            f":CURRent{number}:RANGe": amperes,
            ":AVERaging": round(update_s / UPDATE_S),
            f":SCALe{number}:VT": 1.0,
            f":SCALe{number}:CT": 1.0,
        }
        self._check_settings()
        self._next_s = self._clock.now_s() + SETTLING_UPDATES * update_s * (1 + TIMEBASE)
        return Acquisition(
            dt_ns=round(update_s * 1e9),
            columns=("current", "voltage", "power"),
            aperture_s=update_s,
            current_range_a=amperes,
            voltage_range_v=volts,
            remote_sense=False,
            settings={"acquisition": "update", "items": self._items(), "new_data": f"one update by the {self._clock.name}"},
        )

    def read_mean(self) -> Reading | None:
        """Raises SentinelError for over-range and blanks, ReadBackError when the meter is held or has other settings than were set,
        RefusedError when it says that something went wrong."""
        if not self._settings:
            raise OutOfRangeError(f"{self.name}: no mean is configured; configure_mean comes first")
        if self._clock.now_s() < self._next_s:
            return None
        reply = self._asked(f":MEASure? {self._items()}")  # [B]
        self._next_s = self._clock.now_s() + self._update_s * (1 + TIMEBASE)
        self._check_settings()
        voltage, current, power = self._values(reply)
        return Reading(current, voltage, power)

    def zero(self) -> None:
        """Nothing: this meter's zero adjustment wants its inputs cut off, which labd cannot do; it is made by key before a run."""

    def _asked(self, query: str) -> str:
        """A query that it refuses has no answer, and the reason only in the register."""
        try:
            return self._link.query(query)
        except LinkTimeoutError:
            self.check_errors(query)
            raise

    def _suffix(self) -> str:
        return str(self._channel) if self._model.channels > 1 else ""  # [-]

    def _items(self) -> str:
        """Means of voltage and current, and active power with what changes in both: `U` and `I` would be effective values."""
        return ",".join(item + self._suffix() for item in ("UDC", "IDC", "P"))

    def _values(self, reply: str) -> tuple[float, ...]:
        """`+03.000E+0;+10.000E-3;+030.00E-3` [A] [D]."""
        fields = reply.split(";")
        full_scales = (*self._ranges, self._ranges[0] * self._ranges[1])
        if len(fields) != len(full_scales):
            raise ReplyError(f"{self.name}: {self._items()} were asked for, got {reply!r}")
        values = tuple(scpi.value(_bare(field), f"{self.name}: {self._items()}") for field in fields)
        for value, full_scale in zip(values, full_scales, strict=True):
            if not abs(value) <= BEYOND * full_scale:
                raise SentinelError(f"{self.name}: {self._items()} are {reply.strip()}, which no range of {full_scale:g} holds")
        return values

    def _check_settings(self) -> None:
        """Its keys work again after LOCAL, so that settings are looked at again with every reading."""
        self._word(":HOLD", "OFF")
        for header in ("VOLTage", "CURRent"):
            self._word(f":{header}{self._suffix()}:AUTO", "OFF")
        for header, wanted in self._settings.items():
            got = scpi.value(_bare(self._link.query(f"{header}?")), f"{self.name}: {header}")
            if abs(got - wanted) > 1e-6 * wanted:
                raise ReadBackError(f"{self.name}: {header} was set to {wanted:g} and is {got:g}")

    def _word(self, header: str, wanted: str) -> None:
        got = _bare(self._link.query(f"{header}?")).upper()
        if got != wanted:
            raise ReadBackError(f"{self.name}: {header} was set to {wanted} and is {got}")
