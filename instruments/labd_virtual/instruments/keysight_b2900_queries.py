"""Commands of a B2900A that trigger, and those that send readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from labd_virtual.contract import Clock
from labd_virtual.instruments.keysight_b2900_commands import Frame, node, shown, unit
from labd_virtual.instruments.keysight_b2900_data import LARGEST, Table
from labd_virtual.instruments.keysight_b2900_trigger import INFINITE, MOST, Layer, State
from labd_virtual.instruments.keysight_b2900_unit import Unit
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import Argument, Kind
from labd_virtual.scpi_params import Boolean, Channels, Choice, Integer, Limit, Number, Parameter
from labd_virtual.scpi_tree import Call

_SOURCES = "AINT|BUS|TIMer|INT1|INT2|LAN|" + "|".join(f"EXT{n}" for n in range(1, 15))
_SIGNALS = "INT1|INT2|LAN|" + "|".join(f"EXT{n}" for n in range(1, 15))
_QUANTITIES = {"VOLTage": "VOLT", "CURRent": "CURR", "RESistance": "RES", "TIME": "TIME", "STATus": "STAT", "SOURce": "SOUR"}
_ACTIONS = {"ACQuire": "ACQ", "TRANsient": "TRAN", "ALL": "ALL"}


class Running(Frame, Protocol):
    """What these commands need of the instrument besides."""

    clock: Clock
    shortest_s: float

    def initiate(self, units: Iterable[Unit], action: str) -> None: ...

    async def idle(self) -> None: ...

    async def spot(self, units: Iterable[Unit]) -> None: ...


# --- readings


def declare_data(frame: Running) -> None:
    _declare_scalars(frame)
    _declare_arrays(frame)
    _declare_trace(frame, node(frame, "TRACe"))


def _listed(frame: Running) -> Channels:
    return Channels(range(1, len(frame.units) + 1), optional=True)


def _units(frame: Running, call: Call) -> list[Unit]:
    return [frame.units[number - 1] for number in sorted(set(call[0] or (1,)))]


def _declare_scalars(frame: Running) -> None:
    tree, listed = frame.scpi.tree, _listed(frame)
    tree.query("MEASure", partial(_measured, frame, elements=None), listed)
    tree.query("READ[:SCALar]", partial(_read, frame, elements=None, latest=True), listed)
    tree.query("FETCh[:SCALar]", partial(_fetched, frame, elements=None, latest=True), listed)
    for keyword, element in _QUANTITIES.items():
        chosen = (element,)
        tree.query(f"READ[:SCALar]:{keyword}", partial(_read, frame, elements=chosen, latest=True), listed)
        tree.query(f"FETCh[:SCALar]:{keyword}", partial(_fetched, frame, elements=chosen, latest=True), listed)
        if element in ("VOLT", "CURR", "RES"):
            tree.query(f"MEASure:{keyword}[:DC]", partial(_measured, frame, elements=chosen), listed)


def _declare_arrays(frame: Running) -> None:
    tree, listed = frame.scpi.tree, _listed(frame)
    tree.query("READ:ARRay", partial(_read, frame, elements=None, latest=False), listed)
    tree.query("FETCh:ARRay", partial(_fetched, frame, elements=None, latest=False), listed)
    for keyword, element in _QUANTITIES.items():
        chosen = (element,)
        tree.query(f"READ:ARRay:{keyword}", partial(_read, frame, elements=chosen, latest=False), listed)
        tree.query(f"FETCh:ARRay:{keyword}", partial(_fetched, frame, elements=chosen, latest=False), listed)
    sense = node(frame, "SENSe")
    window = _Offset(), Integer(1, LARGEST, optional=True)
    tree.query(f"{sense}:DATA", lambda c: frame.format.sent(_window(unit(frame, c).data, c)), *window)
    tree.add(f"{sense}:DATA:CLEar", lambda c: setattr(unit(frame, c), "data", unit(frame, c).data[:0]))


class _Offset:
    """`n`, STARt, or nothing; the value is a number."""

    optional = True

    def accepts(self, argument: Argument) -> bool:
        return argument.kind in (Kind.NUMBER, Kind.WORD)

    def value(self, argument: Argument) -> int:
        if argument.kind is Kind.WORD and argument.text in ("STAR", "START"):
            return 0
        return Integer(0, LARGEST).value(argument)


def _window(table: Table, call: Call) -> Table:
    start = call[0] or 0
    return table[start : None if call[1] is None else start + call[1]]


async def _measured(frame: Running, call: Call, *, elements: tuple[str, ...] | None) -> str | bytes:
    units = _units(frame, call)
    await frame.spot(units)
    return _sent(frame, units, elements, latest=True)


async def _read(frame: Running, call: Call, *, elements: tuple[str, ...] | None, latest: bool) -> str | bytes:
    frame.initiate(_units(frame, call), "ALL")
    return await _fetched(frame, call, elements=elements, latest=latest)


async def _fetched(frame: Running, call: Call, *, elements: tuple[str, ...] | None, latest: bool) -> str | bytes:
    """Waits for what is under way, as programs do that send :FETCh? right behind :INITiate."""
    await frame.idle()
    return _sent(frame, _units(frame, call), elements, latest=latest)


def _sent(frame: Running, units: list[Unit], elements: tuple[str, ...] | None, *, latest: bool) -> str | bytes:
    if len(units) > 1:
        if frame.format.data != "ASC":
            raise ScpiError(-221)  # interleaved blocks of two channels are not built here
        parts = [frame.format.sent(u.data[-1:] if latest else u.data, elements) for u in units]
        return ",".join(str(part) for part in parts)
    return frame.format.sent(units[0].data[-1:] if latest else units[0].data, elements)


def _declare_trace(frame: Running, base: str) -> None:
    tree = frame.scpi.tree
    tree.add(f"{base}:CLEar", lambda c: _cleared(unit(frame, c)))
    size = Integer(1, LARGEST, LARGEST)
    tree.add(f"{base}:POINts", lambda c: _sized(unit(frame, c), c[0]), size)
    tree.query(f"{base}:POINts", lambda c: str(unit(frame, c).trace.size), Limit())
    tree.query(f"{base}:POINts:ACTual", lambda c: str(len(unit(frame, c).trace.table)))
    tree.query(f"{base}:FREE", lambda c: f"{unit(frame, c).trace.size - len(unit(frame, c).trace.table)},{unit(frame, c).trace.size}")
    tree.add(f"{base}:FEED", lambda c: _fed(unit(frame, c), c[0]), Choice("SENSe|MATH|LIMit"))
    tree.query(f"{base}:FEED", lambda c: unit(frame, c).trace.feed)
    tree.add(f"{base}:FEED:CONTrol", lambda c: _controlled(frame, unit(frame, c), c[0]), Choice("NEXT|NEVer"))
    tree.query(f"{base}:FEED:CONTrol", lambda c: unit(frame, c).trace.control)
    tree.add(f"{base}:TSTamp:FORMat", lambda c: setattr(unit(frame, c).trace, "stamps", c[0]), Choice("ABSolute|DELTa"))
    tree.query(f"{base}:TSTamp:FORMat", lambda c: unit(frame, c).trace.stamps)
    window = _Offset(), Integer(1, LARGEST, optional=True)
    tree.query(f"{base}:DATA", lambda c: frame.format.sent(unit(frame, c).trace.read(c[0] or 0, c[1])), *window)


def _cleared(chosen: Unit) -> None:
    chosen.trace.require_idle()
    chosen.trace.table = chosen.trace.table[:0]


def _sized(chosen: Unit, points: int) -> None:
    chosen.trace.require_idle()
    chosen.trace.size = points


def _fed(chosen: Unit, what: str) -> None:
    chosen.trace.require_idle()
    chosen.trace.feed = what


def _controlled(frame: Running, chosen: Unit, control: str) -> None:
    if frame.setup.trap != "trace_points":
        chosen.trace.control = control


# --- triggers


def declare_trigger(frame: Running) -> None:
    tree, listed = frame.scpi.tree, _listed(frame)
    for keyword, action in _ACTIONS.items():
        optional = f"[:{keyword}]" if action == "ALL" else f":{keyword}"
        tree.add(f"INITiate[:IMMediate]{optional}", partial(_initiate, frame, action), listed)
        tree.add(f"ABORt{optional}", partial(_abort, frame, action), listed)
        tree.query(f"IDLE{optional}", lambda _: _idle(frame), listed)
        for layer in ("ARM", "TRIGger"):
            _declare_layer(frame, f"{node(frame, layer)}{optional}", action, layer)
    for name, action in (("SENSe", "ACQ"), ("SOURce", "TRAN")):
        base = f"[{node(frame, name)}:]" if name == "SOURce" else f"{node(frame, name)}:"
        _declare_output(frame, f"{base}TOUTput", partial(_acting, frame, action))


def _acting(frame: Running, action: str, call: Call) -> list[Layer]:
    return [unit(frame, call).model.outputs[action]]


def _initiate(frame: Running, action: str, call: Call) -> None:
    frame.initiate(_units(frame, call), action)


def _abort(frame: Running, action: str, call: Call) -> None:
    for chosen in _units(frame, call):
        chosen.model.abort(action)


async def _idle(frame: Running) -> str:
    await frame.idle()
    return "1"


def _declare_layer(frame: Running, base: str, action: str, layer: str) -> None:
    """Settings of one layer of one action, or of both by `ALL`, which has no queries."""
    tree = frame.scpi.tree

    def layers(call: Call) -> list[Layer]:
        found = unit(frame, call).model.chosen(action)
        return [a.arm if layer == "ARM" else a.trigger for a in found]

    def setting(pattern: str, attribute: str, kind: Parameter, show: Callable[[Layer], str]) -> None:
        tree.add(f"{base}{pattern}", lambda c: _set_each(layers(c), attribute, c[0]), kind)
        if action != "ALL":
            tree.query(f"{base}{pattern}", lambda c: answer(c, kind, show), Limit())

    def answer(call: Call, kind: Parameter, show: Callable[[Layer], str]) -> str:
        return shown(kind.limit(call[0])) if call[0] and isinstance(kind, Number) else show(layers(call)[0])

    shortest_s = frame.shortest_s
    setting(":SOURce[:SIGNal]", "source", Choice(_SOURCES), lambda found: found.source)
    setting(":COUNt", "count", _Count(), lambda found: str(found.count))
    setting(":DELay", "delay_s", Number("S", 0.0, 1e5, 0.0), lambda found: shown(found.delay_s))
    setting(":TIMer", "timer_s", Number("S", shortest_s, 1e5, shortest_s), lambda found: shown(found.timer_s))
    setting(":BYPass", "bypass", Choice("ONCE|OFF"), lambda found: found.bypass)
    _declare_output(frame, f"{base}:TOUTput", layers)
    tree.add(f"{base}[:IMMediate]", lambda c: _force(frame, c, action, layer), _listed(frame))


def _set_each(layers: Iterable[Layer], attribute: str, value: object) -> None:
    for layer in layers:
        setattr(layer, attribute, value)


class _Count:
    """1 to 100000, or INFinity."""

    optional = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind in (Kind.NUMBER, Kind.WORD)

    def value(self, argument: Argument) -> int:
        if argument.kind is Kind.WORD and argument.text in ("INF", "INFINITY"):
            return INFINITE
        return Integer(1, MOST, 1).value(argument)


def _declare_output(frame: Running, base: str, layers: Callable[[Call], list[Layer]]) -> None:
    tree = frame.scpi.tree
    signal = Choice(_SIGNALS)
    rest = [Choice(_SIGNALS, optional=True)] * 3
    tree.add(f"{base}[:STATe]", lambda c: _set_each(layers(c), "output", c[0]), Boolean())
    tree.query(f"{base}[:STATe]", lambda c: str(int(layers(c)[0].output)))
    tree.add(f"{base}:SIGNal", lambda c: _set_each(layers(c), "signals", tuple(v for v in c.values if v)), signal, *rest)
    tree.query(f"{base}:SIGNal", lambda c: ",".join(layers(c)[0].signals))


def _force(frame: Running, call: Call, action: str, layer: str) -> None:
    for chosen in _units(frame, call):
        if all(a.state is State.IDLE for a in chosen.model.chosen(action)):
            frame.scpi.fail(ScpiError(-211))
        chosen.model.force(action, "ARM" if layer == "ARM" else "TRIG", frame.clock.now_ns())
        chosen.model.advance(frame.clock.now_ns())
