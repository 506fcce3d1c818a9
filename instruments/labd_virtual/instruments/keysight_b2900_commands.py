"""Commands of a B2900A that set the system, the sources and the meters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from labd_virtual.instruments.keysight_b2900_channel import CURRENT_MAX, POWER, VOLTAGE_MAX, VOLTAGE_RANGES, Channel, covering
from labd_virtual.instruments.keysight_b2900_data import Format
from labd_virtual.instruments.keysight_b2900_pins import Pins
from labd_virtual.instruments.keysight_b2900_unit import Unit
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.scpi_params import Boolean, Choice, Integer, Limit, Number, Text
from labd_virtual.scpi_status import RegisterGroup
from labd_virtual.scpi_tree import Call

_FUNCTIONS = {"VOLT": "VOLT", "VOLTAGE": "VOLT", "CURR": "CURR", "CURRENT": "CURR", "RES": "RES", "RESISTANCE": "RES"}


class Frame(Protocol):
    """What commands need of the instrument."""

    setup: PersonaSetup
    scpi: Interpreter
    units: list[Unit]
    format: Format
    pins: Pins
    line_hz: int
    measurement: RegisterGroup


def shown(value: float) -> str:
    """NR3, as the manual's examples print settings."""
    return f"{value:+.8E}"


def node(frame: Frame, name: str) -> str:
    """`SOURce` with the channel numbers that this model has."""
    return f"{name}<1-{len(frame.units)}>"


def unit(frame: Frame, call: Call) -> Unit:
    return frame.units[call.suffixes[0] - 1 if call.suffixes else 0]


def number(frame: Frame, pattern: str, kind: Number, read: Callable[[Channel], float], write: Callable[[Channel, float], None]) -> None:
    """A number of a channel, with MINimum, MAXimum and DEFault in its query."""
    frame.scpi.tree.add(pattern, lambda c: write(unit(frame, c).channel, c[0]), kind)
    frame.scpi.tree.query(pattern, lambda c: shown(read(unit(frame, c).channel) if c[0] is None else kind.limit(c[0])), Limit())


def switch(frame: Frame, pattern: str, read: Callable[[Channel], bool], write: Callable[[Channel, bool], None]) -> None:
    frame.scpi.tree.add(pattern, lambda c: write(unit(frame, c).channel, c[0]), Boolean())
    frame.scpi.tree.query(pattern, lambda c: str(int(read(unit(frame, c).channel))))


def word(frame: Frame, pattern: str, keywords: str, attribute: str) -> None:
    def change(call: Call) -> None:
        channel = unit(frame, call).channel
        setattr(channel, attribute, call[0])
        channel.apply()

    frame.scpi.tree.add(pattern, change, Choice(keywords))
    frame.scpi.tree.query(pattern, lambda c: str(getattr(unit(frame, c).channel, attribute)))


def flag(frame: Frame, pattern: str, attribute: str) -> None:
    def change(channel: Channel, value: object) -> None:
        setattr(channel, attribute, value)
        channel.apply()

    switch(frame, pattern, lambda c: bool(getattr(c, attribute)), change)


# --- the system


def declare_system(frame: Frame) -> None:
    tree, errors = frame.scpi.tree, frame.scpi.errors
    tree.query("SYSTem:ERRor[:NEXT]", lambda _: _error(*errors.pop()))
    tree.query("SYSTem:ERRor:ALL", lambda _: ",".join(_error(*errors.pop()) for _ in range(max(1, len(errors)))))
    tree.query("SYSTem:ERRor:COUNt", lambda _: str(len(errors)))
    tree.add("SYSTem:LFRequency", lambda c: setattr(frame, "line_hz", _line(c[0])), Integer(50, 60))
    tree.query("SYSTem:LFRequency", lambda _: str(frame.line_hz))
    tree.query("SYSTem:VERSion", lambda _: "1999.0")
    tree.query("*OPT", lambda _: "0")
    for pattern in ("SYSTem:BEEPer:STATe", "DISPlay:ENABle"):
        tree.add(pattern, lambda _: None, Boolean())
    _declare_register(frame, "OPERation", lambda: frame.scpi.operation)
    _declare_register(frame, "QUEStionable", lambda: frame.scpi.questionable)
    _declare_register(frame, "MEASurement", lambda: frame.measurement)
    tree.add("STATus:PRESet", lambda _: _preset(frame))
    _declare_format(frame)
    frame.pins.declare(tree, f"[{node(frame, 'SOURce')}:]")


def _error(code: int, text: str) -> str:
    return f'{code:+d},"{text}"'


def _line(value: int) -> int:
    if value not in (50, 60):
        raise ScpiError(-224)
    return value


def _preset(frame: Frame) -> None:
    for group in (frame.scpi.operation, frame.scpi.questionable, frame.measurement):
        group.preset()


def _declare_register(frame: Frame, name: str, group: Callable[[], RegisterGroup]) -> None:
    tree, base = frame.scpi.tree, f"STATus:{name}"
    tree.query(f"{base}:CONDition", lambda _: f"{group().condition():+d}")
    tree.query(f"{base}[:EVENt]", lambda _: f"{group().event():+d}")
    for keyword, attribute in (("ENABle", "enable"), ("PTRansition", "positive"), ("NTRansition", "negative")):
        tree.add(f"{base}:{keyword}", partial(_set_mask, group, attribute), Integer(0, 65535))
        tree.query(f"{base}:{keyword}", partial(_mask, group, attribute))


def _set_mask(group: Callable[[], RegisterGroup], attribute: str, call: Call) -> None:
    setattr(group(), attribute, call[0])


def _mask(group: Callable[[], RegisterGroup], attribute: str, _: Call) -> str:
    return f"{getattr(group(), attribute):+d}"


def _declare_format(frame: Frame) -> None:
    tree = frame.scpi.tree
    tree.add("FORMat[:DATA]", lambda c: _set_data(frame, c), Choice("ASCii|REAL"), Integer(32, 64, optional=True))
    tree.query("FORMat[:DATA]", lambda _: frame.format.data)
    tree.add("FORMat:BORDer", lambda c: _set_border(frame, c), Choice("NORMal|SWAPped"))
    tree.query("FORMat:BORDer", lambda _: frame.format.border)
    choice = Choice("VOLTage|CURRent|RESistance|TIME|STATus|SOURce")
    rest = [Choice(choice.keywords, optional=True)] * 5
    tree.add("FORMat:ELEMents:SENSe", lambda c: _set_elements(frame, c), choice, *rest)
    tree.query("FORMat:ELEMents:SENSe", lambda _: ",".join(frame.format.elements))
    for pattern in ("FORMat:SREGister", "FORMat:DIGital"):
        tree.add(pattern, lambda _: None, Choice("ASCii"))


def _set_data(frame: Frame, call: Call) -> None:
    if call[0] == "ASC":
        if call[1] is not None:
            raise ScpiError(-108)
        frame.format.data = "ASC"
    elif call[1] in (32, 64):
        frame.format.data = f"REAL,{call[1]}"
    else:
        raise ScpiError(-109 if call[1] is None else -224)


def _set_border(frame: Frame, call: Call) -> None:
    if frame.setup.trap != "byte_order":
        frame.format.border = call[0]


def _set_elements(frame: Frame, call: Call) -> None:
    frame.format.elements = tuple(value for value in call.values if value is not None)


# --- the channels


def declare_channels(frame: Frame) -> None:
    _declare_source(frame, f"[{node(frame, 'SOURce')}:]")
    _declare_output(frame, node(frame, "OUTPut"))
    _declare_sense(frame, node(frame, "SENSe"))


def _declare_source(frame: Frame, base: str) -> None:
    word(frame, f"{base}FUNCtion:MODE", "VOLTage|CURRent", "mode")
    tree = frame.scpi.tree
    tree.add(f"{base}FUNCtion[:SHAPe]", lambda _: None, Choice("DC"))
    tree.query(f"{base}FUNCtion[:SHAPe]", lambda _: "DC")
    flag(frame, f"{base}FUNCtion:TRIGgered:CONTinuous", "trigger_continuous")
    for name, short, unit_name, most in (("VOLTage", "volt", "V", VOLTAGE_MAX), ("CURRent", "curr", "A", CURRENT_MAX)):
        kind = Number(unit_name, -most, most, 0.0)
        level, triggered = f"{base}{name}[:LEVel][:IMMediate][:AMPLitude]", f"{base}{name}[:LEVel]:TRIGgered[:AMPLitude]"
        number(frame, level, kind, _get(short), _level(short))
        number(frame, triggered, kind, _get(f"{short}_triggered"), _level(f"{short}_triggered"))
        tree.add(f"{base}{name}:MODE", lambda _: None, Choice("FIXed"))
        tree.query(f"{base}{name}:MODE", lambda _: "FIX")
    number(frame, f"{base}VOLTage:RANGe", Number("V", 0.0, VOLTAGE_RANGES[-1]), lambda c: c.used_source_range(), _source_range)
    flag(frame, f"{base}VOLTage:RANGe:AUTO", "source_auto")
    number(frame, f"{base}CURRent:RANGe", Number("A", 0.0, 3.0), _get("curr_range"), lambda c, v: setattr(c, "curr_range", v))
    flag(frame, f"{base}CURRent:RANGe:AUTO", "curr_range_auto")


def _get(attribute: str) -> Callable[[Channel], float]:
    return lambda channel: float(getattr(channel, attribute))


def _level(attribute: str) -> Callable[[Channel, float], None]:
    return lambda channel, value: channel.set_level(attribute, value)


def _source_range(channel: Channel, value: float) -> None:
    channel.source_range, channel.source_auto = covering(VOLTAGE_RANGES, value), False
    channel.apply()


def _declare_output(frame: Frame, base: str) -> None:
    switch(frame, f"{base}[:STATe]", lambda c: c.on, lambda c, on: c.switch(on))
    word(frame, f"{base}:OFF:MODE", "NORMal|HIZ|ZERO", "off_mode")
    flag(frame, f"{base}:OFF:AUTO", "auto_off")
    switch(frame, f"{base}:ON:AUTO", lambda c: c.auto_on, lambda c, on: _auto_on(frame, c, on))
    flag(frame, f"{base}:PROTection[:STATe]", "protects")
    switch(frame, f"{base}:HCAPacitance[:STATe]", lambda c: c.high_capacitance, lambda c, on: c.set_high_capacitance(on))
    word(frame, f"{base}:LOW", "GROund|FLOat", "low")


def _auto_on(frame: Frame, channel: Channel, on: bool) -> None:  # noqa: FBT001 - one plain switch
    channel.auto_on = on or frame.setup.trap == "auto_output"


def _declare_sense(frame: Frame, base: str) -> None:
    tree = frame.scpi.tree
    flag(frame, f"{base}:REMote", "remote")
    flag(frame, f"{base}:WAIT[:STATe]", "wait")
    texts = [Text(), Text(optional=True), Text(optional=True)]
    tree.add(f"{base}:FUNCtion[:ON]", lambda c: _functions(frame, c, on=True), *texts)
    tree.query(f"{base}:FUNCtion[:ON]", lambda c: ",".join(f'"{f}"' for f in unit(frame, c).channel.functions) or '""')
    tree.query(f"{base}:FUNCtion[:ON]:COUNt", lambda c: str(len(unit(frame, c).channel.functions)))
    tree.add(f"{base}:FUNCtion:OFF", lambda c: _functions(frame, c, on=False), *texts)
    tree.add(f"{base}:FUNCtion:OFF:ALL", lambda c: setattr(unit(frame, c).channel, "functions", ()))
    tree.add(f"{base}:FUNCtion[:ON]:ALL", lambda c: setattr(unit(frame, c).channel, "functions", ("VOLT", "CURR", "RES")))
    current, voltage = f"{base}:CURRent[:DC]", f"{base}:VOLTage[:DC]"
    for quantity in (current, voltage):
        _declare_aperture(frame, quantity)
    limit = Number("A", -CURRENT_MAX, CURRENT_MAX, 100e-6)
    number(frame, f"{current}:PROTection[:LEVel]", limit, lambda c: c.limit_a, _limit_a)
    tree.query(f"{current}:PROTection:TRIPped", lambda c: str(int(unit(frame, c).channel.limiting_since() is not None)))
    number(frame, f"{voltage}:PROTection[:LEVel]", Number("V", -VOLTAGE_MAX, VOLTAGE_MAX, 2.0), lambda c: c.limit_v, _limit_v)
    tree.query(f"{voltage}:PROTection:TRIPped", lambda _: "0")
    range_a = Number("A", 0.0, 3.0)
    number(frame, f"{current}:RANGe[:UPPer]", range_a, lambda c: c.range_a, lambda c, v: c.set_current_range(v))
    switch(frame, f"{current}:RANGe:AUTO", lambda c: c.auto_a, _auto_a)
    number(frame, f"{current}:RANGe:AUTO:LLIMit", range_a, lambda c: c.lowest_auto_a, lambda c, v: setattr(c, "lowest_auto_a", v))
    tree.add(f"{current}:RANGe:AUTO:MODE", lambda _: None, Choice("NORMal|RESolution|SPEed"))
    number(frame, f"{voltage}:RANGe[:UPPer]", Number("V", 0.0, VOLTAGE_RANGES[-1]), lambda c: c.range_v, _range_v)
    flag(frame, f"{voltage}:RANGe:AUTO", "auto_v")


def _declare_aperture(frame: Frame, base: str) -> None:
    """Common to all quantities (p. 4-73); a number beyond its limits is taken to the limit."""

    def cycles(channel: Channel) -> float:
        return channel.aperture_s * frame.line_hz

    number(frame, f"{base}:APERture", Number("S", default=0.1 / frame.line_hz), lambda c: c.aperture_s, lambda c, v: c.set_aperture(v))
    number(frame, f"{base}:NPLCycles", Number("", default=0.1), cycles, lambda c, v: c.set_aperture(v / frame.line_hz))
    flag(frame, f"{base}:APERture:AUTO", "auto_aperture")
    flag(frame, f"{base}:NPLCycles:AUTO", "auto_aperture")


def _limit_a(channel: Channel, value: float) -> None:
    most = next((amp for volt, amp in POWER if abs(channel.volt) <= volt * (1 + 1e-9)), CURRENT_MAX)
    if abs(value) > most * (1 + 1e-9):
        raise ScpiError(-222)
    channel.set_limit(abs(value))


def _limit_v(channel: Channel, value: float) -> None:
    channel.limit_v = abs(value)
    channel.apply()


def _auto_a(channel: Channel, on: bool) -> None:  # noqa: FBT001 - one plain switch
    channel.set_current_range(None) if on else channel.fix_current_range()


def _range_v(channel: Channel, value: float) -> None:
    channel.range_v, channel.auto_v = next(r for r in VOLTAGE_RANGES if value <= r * (1 + 1e-9)), False


def _functions(frame: Frame, call: Call, *, on: bool) -> None:
    channel = unit(frame, call).channel
    named: list[Any] = [_FUNCTIONS.get(text.upper().removesuffix(":DC")) for text in call.values if text is not None]
    if None in named:
        raise ScpiError(-224)
    kept = set(channel.functions) | set(named) if on else set(channel.functions) - set(named)
    channel.functions = tuple(f for f in ("VOLT", "CURR", "RES") if f in kept)
