"""Qoitech Otii Arc and Ace through the Otii app (JSON over TCP): feeds the DUT, records current, voltage and a GPI.

The resource is `otii://HOST:1905/DEVICE`, where DEVICE is the device's name in the app or its id. The app must run, somebody be logged in
to it, and an Automation licence be reserved; labd does neither. Sources as in `_otii`. No accuracy: what the vendor's pages say at hand
("0.05 % + 25 nA at low currents") names neither range nor conditions.
"""

from __future__ import annotations

import contextlib

from labd_instruments import intervals
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, ceiling_v, configured, identified, switching_off, within
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
    SourceLimits,
    StreamEnd,
    StreamSetup,
)
from labd_instruments.drivers._otii import HIGH_RANGE_A, MAX_CURRENT_A, MEAN_HZ, RANGES_A, RATES_HZ, SLOW_S, VOLTAGE_V, Kit, Options
from labd_instruments.drivers._otii_link import OtiiLink, address, open_otii
from labd_instruments.drivers._otii_log import BEHIND_S, Log, Mean, Plan
from labd_instruments.errors import InstrumentError, NotConnectedError, OutOfRangeError, OutputNotOffError, ReadBackError, RefusedError

__all__ = ["CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "ROLES", "Options", "Otii", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Streams", "Measures")
ROLES = ("source", "meter")
SCHEME = "otii"  # nothing finds it on a network or a port: its app is named by hand
ON_THE_WIRE = ("TCP",)
EVIDENCE = Evidence.EXPERIMENTAL  # the commands are the vendor's own client's; what the app does with them is in no document at hand
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK  # whether the app serves a second session beside one that hangs is in no document at hand
SEES_OUTPUT_WHEN_OFF = False
LONGEST_MEAN_S = 100.0


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: OtiiLink | None = None,
    clock: Clock = HOST_CLOCK,
) -> Otii:
    """Connect to the app (or take `link`) and find the device.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, RefusedError (nobody logged in, no licence).
    """
    return identified(Otii(name, link or open_otii(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own, without asking anything first. Raises OutputNotOffError."""
    with switching_off(resource), contextlib.closing(open_otii(resource, timeout_s)) as link:
        wanted = address(resource)[2]
        found = link.ask("otii_get_devices", {"timeout": 1}, timeout_s=1 + timeout_s)
        ids = [d["device_id"] for d in found.get("devices", []) if isinstance(d, dict) and wanted in (d.get("device_id"), d.get("name"))]
        for device in ids or [wanted]:
            link.ask("arc_set_main", {"device_id": device, "enable": False})
            if link.state("arc_get_main", {"device_id": device}):
                raise OutputNotOffError(f"{resource}: main was switched off and reads back on")


class Otii:
    """One Arc or Ace."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: OtiiLink, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self.lowest_v = VOLTAGE_V[options.model][0]
        self.source_limits = SourceLimits(VOLTAGE_V[options.model][1], MAX_CURRENT_A[1])
        self._kit = Kit(name, link, options)
        self._clock = clock
        self._accuracy = AccuracyTable().declared(declared)
        self._log: Log | None = None
        self._mean: Mean | None = None
        self._on = False
        self._ceiling_v = self.source_limits.voltage_v

    # --- Instrument ---

    def identify(self) -> Identity:
        device, hardware, firmware = self._kit.find()
        version = f"{firmware}, hardware {hardware}, app {self._kit.link.version}"
        return Identity("Qoitech", f"Otii {self._kit.options.model}", device, version)

    def reset(self) -> None:
        """No recording, main off, a power box that regulates its voltage, two wires, the smallest voltage, automatic range."""
        self._log = self._mean = None
        self._switch_off()
        self._kit.end_recording()
        self._kit.link.ask("arc_set_supply_power_box", self._kit.of())
        if (mode := self._kit.link.value("arc_get_supply_mode", self._kit.of(), "supply_mode")) != "power-box":
            raise ReadBackError(f"{self.name}: it was made a power box and says it is a {mode!r}")
        self._kit.link.ask("arc_set_power_regulation", self._kit.of(mode="voltage"))
        self.set_remote_sense(False)
        self._ceiling_v = self.source_limits.voltage_v
        self._kit.regulate(VOLTAGE_V[self._kit.options.model][0])
        self._kit.choose_range(None)

    def check_errors(self, doing: str) -> None:
        """It has no error queue, and answers each command; here only whether the device is still there. Raises NotConnectedError."""
        if not self._kit.link.state("arc_is_connected", self._kit.of(), "connected"):
            raise NotConnectedError(f"{self.name}: the app has lost the device after {doing}")

    def make_safe(self) -> None:
        """Main off, and that is what is verified: a recording that cannot be ended then is told by the next reset."""
        self._log = self._mean = None
        with switching_off(self.name):
            self._switch_off()
        with contextlib.suppress(InstrumentError):
            self._kit.end_recording()

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._kit.link.close()

    # --- Sources ---

    def halt(self) -> None:
        """Nothing depends on a recording: the current is measured on the range that it needs."""
        self._log = self._mean = None
        self._kit.end_recording()
        self._kit.choose_range(None)

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """The current is limited, or main cut off at it (current_trip), by the instrument; the voltage is held by this driver alone,
        so `open_lead_v` is None."""
        self._ceiling_v = ceiling_v(self.name, levels.voltage_v, self._ceiling_v, self.source_limits.voltage_v)
        got = self._kit.limit(levels.current_a, cuts_off=levels.current_trip)
        return ProtectionLevels(None, got, levels.current_trip)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Raises ReadBackError where its calibration for four wires is not valid."""
        self._kit.link.ask("arc_set_4wire", self._kit.of(enable=on))
        got = self._kit.link.value("arc_get_4wire", self._kit.of())
        if got not in (("active", "inactive") if on else ("disabled", "cal_invalid")):
            raise ReadBackError(f"{self.name}: four wires were switched {'on' if on else 'off'} and read back {got!r}")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        if sinking:
            raise OutOfRangeError(f"{self.name}: a sinking off state was asked for, the app has no command for one")

    def set_voltage(self, volt: float) -> None:
        within(f"{self.name}: voltage", volt, low=0.0, high=self._ceiling_v, unit="V", limit="its protection")
        self._kit.regulate(volt)

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        if not on:
            self._switch_off()
            return
        volt = self._kit.link.number("arc_get_main_voltage", self._kit.of())
        within(f"{self.name}: voltage", volt, low=0.0, high=self._ceiling_v, unit="V", limit="its protection")
        self._kit.power(on=True)
        self._on = True

    def output_is_on(self) -> bool:
        return self._kit.powered()

    def disconnected(self) -> bool:
        return self._on and not self._kit.powered()

    def measure_output(self) -> Reading:
        """What the app shows of both channels (arc_get_value)."""
        current, voltage = (self._kit.link.number("arc_get_value", self._kit.of(channel=channel)) for channel in ("mc", "mv"))
        return Reading(current, voltage)

    def tripped(self) -> str | None:
        return "main has switched itself off: its current limit, or a hand" if self.disconnected() else None

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        """Its one fixed range is that of amperes."""
        return Setups(seamless=True, fixed_ranges=False, marker_wired=self._kit.options.marker_pin is not None, late_s=BEHIND_S)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if isinstance(setup, MeanSetup):
            return intervals.between(setup.aperture_s, low_s=1 / MEAN_HZ, high_s=LONGEST_MEAN_S)
        return intervals.at_or_above(setup.dt_s, [1 / hz for hz in RATES_HZ[self._kit.options.model]])

    # --- Streams ---

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        if setup.with_marker and self._kit.options.marker_pin is None:
            raise OutOfRangeError(f"{self.name}: the marker needs option marker_pin, the GPI that it is wired to")
        plan = self._plan(setup.dt_s, setup.current_range_a, setup.voltage_range_v, with_marker=setup.with_marker)
        self._log = Log(self._kit, self._clock, plan, feeds=self._on)
        columns = ("current", "voltage", "marker", "digital") if setup.with_marker else ("current", "voltage")
        return self._acquisition(plan, setup.current_range_a, 1 / plan.hz, columns)

    def start_stream(self) -> None:
        self._configured().start()

    def read_block(self) -> Block | None:
        return self._configured().read()

    def stop_stream(self) -> StreamEnd:
        log, self._log = self._configured(), None
        return log.stop()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        of_model = 1 / MEAN_HZ if MEAN_HZ in RATES_HZ[self._kit.options.model] else None
        plan = self._plan(of_model, setup.current_range_a, setup.voltage_range_v)
        within(f"{self.name}: aperture", setup.aperture_s, low=1 / plan.volt_hz, high=LONGEST_MEAN_S, unit="s", limit=f"{plan.volt_hz} Hz")
        self._mean = Mean(Log(self._kit, self._clock, plan, feeds=self._on), setup.aperture_s)
        return self._acquisition(plan, setup.current_range_a, setup.aperture_s, ("current", "voltage"))

    def read_mean(self) -> Reading | None:
        return configured(self._mean, self.name, "mean").read()

    def zero(self) -> None:
        """Internal calibration with main off; with it on nothing, because no document says what it does to the output."""
        if not self._on:
            self._kit.link.ask("arc_calibrate", self._kit.of(), timeout_s=SLOW_S)

    # --- what is shared ---

    def _switch_off(self) -> None:
        self._on = False
        self._kit.power(on=False)

    def _configured(self) -> Log:
        return configured(self._log, self.name, "stream")

    def _plan(self, dt_s: float | None, current_range_a: float | None, voltage_range_v: float, *, with_marker: bool = False) -> Plan:
        """Set up both channels. Raises OutOfRangeError, ReadBackError."""
        if not voltage_range_v > 0:
            raise OutOfRangeError(f"{self.name}: voltage range is {voltage_range_v:g} V, right would be above 0 V")
        wanted = None if dt_s is None else round(1 / dt_s)
        if dt_s is not None and (not wanted or abs(wanted * dt_s - 1.0) > 1e-6):
            raise OutOfRangeError(f"{self.name}: sample interval is {dt_s:g} s, right would be one over a whole number of hertz")
        self.halt()
        self._kit.choose_range(current_range_a)
        hz = self._kit.sample("mc", wanted)
        volt_hz = self._kit.sample("mv", wanted)
        if wanted is not None and hz != wanted:
            raise OutOfRangeError(f"{self.name}: sample interval is {dt_s:g} s, an {self._kit.options.model} samples current at {hz} Hz")
        if hz % volt_hz:
            raise RefusedError(f"{self.name}: current comes at {hz} Hz and voltage at {volt_hz} Hz, which is no whole part of it")
        pin = self._kit.options.marker_pin if with_marker else None
        if pin is not None:
            self._kit.link.ask("arc_enable_channel", self._kit.of(channel=f"i{pin}", enable=True))
        return Plan(hz, volt_hz, pin)

    def _acquisition(self, plan: Plan, current_range_a: float | None, dt_s: float, columns: tuple[str, ...]) -> Acquisition:
        sense = self._kit.link.value("arc_get_4wire", self._kit.of())
        return Acquisition(
            dt_ns=round(dt_s * 1e9),
            columns=columns,
            aperture_s=dt_s,
            current_range_a=current_range_a,
            voltage_range_v=self.source_limits.voltage_v,  # its only one
            seamless=current_range_a is None,
            ranges_a=RANGES_A if current_range_a is None else (HIGH_RANGE_A,),
            remote_sense=sense == "active",
            settings={
                "acquisition": f"recording of Otii {self._kit.options.model}, app {self._kit.link.version}",
                "voltage": f"sampled at {plan.volt_hz} Hz, each value stands for {plan.hz // plan.volt_hz} samples of current",
                "range": "automatic" if current_range_a is None else "high",
                "four_wires": str(sense),
                "aperture": "taken to be the whole interval, no document says so",
                "record_check": f"the app's times and numbers; {BEHIND_S:g} s behind the clock, {RECORD}",
            },
        )


RECORD = "which cannot see what the device lost before the app numbered it, below that"
