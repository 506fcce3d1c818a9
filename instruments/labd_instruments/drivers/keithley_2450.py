"""Keithley 2450, 2460, 2461, 2470 SourceMeter (SCPI): feeds the DUT, captures current around a trigger, takes integrated readings.

The 2461 digitizes its captures, up to 1 MS/s; the others take one integrated reading after the other. Pages as in `_k2450`.
"""

from __future__ import annotations

import contextlib

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, configured, identified, same, switching_off, within
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    ProtectionLevels,
    Reading,
    Setups,
    StreamSetup,
)
from labd_instruments.drivers._k2450 import DEFAULT_BUFFER, NPLC_RANGE, Options, Smu
from labd_instruments.drivers._k2450_capture import TriggeredDigitizer
from labd_instruments.drivers._k2450_measured import MeasuredCapture
from labd_instruments.drivers._k2450_models import MODELS, RANGE_CLAMP
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "K2450", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"KEITHLEY.*MODEL 24(50|60|61|70)(-\w+)*,"
EVIDENCE = Evidence.EXPERIMENTAL  # as long as strings marked [Q], [D] or [-] are among its commands
# p. 2-55 says that another interface (USB, GPIB) that sends a message takes control; no page says that it serves a second socket
# while one is stuck. Ending the process that holds the first one frees it, which takes a guard; without one a second session is tried
# all the same, and nothing is assured.
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK
SEES_OUTPUT_WHEN_OFF = False  # p. 2-97: high impedance opens the output relay; in the normal state it is a source of 0 V


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> K2450:
    """Open the instrument at `resource` (or on `link`) and check who answers, in which language.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError. clock is not needed: captures are counted, not timed.
    """
    del clock
    return identified(K2450(name, link or open_link(resource, options.timeout_s), options, declared))


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


class K2450:
    """One instrument of the family in native SCPI."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    range_clamp = RANGE_CLAMP
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...]) -> None:
        self.name = name
        self._smu = Smu(name, link, options)
        self._declared = declared
        self.source_limits = self._smu.model.limits
        self._capture: TriggeredDigitizer | MeasuredCapture = TriggeredDigitizer(self._smu)
        self._line_hz: float | None = None
        self._mean: Acquisition | None = None

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._smu.model.current_ranges_a

    # --- Instrument ---

    def identify(self) -> Identity:
        who = scpi.identity(self._smu.link.query("*IDN?"))
        number = who.model.partition("-")[0]  # variants, such as the one without a front panel, have a suffix
        if not who.maker.upper().startswith("KEITHLEY") or number not in MODELS:
            known = ", ".join(MODELS)
            raise WrongInstrumentError(f"{self.name}: {self._smu.link.resource} is a {who.maker} {who.model}, wanted is a Keithley {known}")
        language = scpi.unquoted(self._smu.link.query("*LANG?")).upper()  # [Q]
        if language != "SCPI":
            raise WrongInstrumentError(f"{self.name}: its command language is {language}, wanted is SCPI (set it and power-cycle)")
        if number != self._smu.model_name:
            self._smu.model_name = number
            self.source_limits = self._smu.model.limits
            digitizer = self._smu.model.digitizer
            self._capture = TriggeredDigitizer(self._smu) if digitizer else MeasuredCapture(self._smu, self._cycles_per_s)
        return who

    def reset(self) -> None:
        self._capture.reset()
        self._mean = None
        self._smu.limit_a = self._smu.range_v = None
        link, options = self._smu.link, self._smu.options
        link.write("*RST")
        link.write("*CLS")
        self._smu.set_word(":ROUT:TERM", "REAR" if options.terminals == "rear" else "FRON", "the terminals")  # [Q] turns the output off
        link.write(":SOUR:FUNC VOLT")  # [Q]
        link.write(':SENS:FUNC "CURR"')  # [Q]
        capacitance = "ON" if options.high_capacitance else "OFF"
        self._smu.set_word(":SOUR:VOLT:HIGH:CAP", capacitance, "high capacitance")  # [Q] p. 4-22 describes the mode
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
        """Of the 2450 at one power line cycle; no page with the measure accuracy of the others was at hand."""
        return self._smu.model.accuracy(self._line_hz or 50.0).declared(self._declared)

    def line_frequency_hz(self) -> float | None:
        if self._line_hz is None:
            self._line_hz = self._smu.number(":SYST:LFR?", "the line frequency")  # p. 6-153
        return self._line_hz

    def _cycles_per_s(self) -> float:
        return self.line_frequency_hz() or 50.0

    def close(self) -> None:
        self._smu.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._capture.forget()
        self._mean = None
        self._smu.link.write(":ABOR")
        # [Q] a fixed range would limit what the output can sink (p. 9-14)
        self._smu.set_word(":SENS:CURR:RANG:AUTO", "ON", "auto range")
        self.check_errors("the end of its acquisitions")

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Current limit as asked; over-voltage as the lowest step that lets `voltage_v` through; no trip.

        The steps are coarse: where the step is above `voltage_v` it is programmed all the same, but the voltage returned is None,
        because nothing in the instrument holds that level; `open_lead_v` is the step (2461 p. 8-189: it holds whatever is sourced). A limit
        never switches the output off on this instrument.
        """
        smu, what = self._smu, f"{self.name}: current limit"
        step = None if levels.voltage_v is None else self._overvoltage_step(levels.voltage_v)
        range_v = smu.model.source_range(levels.voltage_v) if levels.voltage_v is not None else smu.range_v or 0.0
        most_a, limit = smu.model.largest_current(range_v), f"a {smu.model_name} on its {range_v:g} V source range"
        within(what, levels.current_a, low=smu.model.lowest_limit_a, high=most_a, unit="A", limit=limit)
        held = None if step is None or levels.voltage_v is None else self._overvoltage(step, levels.voltage_v)
        smu.link.write(f":SOUR:VOLT:ILIM {scpi.number(levels.current_a)}")  # p. 6-94
        self.check_errors("its protection levels")
        got = smu.number(":SOUR:VOLT:ILIM?", "the current limit")
        smu.limit_a = same(what, levels.current_a, got, tolerance=1e-3 * levels.current_a)
        return ProtectionLevels(held, smu.limit_a, open_lead_v=step)

    def _overvoltage_step(self, volt: float) -> float:
        steps = self._smu.model.overvoltage_steps_v
        step = next((s for s in steps if s >= volt), None)
        if step is None:
            raise OutOfRangeError(
                f"{self.name}: over-voltage protection is {volt:g} V, the highest step of a {self._smu.model_name} is {steps[-1]:g} V"
            )
        return step

    def _overvoltage(self, step: float, volt: float) -> float | None:
        """The level that the instrument holds, or None where its step is above it."""
        self._smu.link.write(f":SOUR:VOLT:PROT PROT{step:g}")  # p. 6-96, 2470 p. 12-80 name the command; words as in [T]
        got = scpi.unquoted(self._smu.link.query(":SOUR:VOLT:PROT?")).upper()
        if got != f"PROT{step:g}":
            raise ReadBackError(f"{self.name}: over-voltage protection was set to PROT{step:g} and reads back {got}")
        # the range that holds the level, fixed, so that a ramp crosses no range change
        self._smu.set_source_range(volt)
        return step if step <= volt * (1 + 1e-9) else None

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        functions = ("CURR", "VOLT", "DIG:CURR", "DIG:VOLT") if self._smu.model.digitizer else ("CURR", "VOLT")
        for function in functions:  # each keeps a sense mode of its own
            self._smu.set_word(f":SENS:{function}:RSEN", "ON" if on else "OFF", f"remote sense of {function}")  # [Q]; for digitize [-]
        self.check_errors("remote sense")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        # NORMal sources 0 V with a limit of 10 % of range, HIMPedance opens a relay (which wears: p. 2-97)
        self._smu.set_word(":OUTP:VOLT:SMOD", "NORM" if sinking else "HIMP", "the output-off state")  # p. 2-97
        self.check_errors("the output-off state")

    def set_voltage(self, volt: float) -> None:
        name, fixed_v = self._smu.model_name, self._smu.range_v
        most_v = self.source_limits.voltage_v if fixed_v is None else min(fixed_v, self.source_limits.voltage_v)
        limit = f"a {name}" if fixed_v is None else f"a {name} on its {fixed_v:g} V source range"
        within(f"{self.name}: voltage", volt, low=0.0, high=most_v, unit="V", limit=limit)
        if self._smu.limit_a is not None:
            most_a, what = self._smu.model.largest_current(fixed_v or volt), f"{self.name}: current limit at {volt:g} V"
            within(what, self._smu.limit_a, low=0.0, high=most_a, unit="A", limit=f"operating boundary of a {name}")
        self._smu.set_voltage(volt)

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

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(fires=self._smu.options.fire_line is not None)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if not isinstance(setup, MeanSetup):
            return self._capture.interval_s(setup.dt_s)
        line_hz = self._cycles_per_s()
        return intervals.between(setup.aperture_s, low_s=NPLC_RANGE[0] / line_hz, high_s=NPLC_RANGE[1] / line_hz)

    # --- Captures ---

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        self._mean = None
        return self._capture.configure(setup)

    def arm(self) -> None:
        self._capture.arm()

    def fire(self) -> None:
        self._capture.fire()

    def captured(self) -> bool:
        return self._capture.captured()

    def fetch(self) -> tuple[Block, ...]:
        return self._capture.fetch()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        line_hz = self._cycles_per_s()
        nplc = setup.aperture_s * line_hz
        within(f"{self.name}: aperture", nplc, low=NPLC_RANGE[0], high=NPLC_RANGE[1], unit="power line cycles", limit="0.01 to 10 PLC")
        range_a = self._smu.range_for(setup.current_range_a)
        self._mean = None
        self._capture.forget()  # its range and aperture are about to change
        nplc = self._smu.measure_current(range_a, nplc, voltage=True)  # zeroed by `zero`
        self.check_errors("the set-up of its readings")
        self._mean = Acquisition(
            dt_ns=round(nplc / line_hz * 1e9),
            columns=("current", "voltage"),
            aperture_s=nplc / line_hz,
            current_range_a=range_a,
            voltage_range_v=self._smu.source_range(),
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
        configured(self._mean, self.name, "mean")
        reply = self._smu.ask(f":READ? {DEFAULT_BUFFER},READ,SOUR", "a reading")  # p. 6-11
        current, voltage = scpi.values(reply, f"{self.name}: a reading", 2)
        return Reading(current, voltage)

    def zero(self) -> None:
        self._smu.link.write(":SENS:AZER:ONCE")  # [Q]
        self.check_errors("auto-zero")
