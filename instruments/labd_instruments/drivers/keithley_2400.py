"""Keithley 2400 series SourceMeter (2400, 2410, 2420, 2430, 2440; classic SCPI): feeds the DUT, takes means and timed captures.

Pages and marks as in `_k2400`.
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
from labd_instruments.drivers._k2400 import ELEMENTS, MODELS, PLC_RANGE, PLC_STEP, RANGE_CLAMP, Options, Smu, limited, rows_at
from labd_instruments.drivers._k2400_capture import TimedBuffer
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError, SentinelError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "K2400", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"KEITHLEY.*,\s*MODEL 24[01234]0(-C)?,"
EVIDENCE = Evidence.BY_INDEPENDENT_DRIVER  # strings marked [P] rest on pymeasure, [V] on a list of the vendor's; the others on pages
# It has GPIB and RS-232 only. On GPIB another session can always speak; through a gateway or a serial line nothing says that one is
# served beside a stuck one, while ending the process that holds the first one frees it.
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK
SEES_OUTPUT_WHEN_OFF = False  # p. 18-55: measurements cannot be made while the source is off

CYCLE_PHASES = 4  # conversions of a reading of two functions with auto zero (appendix A, case II)
CYCLE_S = 5e-3  # and what comes on top of them at most


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> K2400:
    """Open the instrument at `resource` (or on `link`) and check who answers. clock: tells when a capture is due.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError.
    """
    return identified(K2400(name, link or open_link(resource, options.timeout_s), options, declared, clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own, should the instrument serve one beside the one that is stuck. Raises OutputNotOffError."""
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        _switch_off(resource, link)


def _switch_off(name: str, link: Link) -> None:
    # the abort first: while it measures or waits for a trigger, :OUTP OFF is only queued, without a word (p. 11-13)
    link.write(":ABOR")
    link.write(":OUTP OFF")
    link.resync()  # no reply of before may pass for the output's state; clearing may lose what was sent, hence once more
    link.write(":ABOR")
    link.write(":OUTP OFF")
    if scpi.booleans(link.query(":OUTP?"), "the output state")[0]:
        raise OutputNotOffError(f"{name}: the output reads back on after :OUTP OFF")


class K2400:
    """One SourceMeter of the 2400 series."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    range_clamp = RANGE_CLAMP
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], clock: Clock) -> None:
        self.name = name
        self._smu = Smu(name, link, options)
        self._declared = declared
        self.source_limits = self._smu.model.limits
        self._buffer = TimedBuffer(self._smu, clock)
        self._line_hz: float | None = None
        self._mean: Acquisition | None = None

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._smu.model.current_ranges_a

    # --- Instrument ---

    def identify(self) -> Identity:
        """p. 16-3. A 2450 or 2461 that speaks this language says so by its model and is refused."""
        who = scpi.identity(self._smu.link.query("*IDN?"))
        number, _, variant = who.model.partition("-")
        if not who.maker.upper().startswith("KEITHLEY") or number not in MODELS or variant not in ("", "C"):
            known = ", ".join(MODELS)
            raise WrongInstrumentError(
                f"{self.name}: {self._smu.link.resource} is a {who.maker} {who.model}, wanted is a Keithley {known} (or its -C)"
            )
        self._smu.model = MODELS[number]
        self.source_limits = self._smu.model.limits
        return who

    def reset(self) -> None:
        """Output off, buffer stopped and emptied, both functions measured, every element of a reading sent."""
        self._buffer.forget()
        self._mean = None
        smu, link = self._smu, self._smu.link
        link.write(":ABOR")  # p. 11-13: otherwise the rest would be queued
        link.write("*RST")  # p. 16-4
        link.write("*CLS")
        self._buffer.stop()  # *RST does not touch it (p. 18-21)
        smu.set_word(":ROUT:TERM", "REAR" if smu.options.terminals == "rear" else "FRON", "the terminals")  # p. 18-57
        smu.set_word(":SOUR:CLE:AUTO", "OFF", "the automatic output-off")  # p. 18-72
        smu.set_word(":SOUR:FUNC", "VOLT", "the source function")  # [P]
        smu.select(voltage=True)
        smu.set_word(":SENS:AVER", "OFF", "the filter")  # p. 18-14
        link.write(":SOUR:DEL 0")  # p. 18-82
        link.write(":TRIG:COUN 1")  # p. 11-18
        link.write(":TRIG:DEL 0")  # p. 11-18
        link.write(f":FORM:ELEM {','.join(ELEMENTS)}")  # p. 18-49
        link.write(":FORM:DATA ASC")  # p. 18-48
        self.check_errors("its reset")
        got = smu.ask(":FORM:ELEM?", "the elements of a reading").upper().replace(" ", "")
        if [word[:4] for word in got.split(",")] != list(ELEMENTS) and got != ",".join(ELEMENTS):
            raise ReadBackError(f"{self.name}: the elements of a reading were set to {','.join(ELEMENTS)} and read back {got}")
        self._line_hz = smu.number(":SYST:LFR?", "the line frequency")  # [P]

    def check_errors(self, doing: str) -> None:
        self._smu.check_errors(doing)

    def make_safe(self) -> None:
        with switching_off(self.name):
            _switch_off(self.name, self._smu.link)

    def accuracy(self) -> AccuracyTable:
        """Rows of this model at 1 PLC. What a shorter integration time adds is in no page at hand: no figure below one cycle."""
        return AccuracyTable(rows_at(self._smu.model.rows, self._line_hz or 50.0)).declared(self._declared)

    def line_frequency_hz(self) -> float | None:
        if self._line_hz is None:
            self._line_hz = self._smu.number(":SYST:LFR?", "the line frequency")  # [P]
        return self._line_hz

    def close(self) -> None:
        self._smu.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._buffer.forget()
        self._mean = None
        self._buffer.stop()
        self._smu.one_shot()
        self._smu.link.write(":SENS:CURR:RANG:AUTO ON")  # p. 18-65: no range compliance then (p. 6-2)
        self._smu.set_plc(1.0)
        self.check_errors("the end of its acquisitions")

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Current limit as asked; over-voltage as the lowest step that lets `voltage_v` through; neither trips.

        The steps are coarse (20 V is the lowest of a 2400): where the step is above `voltage_v` it is programmed all the same, but
        the voltage returned is None, because nothing in the instrument holds that level; `open_lead_v` is the step. A limit never switches
        the output off.
        """
        smu, what = self._smu, f"{self.name}: current limit"
        limits = smu.model.limits
        within(what, levels.current_a, low=smu.model.lowest_limit_a, high=limits.current_a, unit="A", limit="p. 6-2")
        step_v = None if levels.voltage_v is None else self._overvoltage(levels.voltage_v)
        smu.link.write(f":SENS:CURR:PROT {scpi.number(levels.current_a)}")  # p. 18-67
        self.check_errors("its protection levels")
        got = smu.number(":SENS:CURR:PROT?", "the current limit")
        current_a = same(what, levels.current_a, got, tolerance=1e-3 * levels.current_a)
        if levels.voltage_v is None or step_v is None:
            return ProtectionLevels(None, current_a)
        return ProtectionLevels(step_v if step_v <= levels.voltage_v * (1 + 1e-9) else None, current_a, open_lead_v=step_v)

    def _overvoltage(self, volt: float) -> float:
        """The step that is programmed."""
        smu = self._smu
        within(f"{self.name}: over-voltage limit", volt, low=0.0, high=smu.model.limits.voltage_v, unit="V", limit="p. 18-80")
        steps = smu.model.overvoltage_steps_v
        step = next((s for s in steps if s >= volt), None)
        if step is None:
            raise OutOfRangeError(f"{self.name}: over-voltage limit is {volt:g} V, the highest step is {steps[-1]:g} V (p. 3-12)")
        smu.link.write(f":SOUR:VOLT:PROT {scpi.number(step)}")  # p. 18-80: between two steps the lower one would be taken
        got = smu.number(":SOUR:VOLT:PROT?", "the over-voltage limit")
        same(f"{self.name}: over-voltage limit", step, got, tolerance=1e-3 * step)
        # the range that holds the level, fixed, so that a ramp crosses no range change; it is the measuring range too (p. 18-62)
        smu.link.write(f":SOUR:VOLT:RANG {scpi.number(volt)}")  # p. 18-75
        held = smu.number(":SOUR:VOLT:RANG?", "the voltage range")
        if held < volt * (1 - 1e-6):
            raise ReadBackError(f"{self.name}: voltage range was set to hold {volt:g} V and reads back {held:g} V")
        return step

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._smu.set_word(":SYST:RSEN", "ON" if on else "OFF", "remote sense")  # p. 18-104
        self.check_errors("remote sense")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        # ZERO sources 0 V and keeps the current limit, so it sinks the charge; NORMal allows 0.5 % of range only; HIMPedance opens a relay,
        # which wears (p. 13-9, 13-10)
        self._smu.set_word(":OUTP:SMOD", "ZERO" if sinking else "HIMP", "the output-off state")  # p. 18-57
        self.check_errors("the output-off state")

    def set_voltage(self, volt: float) -> None:
        within(f"{self.name}: voltage", volt, low=0.0, high=self.source_limits.voltage_v, unit="V", limit="p. 18-77")
        self._smu.link.write(f":SOUR:VOLT {scpi.number(volt)}")  # p. 18-77
        self.check_errors(f"{volt:g} V")
        got = self._smu.number(":SOUR:VOLT?", "the voltage")
        same(f"{self.name}: voltage", volt, got, tolerance=1e-3 * volt + 1e-6)

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._smu.link.write(f":OUTP {'ON' if on else 'OFF'}")  # p. 18-55
        self.check_errors("its output state")
        if self.output_is_on() != on:
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back the opposite")

    def output_is_on(self) -> bool:
        return self._smu.boolean(":OUTP?", "the output state")

    def disconnected(self) -> bool:
        return False  # its limits hold the output, they do not switch it off

    def measure_output(self) -> Reading:
        """Also while a limit holds the output: the voltage is then what it leaves, and `tripped` says so. Raises RefusedError when off."""
        self._smu.select(voltage=True)  # a capture may have left the current alone
        self._smu.one_shot()
        sample = self._smu.read()
        return Reading(sample.current_a, sample.voltage_v)

    def tripped(self) -> str | None:
        limiting = self._smu.boolean(":SENS:CURR:PROT:TRIP?", "the current limit's state")  # p. 18-68
        condition = scpi.integers(self._smu.ask(":STAT:MEAS:COND?", "its condition"), f"{self.name}: its condition")[0]  # p. 15-14
        found = ["current limit"] * limiting + ["over-voltage limit"] * bool(condition & 1 << 13)
        return ", ".join(found) or None

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(reads_when_off=False)  # 803, p. 18-72

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if not isinstance(setup, MeanSetup):
            return self._buffer.interval_s(setup.dt_s, self.line_frequency_hz() or 50.0)
        return self._aperture_s(setup.aperture_s)

    def _aperture_s(self, wanted_s: float) -> float:
        """Whole hundredths of a line cycle, and no more than one exchange has time for."""
        step_s = PLC_STEP / (self.line_frequency_hz() or 50.0)
        high_s = min(PLC_RANGE[1] / PLC_STEP * step_s, self._longest_s())
        return intervals.in_steps(wanted_s, low_s=step_s, high_s=high_s, step_s=step_s)

    def _longest_s(self) -> float:
        return (self._smu.options.timeout_s - CYCLE_S) / CYCLE_PHASES

    # --- Captures ---

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        """`points` readings, one every `dt_s`; see `_k2400_capture` for what the trigger is. Raises OutOfRangeError, RefusedError."""
        self._mean = None
        self._buffer.forget()
        return self._buffer.configure(setup, self.line_frequency_hz() or 50.0)

    def arm(self) -> None:
        self._buffer.arm()

    def fire(self) -> None:
        self._buffer.fire()

    def captured(self) -> bool:
        return self._buffer.captured()

    def fetch(self) -> tuple[Block, ...]:
        return self._buffer.fetch()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        """Raises OutOfRangeError, also where a reading would take longer than an exchange may."""
        smu = self._smu
        line_hz = self.line_frequency_hz() or 50.0
        plc = setup.aperture_s * line_hz
        within(f"{self.name}: aperture", plc, low=PLC_RANGE[0], high=PLC_RANGE[1], unit="power line cycles", limit="p. 18-69")
        within(f"{self.name}: aperture", setup.aperture_s, low=0.0, high=self._longest_s(), unit="s", limit="a quarter of option timeout_s")
        range_a = smu.holding(setup.current_range_a)
        self._buffer.forget()
        self._buffer.stop()
        smu.one_shot()
        smu.select(voltage=True)
        smu.set_range(range_a)
        got = smu.set_plc(round(plc / PLC_STEP) * PLC_STEP)
        smu.set_word(":SYST:AZER:STAT", "ON", "auto zero")  # [P] every reading is zeroed
        self.check_errors("the set-up of its readings")
        self._mean = Acquisition(
            dt_ns=round(CYCLE_PHASES * got / line_hz * 1e9),
            columns=("current", "voltage"),
            aperture_s=got / line_hz,
            current_range_a=range_a,
            voltage_range_v=setup.voltage_range_v,
            remote_sense=smu.boolean(":SYST:RSEN?", "the sense mode"),
            settings={
                "acquisition": "measure, current and then voltage",
                "nplc": scpi.number(got),
                "auto_zero": "on",
                "filter": "none",
                **smu.clamp_settings(range_a),
            },
        )
        return self._mean

    def read_mean(self) -> Reading | None:
        """Raises SentinelError for overflow, no data, and a reading taken while a limit held the output: that is no measurement."""
        configured(self._mean, self.name, "mean")
        sample = self._smu.read()
        if held := limited(sample.status):
            raise SentinelError(f"{self.name}: {sample.current_a:g} A is a limit and no measurement: the {held} held the output")
        return Reading(sample.current_a, sample.voltage_v)

    def zero(self) -> None:
        """A zero of its own now; with a mean configured each reading has one anyway."""
        self._smu.link.write(":SYST:AZER:STAT ONCE")  # [P]
        self._smu.set_word(":SYST:AZER:STAT", "ON", "auto zero")  # [P]
        self.check_errors("auto-zero")
