"""Virtual Keysight N6705C or N6700C with source-measure modules: one feeds and measures the board, a second may read its marker pin.

Commands: "Keysight N6700C Operating and Service Guide" chapter 5 and "N6705C User's Guide" (same command set); pages are cited where a
behaviour was taken from one. Not read in a manual and therefore by common SCPI practice: which error a fetch without data gives (-230),
that a log reports an effective period at or above its floor instead of refusing a shorter one, what a source range does with settings that
it cannot hold (-221), and the number 310 of what a module has not. Mainframes differ here by their identity only: the commands that are
built are those that both have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from labd_virtual.front_end import Floats, wired
from labd_virtual.instruments.keysight_n6705c_acquire import (
    SWEEP_POINTS_MAX,
    Acquisition,
    Elog,
    State,
    elog_period_ns,
    selected,
    sweep_interval_ns,
)
from labd_virtual.instruments.keysight_n6705c_channel import Channel, Settings, mainframe_timebase
from labd_virtual.instruments.keysight_n6705c_modules import PROTECTION_MAX, identity_of, model_of
from labd_virtual.instruments.keysight_n6705c_port import Port
from labd_virtual.instruments.keysight_n6705c_watchdog import LONGEST_S, SHORTEST_S, Watchdog
from labd_virtual.persona import Persona, PersonaSetup, ScpiPersona
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import definite_block
from labd_virtual.scpi_params import Boolean, Channels, Choice, Integer, Limit, Number
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Call

FETCH_MOST = 16384
MEASURING = 32  # operation status MEAS-active, N6705C guide p. 350
_TRIGGERS = "IMMediate|BUS|EXTernal|PIN1|PIN2|PIN3|PIN4|PIN5|PIN6|PIN7"
_EMULATIONS = "PS4Q|PS2Q|PS1Q|BATTery|CHARger|CCLoad|CVLoad|VMETer|AMETer"
_NOT_THIS_MODEL = (310, "The command is not supported by this model")

TRAPS = {
    "module": "another module sits in the channel, with other ranges and without seamless measuring",
    "overrun": "the log's FIFO overwrites what was not fetched in time, and no register says so",
    "overflow": "a reading beyond its range is 9.91E37 and looks like any other number",
    "oscillation": "with the board's capacitors the output oscillates, and a protection latches it off as soon as it is on",
}


def create(setup: PersonaSetup) -> Persona:
    """options: mainframe (N6705C, N6705B, N6700C), module (N6781A, N6782A, N6784A, N6785A, N6786A; the marker's channel holds the same),
    module_options (such as 054,761), channel (default 1), marker_channel (none), fire_pin (3). wires: `fire` or `pin<n>`, `marker` or
    `channel<n>`. Raises ValueError for a mainframe or a module that it has not.
    """
    return N6705C(setup)


def nr3(value: float) -> str:
    return f"{value:+.6E}"


class N6705C(ScpiPersona):
    """The mainframe; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        super().__init__(setup, identity_of(setup))
        self._model = model_of(setup)
        main = int(setup.options.get("channel", 1))
        marker = setup.options.get("marker_channel")
        numbers = [main] if marker is None else sorted({main, int(marker)})
        self.channels = {n: Channel(setup, n, feeds=n == main, background=self.background) for n in numbers}
        self.elogs = {n: Elog(setup.clock, c) for n, c in self.channels.items()}
        self.sweeps = {n: Acquisition(setup.clock, setup.pins, c) for n, c in self.channels.items()}
        self._main = self.channels[main]
        self._list = Channels(tuple(numbers))
        self._module = "N6731B" if setup.trap == "module" else self._model.name
        self._port = Port(setup, self.background)
        self._watchdog = Watchdog(setup.clock, self._watchdog_expired)
        self.redraw(setup.rng)
        self._reset()
        self.scpi.before, self.scpi.reset, self.scpi.trigger, self.scpi.finished = (
            self._heard,
            self._reset,
            self._bus_trigger,
            self._finished,
        )
        self._groups = {
            n: (RegisterGroup(partial(self._operation, n)), RegisterGroup(self.channels[n].output.questionable)) for n in numbers
        }
        self.scpi.watch(lambda: self._any(0), lambda: self._any(1))
        self._declare_system()
        self._declare_output()
        self._declare_watchdog()
        self._declare_measure()
        self._declare_acquire()
        self._port.declare(self.scpi.tree)

    def redraw(self, rng: np.random.Generator) -> None:
        clock, *each = rng.spawn(1 + len(self.channels))
        timebase = mainframe_timebase(self.setup, clock)
        (late,) = clock.spawn(1)
        trigger_late_ns = round(self.setup.line_delay_s * 1e9 * late.uniform(-1, 1))
        for channel, own in zip(self.channels.values(), each, strict=True):
            channel.redraw(own, timebase, trigger_late_ns)

    def output_on(self) -> bool:
        self._poll()
        return self._main.output.on

    def host_gone(self) -> None:
        for elog in self.elogs.values():
            elog.host_gone()

    # --- what happens between commands

    def _reset(self) -> None:
        self._watchdog.reset()
        for n, channel in self.channels.items():
            self.elogs[n].abort()
            self.sweeps[n].abort()
            channel.reset()
        self._binary, self._big_endian = False, True
        self._port.reset()

    def _heard(self) -> None:
        self._watchdog.heard()
        self._poll()

    def _watchdog_expired(self) -> None:
        for channel in self.channels.values():
            channel.output.watchdog_expired()

    def _poll(self) -> None:
        for n, channel in self.channels.items():
            channel.output.poll()
            self._poll_pin(n, channel)

    def _poll_pin(self, n: int, channel: Channel) -> None:
        source = channel.sweep.source
        pin = wired(self.setup.wires, source.lower()) if source.startswith("PIN") else None
        if pin and self.sweeps[n].state is State.ARMED:
            rising = self._port.rising(int(source.removeprefix("PIN")))
            if (edge := self.sweeps[n].pin_edge(pin, self.clock.now_ns(), rising=rising)) is not None:
                self._start_sweep(n, edge)

    def _operation(self, n: int) -> int:
        active = self.sweeps[n].state in (State.ARMED, State.RUNNING) or self.elogs[n].state in (State.ARMED, State.RUNNING)
        return self.channels[n].output.operation() | (MEASURING if active else 0)

    def _any(self, which: int) -> int:
        return int(any(groups[which].summary() for groups in self._groups.values()))

    async def _finished(self) -> None:
        while (until := self._busy_until()) > self.clock.now_ns():
            await self.clock.sleep_until(until)

    def _busy_until(self) -> int:
        filling = [a.armed_until_ns for a in self.sweeps.values() if a.state is State.ARMED]
        running = [a.last_ns for a in self.sweeps.values() if a.state is State.RUNNING]
        return max([c.output.settled_ns for c in self.channels.values()] + filling + running)

    # --- triggers

    def _bus_trigger(self) -> None:
        now = self.clock.now_ns()
        waiting = [n for n, e in self.elogs.items() if e.state is State.ARMED and self.channels[n].elog.source == "BUS"]
        ready = [n for n, a in self.sweeps.items() if self.channels[n].sweep.source == "BUS" and a.accepts_trigger(now)]
        self._port.bus_trigger(now)
        for n in waiting:
            self.elogs[n].start(now)
        for n in ready:
            self._start_sweep(n, now)

    def _start_sweep(self, n: int, t_ns: int) -> None:
        end = self.sweeps[n].start(t_ns)
        self.background(self._complete(self.sweeps[n], end), "sweep")

    async def _complete(self, sweep: Acquisition, end_ns: int) -> None:
        await self.clock.sleep_until(end_ns)
        sweep.finish()

    # --- commands

    def _declare_system(self) -> None:
        tree = self.scpi.tree
        tree.query("SYSTem:ERRor[:NEXT]", lambda _: '{:+d},"{}"'.format(*self.scpi.errors.pop()))
        tree.query("SYSTem:VERSion", lambda _: "1999.0")
        tree.query("SYSTem:CHANnel[:COUNt]", lambda _: str(len(self.channels)))
        tree.query("SYSTem:GROup:CATalog", lambda _: ",".join(f'"{n}"' for n in self.channels))  # no outputs are grouped here
        tree.query("SYSTem:CHANnel:MODel", lambda c: ",".join(f'"{self._module}"' for _ in c[0]), self._list)
        installed = str(self.setup.options.get("module_options", ""))
        tree.query("SYSTem:CHANnel:OPTion", lambda c: ",".join(f'"{installed}"' for _ in c[0]), self._list)
        tree.query("SYSTem:CHANnel:SERial", lambda c: ",".join(f'"VIRTUAL{n:03d}"' for n in c[0]), self._list)
        tree.add("SYSTem:REMote", lambda _: None)
        tree.add("SYSTem:LOCal", lambda _: None)
        tree.add("FORMat[:DATA]", self._set_format, Choice("ASCii|REAL"))
        tree.query("FORMat[:DATA]", lambda _: "REAL" if self._binary else "ASC")
        tree.add("FORMat:BORDer", self._set_order, Choice("NORMal|SWAPped"))
        tree.query("FORMat:BORDer", lambda _: "NORM" if self._big_endian else "SWAP")
        for which, name in enumerate(("OPERation", "QUEStionable")):
            self._declare_register(f"STATus:{name}", which)
        tree.add("STATus:PRESet", self._preset)

    def _declare_register(self, base: str, which: int) -> None:
        def numbers(call: Call, read: Callable[[RegisterGroup], int]) -> str:
            return ",".join(str(read(self._groups[n][which])) for n in call[0])

        def enable(call: Call) -> None:
            for n in call[1]:
                self._groups[n][which].enable = call[0]

        tree = self.scpi.tree
        tree.query(f"{base}:CONDition", lambda c: numbers(c, RegisterGroup.condition), self._list)
        tree.query(f"{base}[:EVENt]", lambda c: numbers(c, RegisterGroup.event), self._list)
        tree.query(f"{base}:ENABle", lambda c: numbers(c, lambda g: g.enable), self._list)
        tree.add(f"{base}:ENABle", enable, Integer(0, 32767), self._list)

    def _preset(self, _: Call) -> None:
        for pair in self._groups.values():
            for group in pair:
                group.preset()

    def _set_format(self, call: Call) -> None:
        self._binary = call[0] == "REAL"

    def _set_order(self, call: Call) -> None:
        self._big_endian = call[0] == "NORM"

    def setting(
        self,
        pattern: str,
        kind: Number | Integer | Boolean | Choice,
        read: Callable[[Channel], object],
        write: Callable[[Channel, object], Awaitable[None] | None],
    ) -> None:
        """Declare `pattern <value>,(@list)` and `pattern? [MIN|MAX,](@list)`."""

        async def change(call: Call) -> None:
            for n in call[1]:
                outcome = write(self.channels[n], call[0])
                if outcome is not None:
                    await outcome

        def show(value: object) -> str:
            if isinstance(value, bool):
                return str(int(value))
            return nr3(value) if isinstance(value, float) else str(value)

        def ask(call: Call) -> str:
            if call.values[0] is not None:
                return ",".join(nr3(limits.limit(call[0])) for _ in call[1])
            return ",".join(show(read(self.channels[n])) for n in call[1])

        limits = kind if isinstance(kind, Number) else Number("", getattr(kind, "low", 0.0), getattr(kind, "high", 1.0))
        self.scpi.tree.add(pattern, change, kind, self._list)
        self.scpi.tree.query(pattern, ask, Limit(), self._list)

    def _declare_resolution(self) -> None:
        """Of the whole mainframe. With a list in the N6705 User Manual p170, without one in the N6705C guide p213: both are taken."""

        def change(call: Call) -> None:
            for channel in self.channels.values():
                channel.sweep.fine = call[0] == "RES20"

        pattern, optional = "SENSe:SWEep:TINTerval:RESolution", replace(self._list, optional=True)
        self.scpi.tree.add(pattern, change, Choice("RES20|RES40"), optional)
        self.scpi.tree.query(pattern, lambda _: "RES20" if self.channels[min(self.channels)].sweep.fine else "RES40", optional)

    def output_setting(self, pattern: str, kind: Number | Boolean | Choice, name: str, coded: dict[object, object] | None = None) -> None:
        """A setting of the output that acts at once."""

        async def write(channel: Channel, value: object) -> None:
            setattr(channel.output, name, value if coded is None else coded[value])
            await channel.output.apply()

        back = {v: k for k, v in (coded or {}).items()}
        self.setting(pattern, kind, lambda c: back.get(v := getattr(c.output, name), v) if coded else getattr(c.output, name), write)

    def _declare_output(self) -> None:
        most_v, most_a = self._model.most_v, self._model.most_a
        volt = Number("V", -most_v if self._model.negative else 0.0, most_v, 0.0)
        self.setting("[SOURce:]VOLTage[:LEVel][:IMMediate][:AMPLitude]", volt, lambda c: c.output.volt, lambda c, v: c.set_volt(_float(v)))
        self.setting("[SOURce:]VOLTage:RANGe", Number("V", 0.0, most_v, most_v), lambda c: c.output.locus.volt, self._set_source_range)
        self.output_setting("[SOURce:]VOLTage:PROTection[:LEVel]", Number("V", 0.0, PROTECTION_MAX, PROTECTION_MAX), "protection")
        self.output_setting("[SOURce:]VOLTage:PROTection:REMote[:POSitive]", Number("V", 0.0, PROTECTION_MAX, PROTECTION_MAX), "protection")
        self.output_setting("[SOURce:]VOLTage:SENSe:SOURce", Choice("INTernal|EXTernal"), "remote", {"INT": False, "EXT": True})
        self.output_setting("[SOURce:]CURRent[:LEVel][:IMMediate][:AMPLitude]", Number("A", -most_a, most_a, 0.0), "ampere")
        limit = "[SOURce:]CURRent:LIMit[:POSitive][:IMMediate][:AMPLitude]"
        self.setting(limit, Number("A", 0.0, most_a, 0.1), lambda c: c.output.limit, lambda c, v: c.set_limit(_float(v)))
        limit = "[SOURce:]CURRent:LIMit:NEGative[:IMMediate][:AMPLitude]"
        sunk = Number("A", -most_a, 0.0, -0.1)
        self.setting(limit, sunk, lambda c: c.output.sunk_limit, lambda c, v: c.set_sunk_limit(_float(v)))
        self.setting("[SOURce:]CURRent:LIMit:COUPle", Boolean(), lambda c: c.output.coupled, lambda c, v: c.couple(bool(v)))
        self.output_setting("[SOURce:]CURRent:PROTection:STATe", Boolean(), "trip_on_limit")
        self.output_setting("OUTPut:PROTection:DELay", Number("S", 0.0, 0.255, 0.02), "delay_s")
        self.output_setting("OUTPut:TMODe", Choice("HIGHZ|LOWZ"), "off_mode")
        self.setting("OUTPut[:STATe]", Boolean(), lambda c: c.output.programmed, lambda c, v: c.output.switch(bool(v)))
        self.setting("[SOURce:]FUNCtion", Choice("VOLTage|CURRent"), lambda _: "VOLT", _only_voltage)
        self.setting("[SOURce:]EMULation", Choice(_EMULATIONS), lambda c: c.emulation, self._emulate)
        self.scpi.tree.add("OUTPut:PROTection:CLEar", self._clear_protection, self._list)

    async def _set_source_range(self, channel: Channel, value: object) -> None:
        await channel.set_locus(self._model.locus(_float(value)))

    def _emulate(self, channel: Channel, value: object) -> None:
        if value not in self._model.emulations.split():
            raise ScpiError(*_NOT_THIS_MODEL)
        channel.emulation = str(value)

    def _declare_watchdog(self) -> None:
        tree, watchdog = self.scpi.tree, self._watchdog
        tree.add("OUTPut:PROTection:WDOG[:STATe]", lambda c: watchdog.switch(c[0]), Boolean())
        tree.query("OUTPut:PROTection:WDOG[:STATe]", lambda _: str(int(watchdog.on)))
        tree.add("OUTPut:PROTection:WDOG:DELay", lambda c: watchdog.set_delay(c[0]), Integer(SHORTEST_S, LONGEST_S))
        tree.query("OUTPut:PROTection:WDOG:DELay", lambda _: str(watchdog.delay_s))

    async def _clear_protection(self, call: Call) -> None:
        for n in call[0]:
            await self.channels[n].output.clear_protection()

    def _declare_measure(self) -> None:
        self._declare_ranges("SENSe", lambda c: c.measure)
        self._declare_ranges("SENSe:ELOG", lambda c: c.elog_measure)
        for name in ("current", "voltage"):
            word = name[:4].upper() + name[4:]
            self._flag(f"SENSe:FUNCtion:{word}", lambda c: c.measure, name)
            self._flag(f"SENSe:ELOG:FUNCtion:{word}[:STATe]", lambda c: c.elog_measure, name)
            self._flag(f"SENSe:ELOG:FUNCtion:{word}:MINMax", lambda c: c.elog_measure, f"{name}_minmax")
            letter = word[0].replace("C", "I")
            self.scpi.tree.query(f"MEASure[:SCALar]:{word}[:DC]", partial(self._measure, letter), self._list)
            self.scpi.tree.query(f"FETCh[:SCALar]:{word}[:DC]", partial(self._fetch_mean, letter), self._list)
            self.scpi.tree.query(f"FETCh:ARRay:{word}[:DC]", partial(self._fetch_array, letter), self._list)

    def _flag(self, pattern: str, where: Callable[[Channel], Settings], name: str) -> None:
        self.setting(pattern, Boolean(), lambda c: getattr(where(c), name), lambda c, v: setattr(where(c), name, v))

    def _declare_ranges(self, base: str, where: Callable[[Channel], Settings]) -> None:
        def set_amps(channel: Channel, value: object) -> None:
            where(channel).current_range, where(channel).seamless = self._model.current_range(_float(value)), False

        def set_seamless(channel: Channel, value: object) -> None:
            if value and self._model.seamless_from_a is None:
                raise ScpiError(*_NOT_THIS_MODEL)
            where(channel).seamless = bool(value)

        def set_volts(channel: Channel, value: object) -> None:
            where(channel).voltage_range = self._model.voltage_range(_float(value))

        most_v, most_a = self._model.most_v, self._model.most_a
        self.setting(f"{base}:CURRent[:DC]:RANGe[:UPPer]", Number("A", 0.0, most_a), lambda c: where(c).current_range, set_amps)
        self.setting(f"{base}:CURRent[:DC]:RANGe:AUTO", Boolean(), lambda c: where(c).seamless, set_seamless)
        self.setting(f"{base}:VOLTage[:DC]:RANGe[:UPPer]", Number("V", 0.0, most_v), lambda c: where(c).voltage_range, set_volts)

    async def _measure(self, quantity: str, call: Call) -> str:
        readings = []
        for n in call[0]:
            if self.sweeps[n].state in (State.ARMED, State.RUNNING) or self.elogs[n].state is not State.IDLE:
                raise ScpiError(-221)
            channel = self.channels[n]
            await self.clock.sleep_until(channel.output.settled_ns)
            start = self.clock.now_ns()
            await self.clock.sleep_until(start + channel.sweep.points * sweep_interval_ns(channel))
            window = np.array([start]), np.array([self.clock.now_ns()])
            readings.append(float(channel.columns(((quantity, "AVG"),), *window, channel.measure)[0, 0]))
        return ",".join(nr3(r) for r in readings)

    def _declare_acquire(self) -> None:
        tree = self.scpi.tree
        self.setting(
            "SENSe:SWEep:POINts", Integer(1, SWEEP_POINTS_MAX), lambda c: c.sweep.points, lambda c, v: setattr(c.sweep, "points", v)
        )
        offset = Integer(-SWEEP_POINTS_MAX + 1, 2_000_000_000)
        self.setting("SENSe:SWEep:OFFSet:POINts", offset, lambda c: c.sweep.offset, lambda c, v: setattr(c.sweep, "offset", v))
        interval = Number("S", 5.12e-6, 40_000.0)
        self.setting(
            "SENSe:SWEep:TINTerval", interval, lambda c: sweep_interval_ns(c) * 1e-9, lambda c, v: setattr(c.sweep, "interval_s", v)
        )
        self._declare_resolution()
        self.setting(
            "SENSe:ELOG:PERiod",
            Number("S", 102.4e-6, 60.0),
            lambda c: self._period_ns(c) * 1e-9,
            lambda c, v: setattr(c.elog, "period_s", v),
        )
        self.setting("TRIGger:ELOG:SOURce", Choice(_TRIGGERS), lambda c: c.elog.source, lambda c, v: setattr(c.elog, "source", v))
        self.setting(
            "TRIGger:ACQuire:SOURce",
            Choice(_TRIGGERS.removeprefix("IMMediate|")),
            lambda c: c.sweep.source,
            lambda c, v: setattr(c.sweep, "source", v),
        )
        tree.add("INITiate[:IMMediate]:ELOG", self._initiate_elog, self._list)
        tree.add("INITiate[:IMMediate]:ACQuire", self._initiate_sweep, self._list)
        tree.add("TRIGger:ELOG[:IMMediate]", self._trigger_elog, self._list)
        tree.add("TRIGger:ACQuire[:IMMediate]", self._trigger_sweep, self._list)
        tree.add("ABORt:ELOG", partial(self._abort, self.elogs), self._list)
        tree.add("ABORt:ACQuire", partial(self._abort, self.sweeps), self._list)
        tree.query("FETCh:ELOG", self._fetch_elog, Integer(1, FETCH_MOST), self._list)

    def _abort(self, what: Mapping[int, Elog] | Mapping[int, Acquisition], call: Call) -> None:
        for n in call[0]:
            what[n].abort()

    def _period_ns(self, channel: Channel) -> int:
        return elog_period_ns(list(self.channels.values()), channel, binary=self._binary)

    def _initiate_elog(self, call: Call) -> None:
        parameters = sum(len(selected(c.elog_measure)) for c in self.channels.values())
        for n in call[0]:
            if parameters > (4 if self.channels[n].sweep.fine else 24):
                raise ScpiError(-221)
            self.elogs[n].initiate(self._period_ns(self.channels[n]))
        now = self.clock.now_ns()
        for n in call[0]:
            if self.channels[n].elog.source == "IMM":
                self.elogs[n].start(now)

    def _trigger_elog(self, call: Call) -> None:
        now = self.clock.now_ns()
        for n in call[0]:
            self.elogs[n].start(now)

    def _initiate_sweep(self, call: Call) -> None:
        for n in call[0]:
            self.sweeps[n].initiate(self.clock.now_ns())
            self.background(self.clock_reaches(self.sweeps[n].armed_until_ns), "pre-trigger points")

    async def clock_reaches(self, t_ns: int) -> None:
        """Makes stepped time pass while a finite stretch of samples comes in."""
        await self.clock.sleep_until(t_ns)

    def _trigger_sweep(self, call: Call) -> None:
        now = self.clock.now_ns()
        for n in call[0]:
            if self.sweeps[n].state is not State.ARMED:
                raise ScpiError(-211)
            if self.sweeps[n].accepts_trigger(now):
                self._start_sweep(n, now)

    async def _fetch_array(self, quantity: str, call: Call) -> bytes:
        return b",".join([self._encode(await self.sweeps[n].array(quantity)) for n in call[0]])

    async def _fetch_mean(self, quantity: str, call: Call) -> str:
        return ",".join([nr3(float(np.mean(await self.sweeps[n].array(quantity)))) for n in call[0]])

    def _fetch_elog(self, call: Call) -> bytes:
        return b",".join(self._encode(self.elogs[n].fetch(call[0]).ravel()) for n in call[1])

    def _encode(self, values: Floats) -> bytes:
        if not self._binary:
            return ",".join(nr3(float(v)) for v in values).encode()
        return definite_block(values.astype(">f4" if self._big_endian else "<f4").tobytes())


def _only_voltage(_: Channel, value: object) -> None:
    if value != "VOLT":
        raise ScpiError(-221)  # current priority is not built here


def _float(value: object) -> float:
    return float(str(value))
