"""Keithley DMM6500 or DMM7510 multimeter (SCPI): digitizes current around a trigger, takes integrated readings; never feeds anything.

Sources as in `_dmm6500`. It measures the current through its AMPS input and no voltage: the voltage at the DUT is what another instrument
feeds, less the burden of the AMPS input, whose shunt changes with the range (at full scale up to 0.17 V on 10 mA, 0.20 V on 100 mA, 0.75 V
on 1 A, by the DMM6500 datasheet, p. 13, AC current; the DC table was not at hand).
"""

from __future__ import annotations

import math

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable, BurdenRow
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, identified, within
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
from labd_instruments.drivers._dmm6500 import TERMINALS, Dmm, Options
from labd_instruments.drivers._dmm6500_capture import TriggeredDigitizer
from labd_instruments.errors import OutOfRangeError, ReadBackError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "ROLES", "KeithleyDmm", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Captures", "Measures")
ROLES = ("meter",)
IDENTIFIES = r"KEITHLEY.*,\s*MODEL DMM(6500|7510),"
EVIDENCE = Evidence.EXPERIMENTAL  # as long as strings marked [S] or [-] are among its commands
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off

# DMM6500 datasheet p. 13: of the AC ranges, whose current input is the same; its footnotes and the DC table were not at hand [-]
BURDEN = tuple(
    BurdenRow(full_scale, volt, "DMM6500 datasheet p. 13, AC current")
    for full_scale, volt in ((100e-6, 0.14), (1e-3, 0.17), (10e-3, 0.17), (0.1, 0.20), (1.0, 0.75), (3.0, 1.70), (10.0, 0.50))
)
SHORTEST_NPLC = 0.0005  # [N p. 13-108, P]
MEANS_BUFFER = '"defbuffer2"'  # the other default buffer is the captures'


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> KeithleyDmm:
    """Open the instrument at `resource` (or on `link`) and check who answers, in which language.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError. clock is not needed: captures carry the instrument's time stamps.
    """
    del clock
    return identified(KeithleyDmm(name, link or open_link(resource, options.timeout_s), options, declared))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a multimeter has no output."""
    del resource, timeout_s


class KeithleyDmm:
    """One DMM6500 or DMM7510 in its native SCPI command set."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...]) -> None:
        self.name = name
        self._dmm = Dmm(name, link, options)
        # no row for DC or digitized current of either model is in a page at hand: "60 ppm of reading + 9 ppm of range" on 10 mA is an
        # example of a calculation (DMM6500-905-01 Rev. A), not said to be the specification, and names no aperture
        self._accuracy = AccuracyTable(burden=BURDEN if options.model == "DMM6500" else ()).declared(declared)
        self._digitizer = TriggeredDigitizer(self._dmm)
        self._line_hz: float | None = None
        self._mean: Acquisition | None = None

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._dmm.current_ranges_a

    # --- Instrument

    def identify(self) -> Identity:
        """Raises WrongInstrumentError, also for the command languages TSP, SCPI2000 and SCPI34401."""
        link, model = self._dmm.link, self._dmm.options.model
        who = scpi.identity(link.query("*IDN?"))
        if not who.model.upper().startswith(model):
            raise WrongInstrumentError(f"{self.name}: {link.resource} is a {who.maker} {who.model}, wanted is a Keithley {model}")
        language = scpi.unquoted(link.query("*LANG?")).upper()  # [N p. 2-29, P, Q]
        if language != "SCPI":
            raise WrongInstrumentError(f"{self.name}: its command language is {language}, wanted is SCPI (set it and restart it)")
        return who

    def reset(self) -> None:
        """Raises RefusedError, ReadBackError when the TERMINALS switch stands at the wrong side."""
        self._digitizer.forget()
        self._mean = None
        dmm, link = self._dmm, self._dmm.link
        link.write("*RST")
        link.write("*CLS")
        link.write(':SENS:FUNC "CURR"')  # [N p. 13-151, P, Q] a reset selects voltage
        link.write(":DISP:SCR PROC")  # [N p. 13-40, P, E] the screen that needs least of the processor
        link.write(":FORM:DATA ASC")  # [N p. 13-44, P]
        dmm.put_word(":FORM:BORD", "SWAP", "the byte order")  # least significant byte first
        # by default the output follows notify block 2 [M]; its logic first, so that it rests at the right level
        dmm.put_word(":TRIG:EXT:OUT:LOG", dmm.options.fire_polarity, "the logic of EXTERNAL TRIGGER OUT")  # [E]
        dmm.put_word(":TRIG:EXT:OUT:STIM", "NONE", "the stimulus of EXTERNAL TRIGGER OUT")  # [E]
        self._require_terminals()
        self.check_errors("its reset")
        self._line_hz = dmm.number(":SYST:LFR?", "the line frequency")  # [N p. 13-170, P]

    def _require_terminals(self) -> None:
        wanted = TERMINALS[self._dmm.options.terminals]
        got = scpi.unquoted(self._dmm.ask(":ROUT:TERM?", "the terminals")).upper()  # [N p. 13-81, P]
        if not got.startswith(wanted):
            raise ReadBackError(f"{self.name}: its TERMINALS switch stands at {got}, the bench file says {self._dmm.options.terminals}")

    def check_errors(self, doing: str) -> None:
        self._dmm.check_errors(doing)

    def make_safe(self) -> None:
        """End acquisitions; it has no output. Raises RefusedError when the trigger model goes on."""
        self._digitizer.abort()

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        if self._line_hz is None:
            self._line_hz = self._dmm.number(":SYST:LFR?", "the line frequency")
        return self._line_hz

    def close(self) -> None:
        self._dmm.link.close()

    # --- TellsSetups

    @property
    def setups(self) -> Setups:
        return Setups(fires=self._dmm.options.fire_output)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if not isinstance(setup, MeanSetup):
            return self._digitizer.interval_s(setup.dt_s)
        line_hz = self.line_frequency_hz() or 50.0
        return intervals.between(setup.aperture_s, low_s=SHORTEST_NPLC / line_hz, high_s=_longest_nplc(line_hz) / line_hz)

    # --- Captures

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        self._mean = None
        return self._digitizer.configure(setup)

    def arm(self) -> None:
        self._digitizer.arm()

    def fire(self) -> None:
        self._digitizer.fire()

    def captured(self) -> bool:
        return self._digitizer.captured()

    def fetch(self) -> tuple[Block, ...]:
        return self._digitizer.fetch()

    # --- Measures

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """Raises OutOfRangeError, ReadBackError, RefusedError. setup.voltage_range_v does not matter: no voltage is measured."""
        dmm, line_hz = self._dmm, self.line_frequency_hz() or 50.0
        nplc = setup.aperture_s * line_hz
        longest = _longest_nplc(line_hz)
        limit = f"DMM6500-901-01 p. 13-108 at {line_hz:g} Hz"
        within(f"{self.name}: aperture", nplc, low=SHORTEST_NPLC, high=longest, unit="power line cycles", limit=limit)
        self._mean = None
        dmm.link.write(":ABOR")
        dmm.link.write(':SENS:FUNC "CURR"')
        dmm.is_word(":SENS:FUNC?", "CURR", "the measure function")
        range_a = dmm.put_range(":SENS:CURR", setup.current_range_a)  # turns auto range off [N p. 13-114]
        nplc = dmm.put(":SENS:CURR:NPLC", nplc, "the integration time", apart=1e-3)  # [N p. 13-108, P, Q]
        dmm.switched_off(":SENS:CURR:AZER", "auto-zero")  # [N p. 13-98, P, Q] zeroed once by `zero`: a reading takes one integration
        dmm.switched_off(":SENS:CURR:AVER", "the averaging filter")  # [N p. 13-92, Q]
        dmm.switched_off(":SENS:CURR:REL:STAT", "the relative offset")  # [N p. 13-116, P]
        dmm.put(":SENS:COUN", 1, "the count")  # [N p. 13-148]
        self.check_errors("the set-up of its readings")
        self._mean = Acquisition(
            dt_ns=round(nplc / line_hz * 1e9),
            columns=("current",),
            aperture_s=nplc / line_hz,
            current_range_a=range_a,
            voltage_range_v=None,
            remote_sense=False,
            settings={
                "acquisition": "measure",
                "nplc": scpi.number(nplc),
                "auto_zero": "once",
                "filter": "none",
                "terminals": dmm.options.terminals,
                "voltage": "not measured",
            },
        )
        return self._mean

    def read_mean(self) -> Reading | None:
        """A reading of current; its voltage is NaN, because this instrument measures none.

        Raises SentinelError for one that is out of range, ReadBackError when somebody changed the range.
        """
        mean, dmm = self._mean, self._dmm
        if mean is None or mean.current_range_a is None:
            raise OutOfRangeError(f"{self.name}: no mean is configured; configure_mean comes first")
        current = dmm.number(f":READ? {MEANS_BUFFER}", "a reading")  # [P, Q]
        dmm.is_word(":SENS:CURR:RANG:AUTO?", "0", "auto range")  # [N p. 13-112, P, Q]
        dmm.still(":SENS:CURR:RANG", mean.current_range_a, "the current range")
        return Reading(current, math.nan)

    def zero(self) -> None:
        self._dmm.link.write(":SENS:AZER:ONCE")  # [N p. 13-140, P, Q]
        self.check_errors("auto-zero")


def _longest_nplc(line_hz: float) -> float:
    return 15.0 if line_hz > 55 else 12.0  # [N p. 13-108]
