"""Keithley 2461 SourceMeter (SCPI): feeds the DUT, digitizes current around a trigger, takes integrated readings.

Pages as in `_k2461`.
"""

from __future__ import annotations

import contextlib

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, identified, same, switching_off, within
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    ProtectionLevels,
    Reading,
)
from labd_instruments.drivers._k2461 import DEFAULT_BUFFER, LIMITS, LOWEST_LIMIT_A, OVERVOLTAGE_STEPS_V, RANGE_CLAMP, Options, Smu
from labd_instruments.drivers._k2461_capture import TriggeredDigitizer
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "K2461", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"KEITHLEY.*MODEL 2461,"
EVIDENCE = Evidence.EXPERIMENTAL  # as long as strings marked [Q], [D] or [-] are among its commands
# p. 2-55 says that another interface (USB, GPIB) that sends a message takes control; no page says that it serves a second socket
# while one is stuck. Ending the process that holds the first one frees it, which takes a guard; without one a second session is tried
# all the same, and nothing is assured.
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK
SEES_OUTPUT_WHEN_OFF = False  # p. 2-97: high impedance opens the output relay; in the normal state it is a source of 0 V

NPLC_RANGE = (0.01, 10.0)  # [Q]


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> K2461:
    """Open the instrument at `resource` (or on `link`) and check who answers, in which language.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError. clock is not needed: captures are counted, not timed.
    """
    del clock
    return identified(K2461(name, link or open_link(resource, options.timeout_s), options, declared))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own, should the instrument serve one beside the one that is stuck. Raises OutputNotOffError."""
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        _switch_off(resource, link)


def _switch_off(name: str, link: Link) -> None:
    link.write(":ABOR")
    link.write(":OUTP OFF")
    link.resync()  # no reply of before may pass for the output's state; clearing may lose what was sent, hence once more
    link.write(":OUTP OFF")
    if scpi.booleans(link.query(":OUTP?"), "the output state")[0]:
        raise OutputNotOffError(f"{name}: the output reads back on after :OUTP OFF")


class K2461:
    """One 2461 in native SCPI."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    source_limits = LIMITS
    range_clamp = RANGE_CLAMP
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...]) -> None:
        self.name = name
        self._smu = Smu(name, link, options)
        # no measure accuracy row of a 2461 is in a page at hand (p. 4-19 shows a source example only)
        self._accuracy = AccuracyTable().declared(declared)
        self._digitizer = TriggeredDigitizer(self._smu)
        self._line_hz: float | None = None
        self._mean: Acquisition | None = None

    # --- Instrument ---

    def identify(self) -> Identity:
        who = scpi.identity(self._smu.link.query("*IDN?"))
        if not who.model.upper().startswith("2461"):
            raise WrongInstrumentError(f"{self.name}: {self._smu.link.resource} is a {who.maker} {who.model}, wanted is a Keithley 2461")
        language = scpi.unquoted(self._smu.link.query("*LANG?")).upper()  # [Q]
        if language != "SCPI":
            raise WrongInstrumentError(f"{self.name}: its command language is {language}, wanted is SCPI (set it and power-cycle)")
        return who

    def reset(self) -> None:
        self._digitizer.forget()
        self._mean = None
        link, options = self._smu.link, self._smu.options
        link.write("*RST")
        link.write("*CLS")
        link.write(f":ROUT:TERM {'REAR' if options.terminals == 'rear' else 'FRON'}")  # [Q] turns the output off
        link.write(":SOUR:FUNC VOLT")  # [Q]
        link.write(':SENS:FUNC "CURR"')  # [Q]
        link.write(f":SOUR:VOLT:HIGH:CAP {'ON' if options.high_capacitance else 'OFF'}")  # [Q] p. 4-22 describes the mode
        link.write(":FORM:DATA ASC")
        link.write(":FORM:BORD SWAP")  # [D] least significant byte first
        self.check_errors("its reset")
        self._line_hz = self._smu.number(":SYST:LFR?", "the line frequency")  # p. 6-153

    def check_errors(self, doing: str) -> None:
        self._smu.check_errors(doing)

    def make_safe(self) -> None:
        with switching_off(self.name):
            _switch_off(self.name, self._smu.link)

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        if self._line_hz is None:
            self._line_hz = self._smu.number(":SYST:LFR?", "the line frequency")  # p. 6-153
        return self._line_hz

    def close(self) -> None:
        self._smu.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._digitizer.forget()
        self._mean = None
        self._smu.link.write(":ABOR")
        self._smu.link.write(":SENS:CURR:RANG:AUTO ON")  # [Q] a fixed range would limit what the output can sink (p. 9-14)
        self.check_errors("the end of its acquisitions")

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Current limit as asked; over-voltage as the lowest step that lets `voltage_v` through; no trip.

        The steps are coarse: where the step is above `voltage_v` it is programmed all the same, but the voltage returned is None,
        because nothing in the instrument holds that level. A limit never switches the output off on this instrument.
        """
        voltage_v = None if levels.voltage_v is None else self._overvoltage(levels.voltage_v)
        what = f"{self.name}: current limit"
        within(what, levels.current_a, low=LOWEST_LIMIT_A, high=LIMITS.current_a, unit="A", limit="2461 manual p. 6-94")
        self._smu.link.write(f":SOUR:VOLT:ILIM {scpi.number(levels.current_a)}")  # p. 6-94
        self.check_errors("its protection levels")
        got = self._smu.number(":SOUR:VOLT:ILIM?", "the current limit")
        return ProtectionLevels(voltage_v, same(what, levels.current_a, got, tolerance=1e-3 * levels.current_a))

    def _overvoltage(self, volt: float) -> float | None:
        step = next((s for s in OVERVOLTAGE_STEPS_V if s >= volt), None)
        if step is None:
            raise OutOfRangeError(f"{self.name}: over-voltage protection is {volt:g} V, the highest step is {OVERVOLTAGE_STEPS_V[-1]:g} V")
        self._smu.link.write(f":SOUR:VOLT:PROT PROT{step:g}")  # p. 6-96 names the command; words as on the 2450 [-]
        got = scpi.unquoted(self._smu.link.query(":SOUR:VOLT:PROT?")).upper()
        if got != f"PROT{step:g}":
            raise ReadBackError(f"{self.name}: over-voltage protection was set to PROT{step:g} and reads back {got}")
        # the range that holds the level, fixed, so that a ramp crosses no range change
        self._smu.link.write(f":SOUR:VOLT:RANG {scpi.number(volt)}")  # [Q]
        return step if step <= volt * (1 + 1e-9) else None

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        for function in ("CURR", "VOLT", "DIG:CURR", "DIG:VOLT"):  # each keeps a sense mode of its own
            self._smu.link.write(f":SENS:{function}:RSEN {'ON' if on else 'OFF'}")  # [Q]; for digitize [-]
        self.check_errors("remote sense")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        # NORMal sources 0 V with a limit of 10 % of range, HIMPedance opens a relay (which wears: p. 2-97)
        self._smu.link.write(f":OUTP:VOLT:SMOD {'NORM' if sinking else 'HIMP'}")  # p. 2-97
        self.check_errors("the output-off state")

    def set_voltage(self, volt: float) -> None:
        within(f"{self.name}: voltage", volt, low=0.0, high=LIMITS.voltage_v, unit="V", limit="2461 manual p. 6-94")
        self._smu.link.write(f":SOUR:VOLT {scpi.number(volt)}")  # [Q]
        self.check_errors(f"{volt:g} V")

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._smu.link.write(f":OUTP {'ON' if on else 'OFF'}")
        self.check_errors("its output state")
        if self.output_is_on() != on:
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back the opposite")

    def output_is_on(self) -> bool:
        return scpi.booleans(self._smu.link.query(":OUTP?"), f"{self.name}: the output state")[0]

    def disconnected(self) -> bool:
        return False  # its limits hold the output, they do not switch it off

    def measure_output(self) -> Reading:
        """Voltage, then current: two readings one after the other; the current function is selected afterwards."""
        voltage = self._smu.number(f":MEAS:VOLT? {DEFAULT_BUFFER}", "the voltage")
        current = self._smu.number(f":MEAS:CURR? {DEFAULT_BUFFER}", "the current")
        return Reading(current, voltage)

    def tripped(self) -> str | None:
        limiting = scpi.booleans(self._smu.link.query(":SOUR:VOLT:ILIM:TRIP?"), "the current limit's state")[0]  # p. 6-95
        over = scpi.booleans(self._smu.link.query(":SOUR:VOLT:PROT:TRIP?"), "the over-voltage state")[0]  # 2450 manual p. 6-74
        found = ["current limit"] * limiting + ["over-voltage protection"] * over
        return ", ".join(found) or None

    # --- Captures ---

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

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        line_hz = self.line_frequency_hz() or 50.0
        nplc = setup.aperture_s * line_hz
        within(f"{self.name}: aperture", nplc, low=NPLC_RANGE[0], high=NPLC_RANGE[1], unit="power line cycles", limit="0.01 to 10 PLC")
        link = self._smu.link
        link.write(':SENS:FUNC "CURR"')  # [Q]
        range_a = self._smu.set_range(":SENS:CURR", setup.current_range_a)
        link.write(f":SENS:CURR:NPLC {scpi.number(nplc)}")  # [Q]
        link.write(":SENS:CURR:AZER OFF")  # [Q] zeroed once by `zero`, so that readings do not take three times as long
        link.write(":SENS:CURR:AVER OFF")  # p. 6-53
        link.write(":SOUR:VOLT:READ:BACK ON")  # p. 6-99
        self.check_errors("the set-up of its readings")
        self._mean = Acquisition(
            dt_ns=round(setup.aperture_s * 1e9),
            columns=("current", "voltage"),
            aperture_s=setup.aperture_s,
            current_range_a=range_a,
            voltage_range_v=setup.voltage_range_v,
            remote_sense=self._smu.remote_sense(":SENS:CURR"),
            settings={
                "acquisition": "measure",
                "nplc": scpi.number(nplc),
                "auto_zero": "once",
                "filter": "none",
                "voltage": "source read-back, taken immediately before the current (2461 manual p. 2-130)",
                **self._smu.clamp_settings(range_a),
            },
        )
        return self._mean

    def read_mean(self) -> Reading | None:
        if self._mean is None:
            raise OutOfRangeError(f"{self.name}: no mean is configured; configure_mean comes first")
        reply = self._smu.ask(f":READ? {DEFAULT_BUFFER},READ,SOUR", "a reading")  # p. 6-11
        current, voltage = scpi.values(reply, f"{self.name}: a reading", 2)
        return Reading(current, voltage)

    def zero(self) -> None:
        self._smu.link.write(":SENS:AZER:ONCE")  # [Q]
        self.check_errors("auto-zero")
