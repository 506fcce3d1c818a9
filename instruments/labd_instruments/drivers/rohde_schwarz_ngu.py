"""Rohde & Schwarz NGU201, NGU401 or NGM202: feeds the DUT, and logs voltage and current without gaps (FastLog).

The commands' sources are listed in `_ngu`; letters in brackets name them. Accuracy: no page of a data sheet was at hand, so a range is
unknown until the bench file declares its row.
"""

from __future__ import annotations

import contextlib

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, identified, switching_off, within
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
from labd_instruments.drivers import _ngu_protection as protection
from labd_instruments.drivers._ngu import CURRENT_ABOVE_A, HIGH_CURRENT_BELOW_V, Box, Options, model_of
from labd_instruments.drivers._ngu_fastlog import LONGEST_CHUNK_S, FastLog
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "NGU", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Streams")
ROLES = ("source", "meter")
IDENTIFIES = r"ROHDE.*,\s*(NGU201|NGU401|NGM202),"
EVIDENCE = Evidence.BY_INDEPENDENT_DRIVER  # two manual pages were at hand, [M 139] and [M 182]; the other strings are in published drivers
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK  # no page at hand says that it serves a session beside one that hangs
SEES_OUTPUT_WHEN_OFF = False  # no page at hand says that it does


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> NGU:
    """Open the instrument at `resource` (or on `link`) and check who answers.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (a channel that the model has not got).
    """
    return identified(NGU(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch every channel and the main output off by a session of its own. Raises OutputNotOffError.

    timeout_s: of one exchange.
    """
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        _switch_off(resource, link, model_of(resource, scpi.identity(link.query("*IDN?")), resource).channels)


def _switch_off(name: str, link: Link, channels: int) -> None:
    """Both switches, the main one first: it needs no channel to be selected. An output is on only when both are [E]."""
    for _ in range(2):
        link.write("OUTP:GEN 0")  # [E]
        for channel in range(1, channels + 1):
            link.write(f"INST:NSEL {channel}")  # [C]
            link.write("FLOG 0")  # [M 182]
            link.write("OUTP:SEL 0")  # [E]
        # no reply of before may pass for the output's state; clearing may lose what was sent, hence once more
        link.resync()
    still_on = ["the main output (OUTP:GEN)"] if scpi.booleans(link.query("OUTP:GEN?"), "the main output")[0] else []
    for channel in range(1, channels + 1):
        link.write(f"INST:NSEL {channel}")
        if scpi.booleans(link.query("OUTP:SEL?"), "the output of a channel")[0]:
            still_on.append(f"channel {channel} (OUTP:SEL)")
    if still_on:
        raise OutputNotOffError(f"{name}: {', '.join(still_on)} reads back on after it was switched off")


class NGU:
    """One instrument; `options.channel` feeds and measures. source_limits: of the model that answered."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._box = Box(name, link, options, clock)
        self._accuracy = AccuracyTable().declared(declared)
        self._log = FastLog(self._box)
        self.source_limits: SourceLimits = self._box.model.limits

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._box.model.current_ranges_a

    # --- Instrument ---

    def identify(self) -> Identity:
        who = scpi.identity(self._box.link.query("*IDN?"))
        model = model_of(self.name, who, self._box.link.resource, self._box.options.model)
        if self._box.options.channel > model.channels:
            raise OutOfRangeError(f"{self.name}: option channel is {self._box.options.channel}, an {model.name} has one channel")
        self._box.model, self.source_limits = model, model.limits
        return who

    def reset(self) -> None:
        """Outputs off and verified, trips cleared, the log off, voltage priority."""
        self._log.forget()
        box, link = self._box, self._box.link
        link.write("*RST")
        link.write("*CLS")
        link.query("*OPC?")  # [L]
        _switch_off(self.name, link, box.model.channels)  # before a trip is cleared, which might bring an output back
        box.select()
        protection.clear(box)
        if box.model.smu:
            link.write("SOUR:PRI VOLT")  # [F]
        link.write(f"OUTP:FTR {int(box.options.fast_transient)}")  # [C], [H]
        if box.options.marker_out:
            link.write(f"DIO:OUTP:SOUR {box.options.channel},FORC")  # [R]
            link.write(f"DIO:OUTP:SIGN {box.options.channel},CONS")  # [R]
            link.write(f"DIO:OUTP {box.options.channel},0")  # [R]
        self.check_errors("its reset")
        box.same("the selected channel", "INST:NSEL?", box.options.channel, tolerance=0.0)
        if box.model.smu:
            box.same_word("the priority", "SOUR:PRI?", "VOLT")
        box.same_state("the fast transient response", "OUTP:FTR?", wanted=box.options.fast_transient)

    def check_errors(self, doing: str) -> None:
        self._box.check_errors(doing)

    def make_safe(self) -> None:
        self._log.forget()
        with switching_off(self.name):
            _switch_off(self.name, self._box.link, self._box.model.channels)

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._box.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._log.forget()
        box = self._box
        box.select()
        box.link.write("FLOG 0")  # [M 182]
        box.link.write("SENS:CURR:RANG:AUTO 1")  # [L] single readings on whatever range holds the current
        box.link.write("SENS:VOLT:RANG:AUTO 1")  # [L]
        self.check_errors("the end of its log")
        box.same_state("the log", "FLOG?", wanted=False)

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Over-voltage, current limit (an NGU's for sinking too), and the electronic fuse, which is what trips on the limit.

        With option power_limit_w also over-power. A level that is left out is switched off, and that is read back as well.
        """
        return protection.program(self._box, levels)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Off is AUTO: it senses at its terminals as long as it detects no sense leads; it has no word for never."""
        word = "EXT" if on else "AUTO"
        self._box.select()
        self._box.link.write(f"VOLT:SENS {word}")  # [R]
        self.check_errors("remote sense")
        self._box.same_word("remote sense", "VOLT:SENS?", word)

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        if sinking:
            raise OutOfRangeError(f"{self.name}: no page at hand says that its output sinks when off; its off mode cannot be set")

    def set_voltage(self, volt: float) -> None:
        box = self._box
        within(f"{self.name}: voltage", volt, low=0.0, high=box.model.limits.voltage_v, unit="V", limit=box.model.name)
        box.select()
        if volt > HIGH_CURRENT_BELOW_V:
            limit_a = box.number("CURR?", "current limit")
            within(f"{self.name}: current limit above 6 V", limit_a, low=0.0, high=CURRENT_ABOVE_A, unit="A", limit=box.model.name)
        box.link.write(f"VOLT {scpi.number(volt)}")  # [E]
        self.check_errors(f"{volt:g} V")
        box.same("voltage", "VOLT?", volt, tolerance=1e-3)

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """On is two steps, the channel and then the main output, which is every selected channel's; off goes the other way."""
        box = self._box
        box.select()
        for switch in ("OUTP:SEL", "OUTP:GEN") if on else ("OUTP:GEN", "OUTP:SEL"):
            box.link.write(f"{switch} {int(on)}")  # [E], [H]
        self.check_errors("its output state")
        states = self._switches()
        if any(state != on for state in states.values()):
            said = ", ".join(f"{switch} {int(state)}" for switch, state in states.items())
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back {said}")

    def _switches(self) -> dict[str, bool]:
        self._box.select()
        return {switch: self._box.state(f"{switch}?", f"the output state ({switch})") for switch in ("OUTP:SEL", "OUTP:GEN")}

    def output_is_on(self) -> bool:
        return all(self._switches().values())

    def disconnected(self) -> bool:
        return bool(protection.trips(self._box))

    def measure_output(self) -> Reading:
        """Voltage, then current: two readings one after the other."""
        if self._log.running:
            raise OutOfRangeError(f"{self.name}: a quick reading would disturb the running log; stop_stream comes first")
        self._box.select()
        voltage = self._box.number("MEAS:VOLT?", "the voltage")  # [C], [H]; may be NAN [B]
        return Reading(self._box.number("MEAS:CURR?", "the current"), voltage)

    def tripped(self) -> str | None:
        limiting = ["current limit"] if protection.limits(self._box) else []
        return ", ".join(protection.trips(self._box) + limiting) or None

    def mark(self, high: bool) -> None:  # noqa: FBT001 - one plain switch
        """Switch the channel's digital output, a marker for whoever records it; it comes as late as the exchange does.

        Raises OutOfRangeError without option marker_out, ReadBackError.
        """
        box = self._box
        if not box.options.marker_out:
            raise OutOfRangeError(f"{self.name}: a marker out needs option marker_out")
        box.link.write(f"DIO:OUTP {box.options.channel},{int(high)}")  # [R]
        self.check_errors("its marker")
        box.same_state("the marker", f"DIO:OUTP? {box.options.channel}", wanted=high)

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(late_s=LONGEST_CHUNK_S)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        return setup.aperture_s if isinstance(setup, MeanSetup) else self._log.interval_s(setup.dt_s)

    # --- Streams ---

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        return self._log.configure(setup)

    def start_stream(self) -> None:
        self._log.start()

    def read_block(self) -> Block | None:
        return self._log.read()

    def stop_stream(self) -> StreamEnd:
        return self._log.stop()
