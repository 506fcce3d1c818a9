"""The 2450 family's commands that build and run trigger models (2461-901-01 p. 6-182 ff.)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from labd_virtual.instruments.keithley_2450_buffers import Buffers
from labd_virtual.instruments.keithley_2450_lines import event_name
from labd_virtual.instruments.keithley_2450_members import Member
from labd_virtual.instruments.keithley_2450_meter import Meter
from labd_virtual.instruments.keithley_2450_trigger import Block, TriggerModel
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import Argument, Kind
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Raw, Text, Word, keyword_matches, scaled
from labd_virtual.scpi_tree import Call, CommandTree

_BLOCK = Integer(1, 63)
_DELAY = Number("S", 0.0, 10e3)  # 167 ns to 10 ks, 0 for none


class Instrument(Protocol):
    model: TriggerModel
    buffers: Buffers
    meter: Meter
    member: Member

    def initiate(self) -> None: ...

    def abort(self) -> None: ...


def declare_trigger(tree: CommandTree, instrument: Instrument, *, digitizes: bool) -> None:
    """All of TRIGger:LOAD, TRIGger:BLOCk, INITiate, ABORt and TRIGger:STATe?."""
    commands = _Commands(instrument)
    tree.add("TRIGger:LOAD", commands.load, Text(), *[Raw(optional=True)] * 6)
    counted = (Number("", 0, 1e9, 1, optional=True, infinity=True),)
    tree.add("TRIGger:BLOCk:BUFFer:CLEar", commands.buffer_clear, _BLOCK, Text(optional=True))
    if digitizes:
        tree.add("TRIGger:BLOCk:DIGitize", commands.acquire("DIG"), _BLOCK, Text(optional=True), *counted)
    tree.add("TRIGger:BLOCk:MEASure", commands.acquire("MEAS"), _BLOCK, Text(optional=True), *counted)
    tree.add("TRIGger:BLOCk:WAIT", commands.wait, _BLOCK, Word(), Choice("ENTer|NEVer", optional=True))
    tree.add("TRIGger:BLOCk:NOTify", commands.notify, _BLOCK, Integer(1, 8))
    tree.add("TRIGger:BLOCk:DELay:CONStant", commands.delay, _BLOCK, _DELAY)
    tree.add("TRIGger:BLOCk:BRANch:COUNter", commands.branch_counter, _BLOCK, Integer(1, 2**31 - 1), _BLOCK)
    tree.add("TRIGger:BLOCk:BRANch:ALWays", commands.branch_always, _BLOCK, _BLOCK)
    tree.add("TRIGger:BLOCk:BRANch:EVENt", commands.branch_event, _BLOCK, Word(), _BLOCK)
    volt = Number("V", -instrument.member.voltage_most, instrument.member.voltage_most)
    delay, count, switch = Number("S", -1, 10e3, optional=True), Integer(0, 268_435_455, optional=True), Boolean(optional=True)
    which = Choice("AUTO|BEST|FIXed", optional=True)
    points = Integer(2, 1_000_000)
    tree.add("SOURce[1]:SWEep:VOLTage:LINear", commands.sweep, volt, volt, points, delay, count, which, switch, switch, Text(optional=True))
    tree.query("TRIGger:BLOCk:LIST", lambda _: commands.listing())
    tree.query("TRIGger:STATe", lambda _: commands.state())
    tree.add("INITiate[:IMMediate]", lambda _: instrument.initiate())
    tree.add("ABORt", lambda _: instrument.abort())


class _Commands:
    def __init__(self, instrument: Instrument) -> None:
        self._instrument, self._model = instrument, instrument.model

    def load(self, call: Call) -> None:
        template = call[0].upper()
        arguments = [a for a in call.values[1:] if a is not None]
        if template == "EMPTY":
            if arguments:
                raise ScpiError(-108)
            self._model.load({})
        elif template == "LOOPUNTILEVENT":
            self._model.load(self._loop_until_event(arguments))
        elif template == "SIMPLELOOP":
            self._model.load(self._simple_loop(arguments))
        else:
            raise ScpiError(-224)

    def sweep(self, call: Call) -> None:
        """start, stop, points [, delay [, count [, range [, abort [, dual [, "buffer"]]]]]] (2461-901-01 p. 6-124, 2470-901-01 p. 12-88):
        a model that switches the output on, measures at each level and switches it off. The source range moves as AUTO; auto delay (-1)
        is none here."""
        start, stop, points, delay, count, _, _, _, name = call.values
        if count == 0:
            raise ScpiError(-221)  # an endless sweep is not built here
        levels = tuple(float(start + (stop - start) * k / (points - 1)) for k in range(points))
        buffer, pause = self._buffer(name), Block("DEL", delay_ns=round(max(delay or 0.0, 0.0) * 1e9))
        loop = (Block("NEXT", levels=levels), pause, Block("MEAS", buffer), Block("COUN", count=points * (count or 1), target=3))
        blocks = (Block("BUFF", buffer), Block("OUTP", count=1), *loop, Block("OUTP", count=0))
        self._model.load(dict(enumerate(blocks, 1)))

    def _loop_until_event(self, arguments: list[Argument]) -> dict[int, Block]:
        """event, position [, clear] [, delay [, "buffer"]] (2461-901-01 p. 6-229); <clear> defaults to ENTer here."""
        if len(arguments) < 2:
            raise ScpiError(-109)
        event, position = _event(Word().value(arguments[0])), Number("", 0, 100).value(arguments[1])
        rest, enter = arguments[2:], True
        if rest and rest[0].kind is Kind.WORD:
            enter = Choice("ENTer|NEVer").value(rest.pop(0)) == "ENT"
        delay, buffer = self._tail(rest)
        if delay:
            raise ScpiError(-221)  # a delay before each reading is not built here
        loop = Block("LOOP", buffer, event=event, enter=enter, position=position, target=int(self._instrument.meter.digitizing))
        return {1: Block("BUFF", buffer), 2: loop}

    def _simple_loop(self, arguments: list[Argument]) -> dict[int, Block]:
        """count [, delay [, "buffer"]] (2461-901-01 p. 6-231)."""
        if not arguments:
            raise ScpiError(-109)
        count = Integer(1, 2**31 - 1).value(arguments[0])
        delay, buffer = self._tail(arguments[1:])
        kind = "DIG" if self._instrument.meter.digitizing else "MEAS"
        return {1: Block("BUFF", buffer), 2: Block("DEL", delay_ns=delay), 3: Block(kind, buffer), 4: Block("COUN", count=count, target=2)}

    def _tail(self, arguments: list[Argument]) -> tuple[int, str | None]:
        if len(arguments) > 2:
            raise ScpiError(-108)
        delay = round(scaled(arguments[0].text, arguments[0].suffix, "S") * 1e9) if arguments and arguments[0].kind is Kind.NUMBER else 0
        if arguments and arguments[0].kind is not Kind.NUMBER:
            raise ScpiError(-104)
        return delay, self._buffer(Text().value(arguments[1])) if len(arguments) == 2 else None

    def _buffer(self, name: str | None) -> str | None:
        self._instrument.buffers.named(name)
        return name

    def buffer_clear(self, call: Call) -> None:
        self._model.set_block(call[0], Block("BUFF", self._buffer(call[1])))

    def acquire(self, kind: str) -> Callable[[Call], None]:
        def define(call: Call) -> None:
            count = 1 if call[2] is None else call[2]
            count = count if math.isinf(count) else round(count)
            self._model.set_block(call[0], Block(kind, self._buffer(call[1]), count=count))

        return define

    def wait(self, call: Call) -> None:
        self._model.set_block(call[0], Block("WAIT", event=_event(call[1]), enter=call[2] == "ENT"))

    def notify(self, call: Call) -> None:
        self._model.set_block(call[0], Block("NOT", count=call[1]))

    def delay(self, call: Call) -> None:
        self._model.set_block(call[0], Block("DEL", delay_ns=round(call[1] * 1e9)))

    def branch_counter(self, call: Call) -> None:
        self._model.set_block(call[0], Block("COUN", count=call[1], target=call[2]))

    def branch_always(self, call: Call) -> None:
        self._model.set_block(call[0], Block("ALW", target=call[1]))

    def branch_event(self, call: Call) -> None:
        self._model.set_block(call[0], Block("EVEN", event=_event(call[1]), target=call[2]))

    def listing(self) -> str:
        return '"' + ";".join(f"{n}) {block.kind}" for n, block in sorted(self._model.blocks.items())) + '"'

    def state(self) -> str:
        """`state;state;block` (2461-901-01 p. 6-235)."""
        return f"{self._model.state};{self._model.state};{self._model.block}"


def _event(word: str) -> str:
    name = event_name(word)
    if name is None or keyword_matches("NONE", name):
        raise ScpiError(-224)
    return name
