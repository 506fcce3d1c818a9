"""Keithley 2600B SourceMeter (TSP): feeds the DUT from one channel, takes timed readings around a trigger and integrated readings.

Models 2601B, 2602B, 2604B, 2611B, 2612B, 2614B, 2634B, 2635B and 2636B. Sources as in `_k2600b`.
"""

from __future__ import annotations

import contextlib
import re

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, configured, identified, switching_off, within
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
from labd_instruments.drivers._k2600b import (
    LOWEST_LIMIT_A,
    MEASURE_SPAN,
    NPLC_RANGE,
    SOURCE_SPAN,
    Model,
    Options,
    Smu,
    accuracy_of,
    model_named,
)
from labd_instruments.drivers._k2600b_capture import TimedCapture
from labd_instruments.errors import (
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "K2600B", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"KEITHLEY.*,\s*MODEL 26(01|02|04|11|12|14|34|35|36)B,"
EVIDENCE = Evidence.BY_INDEPENDENT_DRIVER  # most strings have a manual's page; sense, nplc and abort rest on [Q], [P] and the 2600A
# "abort" on another interface takes the instrument over (3700S-901-01 Rev. C p. 10-14, same command language); no page says that a
# second socket is served while one is stuck. Ending the process that holds the first one frees it, which takes a guard.
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK
SEES_OUTPUT_WHEN_OFF = False  # [F] p. 2-42: off is a source of 0 V, or an open relay


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> K2600B:
    """Open the instrument at `resource` (or on `link`) and check who answers.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (channel or lines that this model has not). clock
    is not needed: captures are counted, and timed by the instrument.
    """
    del clock
    if options.fire_line is not None and options.fire_line == options.trigger_line:
        raise OutOfRangeError(f"{name}: fire_line and trigger_line are both {options.fire_line}; a line is one or the other")
    return identified(K2600B(name, link or open_link(resource, options.timeout_s), options, declared))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch every channel off by a session of its own, should the instrument serve one beside the one that is stuck.

    Raises OutputNotOffError.
    """
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        found = model_named(scpi.identity(link.query("*IDN?")).model)
        _switch_off(resource, link, found.channels if found is not None else "a")


def _switch_off(name: str, link: Link, channels: str) -> None:
    nodes = [f"smu{channel}" for channel in channels]
    link.write("abort")  # ends a script that runs and answers nothing ([A] p. 19-229)
    _order_off(link, nodes)
    link.resync()  # no reply of before may pass for the output's state; clearing may lose what was sent, hence once more
    _order_off(link, nodes)
    for node in nodes:
        if not re.fullmatch(r"[+-]?0(\.0*)?(e[+-]?0+)?", link.query(f"print({node}.source.output)")):  # [F] p. 9-249
            raise OutputNotOffError(f"{name}: the output of {node} does not read back off after it was switched off")


def _order_off(link: Link, nodes: list[str]) -> None:
    for node in nodes:
        link.write(f"{node}.abort()")
        link.write(f"{node}.source.output = {node}.OUTPUT_OFF")  # [F] p. 9-249


class K2600B:
    """One channel of a 2600B. source_limits and the ranges are those of the model that answers."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    crest_factor = MEASURE_SPAN
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...]) -> None:
        self.name = name
        self._smu = Smu(name, link, options)
        self._declared = declared
        self._captures = TimedCapture(self._smu)
        self._mean: Acquisition | None = None
        self._take_model(self._smu.model)

    def _take_model(self, model: Model) -> None:
        self._smu.model = model
        self.source_limits = model.limits
        self.voltage_ranges_v, self.current_ranges_a = model.voltage_ranges_v, model.current_ranges_a

    # --- Instrument ---

    def identify(self) -> Identity:
        smu, options = self._smu, self._smu.options
        who = scpi.identity(smu.link.query("*IDN?"))
        model = model_named(who.model)
        if model is None or not who.maker.upper().startswith("KEITHLEY"):
            raise WrongInstrumentError(f"{self.name}: {smu.link.resource} is a {who.maker} {who.model}, wanted is a Keithley 2600B")
        if options.channel not in model.channels:
            raise OutOfRangeError(f"{self.name}: channel is {options.channel}, a {model.name} has only a")
        if not model.has_lines and (options.fire_line is not None or options.trigger_line is not None):
            raise OutOfRangeError(f"{self.name}: fire_line or trigger_line is set, a {model.name} has no digital lines")
        self._take_model(model)
        smu.line_hz = smu.number("localnode.linefreq", "the line frequency")  # [Q], [A] p. 19-87
        return who

    def reset(self) -> None:
        """Known state of this channel only: the other one may feed another DUT."""
        self._captures.forget()
        self._mean = None
        smu = self._smu
        smu.write("abort")  # [A] p. 19-229
        smu.link.resync()  # no line after an abort is promised to be heard
        smu.call("abort()")
        smu.call("reset()")  # [Q]; output off
        smu.write("errorqueue.clear()")  # [B] p. 7-82
        smu.write("format.asciiprecision = 16")  # [C] p. 7-101: settings read back to the last digit
        smu.choose("source.func", "OUTPUT_DCVOLTS", 1, "the source function")  # [F] p. 9-242
        smu.set("source.highc", 0, "the high-capacitance mode")  # [T] it would lock the measure range ([B] p. 7-199)
        smu.choose("measure.filter.enable", "FILTER_OFF", 0, "the filter")  # [B] p. 7-204
        for line in (smu.options.fire_line, smu.options.trigger_line):
            if line is not None:
                smu.write(f"digio.trigger[{line}].reset()")  # a channel's reset leaves the lines alone ([F] p. 9-60)
        self._fix_source_range(smu.model.low_v)
        if self.output_is_on():
            raise OutputNotOffError(f"{self.name}: the output is on after a reset")
        self.check_errors("its reset")

    def check_errors(self, doing: str) -> None:
        self._smu.check_errors(doing)

    def make_safe(self) -> None:
        with switching_off(self.name):
            _switch_off(self.name, self._smu.link, self._smu.options.channel)

    def accuracy(self) -> AccuracyTable:
        return accuracy_of(self._smu.model, self._smu.line_hz).declared(self._declared)

    def line_frequency_hz(self) -> float | None:
        return self._smu.line_hz

    def close(self) -> None:
        self._smu.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._captures.forget()
        self._mean = None
        smu = self._smu
        smu.call("abort()")
        smu.set("measure.count", 1, "the number of readings")  # a single reading must not become a series ([B] p. 7-202)
        smu.choose("measure.autorangei", "AUTORANGE_ON", 1, "the current auto range")  # [C] p. 7-214
        self.check_errors("the end of its acquisitions")

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Current limit as asked, and the lowest source range that holds `voltage_v`, fixed; no trip.

        A voltage source has no over-voltage level here: the range ends at 101 % of itself. The voltage returned is None, because nothing
        in the instrument holds that level, and `open_lead_v` is None: with an open sense lead the output may become hazardous, depending on
        the model (2606B-901-01 Rev. C p. 4-6 and the notes of this series), and no page says that a range ends it at the terminals. A limit
        never switches the output off.
        """
        smu, model = self._smu, self._smu.model
        what = f"{self.name}: current limit"
        highest_a = model.limits.current_a
        volt = levels.voltage_v
        if volt is not None:
            within(f"{self.name}: voltage limit", volt, low=0.0, high=model.limits.voltage_v, unit="V", limit=f"ranges of a {model.name}")
            highest_a = highest_a if volt <= model.low_v * SOURCE_SPAN else model.high_range_a
        low = LOWEST_LIMIT_A[model.name[:3]]
        within(what, levels.current_a, low=low, high=highest_a, unit="A", limit="2600BS-901-01 Rev. F p. 9-244, 2600AS-901-01 p. 6-3")
        if volt is not None:
            self._fix_source_range(volt)
        got = smu.set("source.limiti", levels.current_a, "the current limit", tolerance=1e-3)  # [F] p. 9-244
        self.check_errors("its protection levels")
        return ProtectionLevels(None, got)

    def _fix_source_range(self, volt: float) -> None:
        """The lowest range that holds `volt`, fixed, so that a ramp crosses no range change."""
        fixed = next(r for r in self.voltage_ranges_v if r >= volt * (1 - 1e-6))
        self._smu.set("source.rangev", fixed, "the source range", tolerance=1e-6)  # [Q], 2600S-901-01 Rev. A p. 12-93
        if self._smu.number(f"{self._smu.node}.source.autorangev", "the source auto range") != 0:  # [F] p. 2-47
            raise ReadBackError(f"{self.name}: the source auto range stays on although the range was fixed")

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._smu.choose("sense", "SENSE_REMOTE" if on else "SENSE_LOCAL", int(on), "remote sense")  # [P]
        self.check_errors("remote sense")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        # normal is a source of 0 V that sinks up to offlimiti (1 mA after a reset), high impedance opens a relay, which wears
        if sinking:
            self._smu.choose("source.offfunc", "OUTPUT_DCVOLTS", 1, "the output-off function")  # [F] p. 9-246
        constant, value = ("OUTPUT_NORMAL", 0) if sinking else ("OUTPUT_HIGH_Z", 2)
        self._smu.choose("source.offmode", constant, value, "the output-off mode")  # [F] p. 2-42
        self.check_errors("the output-off mode")

    def set_voltage(self, volt: float) -> None:
        range_v = self._smu.voltage_range()
        limit = f"the source range of {range_v:g} V; protect with a higher voltage comes first"
        high = min(SOURCE_SPAN * range_v, self.source_limits.voltage_v)
        within(f"{self.name}: voltage", volt, low=0.0, high=high, unit="V", limit=limit)
        self._smu.set("source.levelv", volt, "the voltage")  # [F] p. 9-243
        self.check_errors(f"{volt:g} V")

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._smu.write(f"{self._smu.node}.source.output = {self._smu.node}.{'OUTPUT_ON' if on else 'OUTPUT_OFF'}")  # [F] p. 9-249
        self.check_errors("its output state")
        if self.output_is_on() != on:
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back the opposite")

    def output_is_on(self) -> bool:
        return self._smu.number(f"{self._smu.node}.source.output", "the output state") != 0

    def disconnected(self) -> bool:
        return False  # its limits hold the output, they do not switch it off

    def measure_output(self) -> Reading:
        """One reading of current and voltage."""
        current, voltage = self._smu.ask(f"{self._smu.node}.measure.iv()", "a reading", 2)  # [F] p. 9-233
        return Reading(scpi.value(current, f"{self.name}: the current"), scpi.value(voltage, f"{self.name}: the voltage"))

    def tripped(self) -> str | None:
        return "current limit" if self._smu.true(f"{self._smu.node}.source.compliance", "the limit's state") else None  # [F] p. 9-240

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(fires=self._smu.options.fire_line is not None)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if not isinstance(setup, MeanSetup):
            return self._captures.interval_s(setup.dt_s)
        line_hz = self._smu.line_hz
        return intervals.between(setup.aperture_s, low_s=NPLC_RANGE[0] / line_hz, high_s=NPLC_RANGE[1] / line_hz)

    # --- Captures ---

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        self._mean = None
        return self._captures.configure(setup)

    def arm(self) -> None:
        self._captures.arm()

    def fire(self) -> None:
        self._captures.fire()

    def captured(self) -> bool:
        return self._captures.captured()

    def fetch(self) -> tuple[Block, ...]:
        return self._captures.fetch()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        smu = self._smu
        nplc = setup.aperture_s * smu.line_hz
        within(f"{self.name}: aperture", nplc, low=NPLC_RANGE[0], high=NPLC_RANGE[1], unit="power line cycles", limit="0.001 to 25 PLC")
        self._captures.forget()
        smu.call("abort()")
        range_a = smu.fix_current_range(setup.current_range_a)
        aperture_s = smu.fix_aperture(setup.aperture_s)
        smu.set("measure.count", 1, "the number of readings")  # [B] p. 7-202
        smu.choose("measure.autozero", "AUTOZERO_OFF", 0, "auto-zero")  # [F] p. 9-218; zeroed once by `zero`
        self.check_errors("the set-up of its readings")
        self._mean = Acquisition(
            dt_ns=round(aperture_s * 1e9),
            columns=("current", "voltage"),
            aperture_s=aperture_s,
            current_range_a=range_a,
            voltage_range_v=smu.voltage_range(),
            remote_sense=smu.remote_sense(),
            settings={"acquisition": "measure", "nplc": scpi.number(nplc), "auto_zero": "once", "filter": "none"},
        )
        return self._mean

    def read_mean(self) -> Reading | None:
        """Raises SentinelError for an overflow, and for a reading taken while the source was limited."""
        configured(self._mean, self.name, "mean")
        reading = self.measure_output()
        if self.tripped() is not None:
            raise SentinelError(f"{self.name}: the source is limited, so the reading is not one at the voltage that was set")
        return reading

    def zero(self) -> None:
        self._smu.zero()
        self.check_errors("auto-zero")
