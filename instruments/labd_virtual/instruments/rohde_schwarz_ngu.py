"""Virtual Rohde & Schwarz NGU201, NGU401 or NGM202: feeds the board, and logs voltage and current by FastLog.

Commands: "R&S NGU User Manual" 1179.2531.02-03 (p. 139, 182), "R&S NGL200/NGM200 User Manual" 1178.8736.02-06 (p. 166), and the help texts
of RsNgx 3.1.0.49, which are the manual's. Not read on a page, and therefore by common SCPI practice or assumed: the values after *RST,
that a trip takes the channel's switch back, noise, and that FLOG:DATA? answers an empty block when nothing is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from labd_virtual.front_end import (
    Converter,
    Floats,
    Instants,
    MeterRange,
    NoiseCurve,
    drawn_timebase,
    node_means,
    peak_current,
    wired,
)
from labd_virtual.instruments.rohde_schwarz_ngu_log import MOST_IN_ALL, Log
from labd_virtual.instruments.rohde_schwarz_ngu_output import FUSE, OPP, OVP, Output
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import definite_block
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Word
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Call

TRAPS: Mapping[str, str] = {
    "overrun": "a chunk of the log is overwritten before it is fetched, and no bit says so",
    "skipped": "a chunk of the log is overwritten before it is fetched, and a status bit says so that nobody has to read",
    "usb_target": "the log goes on to the USB stick: FLOG:TARG SCPI is taken without a word and does nothing",
    "trigger_gated": "the log waits for its trigger: FLOG:TRIG was left on and stays on",
    "auto_range": "auto-ranging is on again as soon as the log runs, and its records do not say on which range they were taken",
    "one_switch": "the main output stays off although the channel's switch is on, and OUTP? says on",
    "stays_on": "the output stays on, whatever it is told",
    "old_rates": "an older firmware, whose log has other rates",
    "rate_kept": "the log keeps its rate: FLOG:SRAT is taken without a word and does nothing",
    "fast_clock": "the log is sampled 4.9 % faster than its rate is named",
    "byte_order": "the log's values come most significant byte first",
    "odd_block": "a block of the log ends in the middle of a pair",
    "nan_reading": "a single reading is NAN",
}


@dataclass(frozen=True, slots=True)
class Model:
    """Limits and ranges as users' published classes for these models have them (an NGU201 is taken for an NGU401)."""

    channels: int
    least_v: float
    most_a: float
    least_a: float
    amps: tuple[float, ...]
    volts: tuple[float, ...]
    smu: bool


_NGU_AMPS = (10e-6, 1e-3, 10e-3, 0.1, 3.0, 10.0)
MODELS = {
    "NGU201": Model(1, 0.0, 8.0, 20e-6, _NGU_AMPS, (6.0, 20.0), smu=True),
    "NGU401": Model(1, -20.0, 8.0, 20e-6, _NGU_AMPS, (6.0, 20.0), smu=True),
    "NGM202": Model(2, 0.0, 6.0, 1e-3, (10e-3, 0.1, 1.0, 10.0), (5.0, 20.0), smu=False),
}
MOST_V = 20.0
AUTO_LEAST_A = 1e-3  # SENS:CURR:RANG:AUTO:DOWN:MIN after *RST: NGU manual p. 139
READING_S = 0.02
_NOISE = NoiseCurve((2e-6, 1e-3, 0.1), (2e-4, 2e-5, 2e-6))  # of full scale; assumed
_SUMMARY = 8192  # bit 13 of OPERation and QUEStionable sums up the channels: R&S' example for FastLog
_OUTPUTS = "OUT1|OUTP1|OUTPut1|OUT2|OUTP2|OUTPut2"


def create(setup: PersonaSetup) -> Persona:
    """options: model (default NGU201), channel (1). wires: `start` (pin IN or EXT), `marker_out` (the digital output of the channel)."""
    return NGU(setup)


def plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else f"{value:.7g}" if isinstance(value, float) else str(value)


def _always(group: RegisterGroup, _: Call) -> RegisterGroup:
    return group


class Channel:
    """One channel: its output, its meter and its log. Only the feeding one is wired to the board."""

    def __init__(self, setup: PersonaSetup, model: Model, number: int, *, feeds: bool) -> None:
        self.setup, self.number, self.feeds = setup, number, feeds
        self.output = Output(setup, volts=MOST_V, amps=model.most_a, feeds=feeds, now_ns=setup.clock.now_ns)
        amps = tuple(MeterRange(r, _NOISE.scaled(r)) for r in model.amps)
        volts = tuple(MeterRange(r, _NOISE.scaled(r)) for r in model.volts)
        self._amps = Converter(setup, "current", amps, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self._volts = Converter(setup, "voltage", volts)
        self.log = Log(setup.clock, f"{setup.name}.flog{number}", self.readings, setup.trap)
        self.questionable = RegisterGroup(lambda: self.output.questionable() | self.log.skipped_bit)
        self.log.latch = self.questionable.condition
        self.reset()

    def reset(self) -> None:
        self.output.reset()
        self.log.reset()
        self.amp_range, self.amp_auto = self._amps.ranges[-1].full_scale, True
        self.volt_range, self.volt_auto = self._volts.ranges[-1].full_scale, True

    def redraw(self, rng: np.random.Generator, timebase: float) -> None:
        amps, volts, source = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self.output.redraw(source)
        self.log.timebase = timebase

    def set_amp_range(self, value: float) -> None:
        self.amp_range, self.amp_auto = self._amps.ranges[self._amps.index(value)].full_scale, False

    def set_volt_range(self, value: float) -> None:
        self.volt_range, self.volt_auto = self._volts.ranges[self._volts.index(value)].full_scale, False

    def readings(self, starts: Instants, ends: Instants) -> Floats:
        """Voltage and current, float64 [n, 2]; NaN where a fixed range does not hold the current."""
        if not self.feeds or not self.output.connected:
            nothing = np.zeros(len(starts))
            return np.column_stack([self._volts.read(nothing, starts, ends, 0), self._amps.read(nothing, starts, ends, 0)])
        means = node_means(self.setup, starts, ends)
        if self.amp_auto:
            chosen = np.maximum(self._amps.seamless(means.current_rms), self._amps.index(AUTO_LEAST_A))
            level = means.current_rms
        else:
            chosen = np.full(len(starts), self._amps.index(self.amp_range))
            level = peak_current(self.setup, starts, ends, means, full_scale=self.amp_range)
        amps = self._amps.read(means.current, starts, ends, chosen)
        amps[self._amps.overloaded(level, chosen)] = np.nan
        leads = 0.0 if self.output.sense == "EXT" else 2 * self.setup.lead_ohm
        factor = {"ok": 1.0, "open": 0.0, "swapped": -1.0}[self.setup.sense_fault] if self.output.sense == "EXT" else 1.0
        volts = self._volts.read(factor * (means.voltage + leads * means.current), starts, ends, self._volts.index(self.volt_range))
        return np.column_stack([volts, amps])


class NGU(ScpiPersona):
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        name = str(setup.options.get("model") or "NGU201")
        super().__init__(setup, f"Rohde&Schwarz,{name},3639.3763k02/VIRTUAL,03.068")
        self.model = MODELS[name]
        main = int(setup.options.get("channel", 1))
        self.channels = {n: Channel(setup, self.model, n, feeds=n == main) for n in range(1, self.model.channels + 1)}
        self._main = self.channels[main]
        self.redraw(setup.rng)
        self._general = False
        self._reset()
        self.scpi.before, self.scpi.reset, self.scpi.finished = self._before, self._reset, self._finished
        self._declare_system()
        self._declare_status()
        self._declare_output()
        self._declare_protection()
        self._declare_measure()
        self._declare_log()
        self._declare_digital()

    def redraw(self, rng: np.random.Generator) -> None:
        clock, *each = rng.spawn(1 + len(self.channels))
        timebase = drawn_timebase(self.setup, clock)
        for channel, own in zip(self.channels.values(), each, strict=True):
            channel.redraw(own, timebase)

    def output_on(self) -> bool:
        self._before()
        return self._main.output.on

    def host_gone(self) -> None:
        for channel in self.channels.values():
            channel.log.host_gone()

    # --- what happens between commands

    def _reset(self) -> None:
        self._selected, self._priority = 1, "VOLT"
        if not (self.setup.trap == "stays_on" and self._general):
            self._general = False
            for channel in self.channels.values():
                channel.reset()
                channel.output.switch(main=False)
        self._trigger_on, self._trigger_source, self._trigger_channel, self._trigger_pin = False, "OUTP", "OUT1", "IN"
        self._dio = {n: ["OUTP", "CONS", False] for n in self.channels}

    def _before(self) -> None:
        for channel in self.channels.values():
            channel.output.poll()
            if channel.log.armed:
                self._look_for_start(channel)
            channel.log.catch_up()

    def _look_for_start(self, channel: Channel) -> None:
        pin = wired(self.setup.wires, "start")
        if pin is None or not self._trigger_on or self._trigger_source != "DIO":
            return
        edges = self.setup.pins.edges(pin, channel.log.armed_ns, self.clock.now_ns() + 1)
        if (edge := next((e.t_ns for e in edges if e.level), None)) is not None:
            channel.log.begin(edge)

    async def _finished(self) -> None:
        await self.clock.sleep_until(self._main.output.settled_ns)

    def _own(self) -> Channel:
        return self.channels[self._selected]

    # --- commands

    def _declare_system(self) -> None:
        tree = self.scpi.tree
        tree.query("SYSTem:ERRor[:NEXT]", lambda _: '{},"{}"'.format(*self.scpi.errors.pop()))
        tree.query("SYSTem:VERSion", lambda _: "1999.0")
        tree.add("SYSTem:REMote", lambda _: None)
        tree.add("SYSTem:LOCal", lambda _: None)
        tree.add("INSTrument:NSELect", lambda c: setattr(self, "_selected", c[0]), Integer(1, len(self.channels)))
        tree.query("INSTrument:NSELect", lambda _: str(self._selected))
        tree.add("INSTrument[:SELect]", self._select, Choice(_OUTPUTS))
        tree.query("INSTrument[:SELect]", lambda _: f"OUTP{self._selected}")

    def _select(self, call: Call) -> None:
        """Raises ScpiError(-222) for a channel that is not there."""
        if int(call[0][-1]) not in self.channels:
            raise ScpiError(-222)
        self._selected = int(call[0][-1])

    def _declare_status(self) -> None:
        def summed(groups: Mapping[int, RegisterGroup]) -> int:
            return sum(1 << n for n, group in groups.items() if group.summary())

        roots = {"OPERation": {n: c.log.operation for n, c in self.channels.items()}}
        roots["QUEStionable"] = {n: c.questionable for n, c in self.channels.items()}
        middle = {root: RegisterGroup(partial(summed, groups)) for root, groups in roots.items()}
        self.scpi.watch(*(partial(lambda group: _SUMMARY if group.summary() else 0, middle[root]) for root in roots))
        for root, top in (("OPERation", self.scpi.operation), ("QUEStionable", self.scpi.questionable)):
            self._declare_register(f"STATus:{root}", partial(_always, top))
            self._declare_register(f"STATus:{root}:INSTrument", partial(_always, middle[root]))
            self._declare_register(f"STATus:{root}:INSTrument:ISUMmary<1-2>", partial(self._of_channel, roots[root]))

    def _of_channel(self, groups: Mapping[int, RegisterGroup], call: Call) -> RegisterGroup:
        """Raises ScpiError(-114) for a channel that is not there."""
        if call.suffixes[0] not in groups:
            raise ScpiError(-114)
        return groups[call.suffixes[0]]

    def _declare_register(self, base: str, group: Callable[[Call], RegisterGroup]) -> None:
        tree, mask = self.scpi.tree, Integer(0, 65535)
        tree.query(f"{base}:CONDition", lambda c: str(group(c).condition()))
        tree.query(f"{base}[:EVENt]", lambda c: str(group(c).event()))
        for word, name in (("ENABle", "enable"), ("PTRansition", "positive"), ("NTRansition", "negative")):
            self._declare_mask(f"{base}:{word}", group, name, mask)

    def _declare_mask(self, pattern: str, group: Callable[[Call], RegisterGroup], name: str, kind: Integer) -> None:
        self.scpi.tree.add(pattern, lambda c: setattr(group(c), name, c[0]), kind)
        self.scpi.tree.query(pattern, lambda c: str(getattr(group(c), name)))

    def setting(
        self, pattern: str, kind: Number | Boolean | Choice, read: Callable[[Channel], object], write: Callable[[Channel, object], object]
    ) -> None:
        """Declare `pattern <value>` and `pattern?` of the selected channel."""

        def change(call: Call) -> None:
            write(self._own(), call[0])

        self.scpi.tree.add(pattern, change, kind)
        self.scpi.tree.query(pattern, lambda _: plain(read(self._own())))

    def output_setting(self, pattern: str, kind: Number | Boolean | Choice, name: str) -> None:
        """A setting of the output that acts at once."""

        def write(channel: Channel, value: object) -> None:
            setattr(channel.output, name, value)
            channel.output.apply()

        self.setting(pattern, kind, lambda c: getattr(c.output, name), write)

    def _declare_output(self) -> None:
        volt, amp = Number("V", self.model.least_v, MOST_V, 0.0), Number("A", self.model.least_a, self.model.most_a)
        level = "[:LEVel][:IMMediate][:AMPLitude]"
        self.setting(f"[SOURce:]VOLTage{level}", volt, lambda c: c.output.volt, lambda c, v: c.output.set_volt(float(str(v))))
        self.setting(f"[SOURce:]CURRent{level}", amp, lambda c: c.output.limit, lambda c, v: c.output.set_limit(float(str(v))))
        self.output_setting("[SOURce:]VOLTage:SENSe[:SOURce]", Choice("AUTO|EXTernal"), "sense")
        self.output_setting("OUTPut:FTResponse", Boolean(), "fast")
        if self.model.smu:
            negative = Number("A", -self.model.most_a, 0.0)
            self.output_setting("[SOURce:]CURRent:NEGative[:LEVel][:IMMediate][:AMPLitude]", negative, "negative")
            self.scpi.tree.add("SOURce:PRIority", lambda c: setattr(self, "_priority", c[0]), Choice("VOLTage|CURRent"))
            self.scpi.tree.query("SOURce:PRIority", lambda _: self._priority)
        self.setting("OUTPut:SELect", Boolean(), lambda c: c.output.selected, lambda c, v: self._switch(c, own=bool(v)))
        self.scpi.tree.add("OUTPut:GENeral[:STATe]", lambda c: self._switch(general=c[0]), Boolean())
        self.scpi.tree.query("OUTPut:GENeral[:STATe]", lambda _: plain(self._general))
        self.setting("OUTPut[:STATe]", Boolean(), self._says_on, lambda c, v: self._switch(c, own=bool(v), general=bool(v) or None))

    def _says_on(self, channel: Channel) -> bool:
        return channel.output.selected if self.setup.trap == "one_switch" else channel.output.on

    def _switch(self, channel: Channel | None = None, *, own: bool | None = None, general: bool | None = None) -> None:
        if self.setup.trap == "stays_on" and self._main.output.on and not (own or general):
            return
        if channel is not None and own is not None:
            channel.output.selected = own
        if general is not None and self.setup.trap != "one_switch":
            self._general = general
        for each in self.channels.values():
            each.output.switch(main=self._general)

    def _declare_protection(self) -> None:
        for word, low, high, unit, bit in (("VOLTage", "ovp", MOST_V, "V", OVP), ("POWer", "opp", 120.0, "W", OPP)):
            base = f"[SOURce:]{word}:PROTection"
            self.output_setting(f"{base}[:STATe]", Boolean(), f"{low}_on")
            self.output_setting(f"{base}:LEVel", Number(unit, 0.0, high), f"{low}_{unit.lower()}")
            self._declare_trip(base, bit)
        self.output_setting("FUSE[:STATe]", Boolean(), "fuse_on")
        self.output_setting("FUSE:DELay:INITial", Number("S", 0.0, 10.0), "fuse_initial_s")
        self._declare_trip("FUSE", FUSE, clear="FUSE:TRIPped:CLEar")
        self.output_setting("[SOURce:]CURRent:PROTection[:STATe]", Boolean(), "fuse_on")
        self.output_setting("[SOURce:]CURRent:PROTection:DELay", Number("S", 0.0, 10.0), "fuse_delay_s")
        self._declare_trip("[SOURce:]CURRent:PROTection", FUSE)

    def _declare_trip(self, base: str, bit: int, *, clear: str = "") -> None:
        self.scpi.tree.query(f"{base}:TRIPped", lambda _: plain(bool(self._own().output.tripped & bit)))
        self.scpi.tree.add(clear or f"{base}:CLEar", lambda _: self._own().output.clear(bit))

    def _declare_measure(self) -> None:
        amps, volts = Number("A", 0.0, self.model.amps[-1]), Number("V", 0.0, self.model.volts[-1])
        self.setting("SENSe:CURRent:RANGe[:UPPer]", amps, lambda c: c.amp_range, lambda c, v: c.set_amp_range(float(str(v))))
        self.setting("SENSe:VOLTage:RANGe[:UPPer]", volts, lambda c: c.volt_range, lambda c, v: c.set_volt_range(float(str(v))))
        self.setting("SENSe:CURRent:RANGe:AUTO", Boolean(), lambda c: c.amp_auto, lambda c, v: setattr(c, "amp_auto", v))
        self.setting("SENSe:VOLTage:RANGe:AUTO", Boolean(), lambda c: c.volt_auto, lambda c, v: setattr(c, "volt_auto", v))
        self.scpi.tree.query("MEASure[:SCALar][:VOLTage][:DC]", lambda _: self._measure(0))
        self.scpi.tree.query("MEASure[:SCALar]:CURRent[:DC]", lambda _: self._measure(1))

    async def _measure(self, column: int) -> str:
        channel = self._own()
        await self.clock.sleep_until(channel.output.settled_ns)
        start = self.clock.now_ns()
        await self.clock.sleep_until(start + round(READING_S * 1e9))
        value = float(channel.readings(np.array([start]), np.array([self.clock.now_ns()]))[0, column])
        return "NAN" if np.isnan(value) or self.setup.trap == "nan_reading" else f"{value:.7E}"

    def _declare_log(self) -> None:
        self.setting("FLOG[:STATe]", Boolean(), lambda c: c.log.on, lambda c, v: self._log(c, on=bool(v)))
        self.setting("FLOG:TARGet", Choice("SCPI|USB"), lambda c: c.log.settings.target, lambda c, v: c.log.set_target(str(v)))
        self.setting("FLOG:TRIGgered", Boolean(), lambda c: c.log.settings.triggered, lambda c, v: c.log.set_triggered(bool(v)))
        self.scpi.tree.add("FLOG:SRATe", lambda c: self._own().log.set_rate(c[0]), Word())
        self.scpi.tree.query("FLOG:SRATe", lambda _: self._own().log.settings.rate)
        self.scpi.tree.query("FLOG:DATA", lambda _: definite_block(self._own().log.data()))

    def _log(self, channel: Channel, *, on: bool) -> None:
        """Raises ScpiError(-221) when all logs together are faster than a client may have them."""
        if not on:
            channel.log.end()
            return
        running = [c.log for c in self.channels.values() if c is channel or c.log.on]
        if sum(log.rates[log.settings.rate] for log in running if log.settings.target == "SCPI") > MOST_IN_ALL:
            raise ScpiError(-221)
        if self.setup.trap == "auto_range":
            channel.amp_auto = True
        if channel.log.settings.triggered:
            channel.log.arm(self.clock.now_ns())
        else:
            channel.log.begin(self.clock.now_ns())

    def _declare_digital(self) -> None:
        tree, number = self.scpi.tree, Integer(1, len(self.channels))
        for index, (word, kind) in enumerate((("SOURce", Choice("OUTPut|TRIGger|FORCed")), ("SIGNal", Choice("CONStant|PULSe")))):
            tree.add(f"DIO:OUTPut:{word}", partial(self._set_dio, index), number, kind)
            tree.query(f"DIO:OUTPut:{word}", partial(lambda index, c: str(self._dio[c[0]][index]), index), number)
        tree.add("DIO:OUTPut[:STATe]", partial(self._set_dio, 2), number, Boolean())
        tree.query("DIO:OUTPut[:STATe]", lambda c: plain(self._dio[c[0]][2]), number)
        trigger = "TRIGger[:SEQuence][:IMMediate]:SOURce"
        self._declare_own("TRIGger[:STATe]", Boolean(), "_trigger_on")
        self._declare_own(trigger, Choice("OUTPut|OMODe|DIO"), "_trigger_source")
        self._declare_own(f"{trigger}:DIO:CHANnel", Choice(_OUTPUTS), "_trigger_channel")
        self._declare_own(f"{trigger}:DIO:PIN", Choice("IN|EXT"), "_trigger_pin")

    def _declare_own(self, pattern: str, kind: Boolean | Choice, name: str) -> None:
        """A setting that is not a channel's."""
        self.scpi.tree.add(pattern, lambda c: setattr(self, name, c[0]), kind)
        self.scpi.tree.query(pattern, lambda _: plain(getattr(self, name)))

    def _set_dio(self, index: int, call: Call) -> None:
        self._dio[call[0]][index] = call[1]
        source, _, state = self._dio[call[0]]
        pin = wired(self.setup.wires, "marker_out")
        if pin and source == "FORC" and self.channels[call[0]] is self._main:
            self.setup.pins.drive(pin, int(bool(state)))
