"""The DMM6500's commands that build trigger models: templates and single blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from labd_virtual.instruments.keithley_dmm6500_trigger import MOST_BLOCKS, Block, TriggerModel
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import Argument, Kind
from labd_virtual.scpi_params import Choice, Integer, Number, Raw, Text, Word, scaled
from labd_virtual.scpi_tree import Call, CommandTree

_NUMBERED = (
    ("DIG", "DIGIO", 6),
    ("NOT", "NOTIFY", 8),
    ("TIM", "TIMER", 4),
    ("LAN", "LAN", 8),
    ("BLEN", "BLENDER", 2),
    ("TSPL", "TSPLINK", 3),
)
_PLAIN = {
    "COMM": "COMM", "COMMAND": "COMM", "NONE": "NONE", "DISP": "DISP", "DISPLAY": "DISP", "EXT": "EXT", "EXTERNAL": "EXT",
    "ATR": "ATR", "ATRIGGER": "ATR",
}  # fmt: skip
_BLOCK = Integer(1, MOST_BLOCKS)
_DELAY = Number("S", 0.0, 10e3)
_ENTER = Choice("ENTer|NEVer")


class Instrument(Protocol):
    model: TriggerModel

    def checked(self, buffer: str | None) -> str | None:
        """The name itself. Raises ScpiError(-224) when there is no such buffer."""

    def capacity(self, buffer: str | None) -> int: ...

    def initiate(self) -> None: ...

    def abort(self) -> None: ...


def event(word: str) -> str:
    """`NOTIFY1` -> `NOT1`, `EXTERNAL` -> `EXT`. Raises ScpiError(-224) for what is no event."""
    stem = word.rstrip("0123456789")
    number = word[len(stem) :]
    for short, long, most in _NUMBERED:
        if stem in (short, long) and number and 1 <= int(number) <= most:
            return short + number
    if number or stem not in _PLAIN:
        raise ScpiError(-224)
    return _PLAIN[stem]


def declare_blocks(tree: CommandTree, instrument: Instrument) -> None:
    """TRIGger:LOAD, TRIGger:BLOCk, TRIGger:STATe?, INITiate and ABORt."""
    make = _Blocks(instrument)
    model = instrument.model
    tree.add("TRIGger:LOAD", make.load, Text(), *[Raw(optional=True)] * 6)
    name = Text(optional=True)
    tree.add("TRIGger:BLOCk:BUFFer:CLEar", make.block(lambda c: Block("BUFF", make.checked(c[1]))), _BLOCK, name)
    count = _Count("", 0, 2**31, optional=True, infinity=True)
    for keyword in ("MDIGitize", "DIGitize", "MEASure"):  # the older two names are taken for the first
        tree.add(f"TRIGger:BLOCk:{keyword}", make.block(lambda c: Block("MDIG", make.checked(c[1]), _whole(c[2]))), _BLOCK, name, count)
    words = [Word(optional=True)] * 5
    tree.add("TRIGger:BLOCk:WAIT", make.block(lambda c: _wait(c.values[1:])), _BLOCK, Word(), *words)
    tree.add("TRIGger:BLOCk:NOTify", make.block(lambda c: Block("NOT", count=c[1])), _BLOCK, Integer(1, 8))
    tree.add("TRIGger:BLOCk:NOP", make.block(lambda _: Block("NOP")), _BLOCK)
    tree.add("TRIGger:BLOCk:DELay:CONStant", make.block(lambda c: Block("DEL", delay_ns=round(c[1] * 1e9))), _BLOCK, _DELAY)
    branch = Integer(0, MOST_BLOCKS)
    tree.add("TRIGger:BLOCk:BRANch:COUNter", make.block(lambda c: Block("COUN", count=c[1], target=c[2])), _BLOCK, Integer(1), branch)
    tree.add("TRIGger:BLOCk:BRANch:ALWays", make.block(lambda c: Block("ALW", target=c[1])), _BLOCK, branch)
    tree.query("TRIGger:BLOCk:LIST", lambda _: '"' + ";".join(f"{n}) {b.kind}" for n, b in sorted(model.blocks.items())) + '"')
    tree.query("TRIGger:STATe", lambda _: f"{model.state};{model.state};{model.at}")  # p. 13-271
    tree.add("INITiate[:IMMediate]", lambda _: instrument.initiate())
    tree.add("ABORt", lambda _: instrument.abort())


class _Count(Number):
    """A number, INFinity, or AUTO: as many as the function's count says (-1)."""

    __slots__ = ()

    def _named(self, word: str) -> float:
        if word == "AUTO":
            return -1.0
        return math.inf if word in ("INF", "INFINITE") else super()._named(word)


def _whole(count: float | None) -> float:
    return 1 if count is None else count if math.isinf(count) else round(count)


def _wait(words: tuple[str | None, ...]) -> Block:
    """<event>[, <clear>[, <logic>, <event>[, <event>]]]; <clear> is NEVer by default."""
    given = [word for word in words if word is not None]
    names, enter, every = [event(given.pop(0))], False, False
    if given and given[0] in ("ENT", "ENTER", "NEV", "NEVER"):
        enter = given.pop(0).startswith("ENT")
    if given and given[0] in ("AND", "OR"):
        every = given.pop(0) == "AND"
    names += [event(word) for word in given]
    if "NONE" in names:
        raise ScpiError(-224)
    return Block("WAIT", events=tuple(names), every=every, enter=enter)


class _Blocks:
    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self.checked = instrument.checked

    def block(self, make: Callable[[Call], Block]) -> Callable[[Call], None]:
        return lambda call: self._instrument.model.set_block(call[0], make(call))

    def load(self, call: Call) -> None:
        arguments = [argument for argument in call.values[1:] if argument is not None]
        templates: dict[str, Callable[[list[Argument]], list[Block]]] = {
            "EMPTY": _empty,
            "SIMPLELOOP": self._simple_loop,
            "DURATIONLOOP": self._duration_loop,
            "LOOPUNTILEVENT": self._loop_until_event,
        }
        template = templates.get(call[0].upper())
        if template is None:
            raise ScpiError(-224)
        self._instrument.model.load(template(arguments))

    def _simple_loop(self, arguments: list[Argument]) -> list[Block]:
        """<count>[, <delay>[, "<buffer>"]] (p. 13-267); five blocks, the last of which counts."""
        count = Integer(1, 2**31 - 1).value(_first(arguments))
        delay, buffer = self._tail(arguments[1:])
        return [Block("BUFF", buffer), delay, Block("MDIG", buffer), Block("NOT", count=2), Block("COUN", count=count, target=2)]

    def _duration_loop(self, arguments: list[Argument]) -> list[Block]:
        """<duration>[, <delay>[, "<buffer>"]] (p. 13-260)."""
        duration = Number("S", 500e-9, 100e3).value(_first(arguments))
        _, buffer = self._tail(arguments[1:])
        wait = Block("DEL", delay_ns=round(duration * 1e9))
        return [Block("BUFF", buffer), Block("MDIG", buffer, math.inf), wait, Block("MDIG", buffer, 0)]

    def _loop_until_event(self, arguments: list[Argument]) -> list[Block]:
        """<event>, <position>[, <clear>][, <delay>[, "<buffer>"]] (p. 13-265): six blocks, of which the last notifies 2."""
        name = event(Word().value(_first(arguments)))
        if len(arguments) < 2 or name == "NONE":
            raise ScpiError(-109 if len(arguments) < 2 else -224)
        position = Number("", 0, 100).value(arguments[1])
        rest, enter = arguments[2:], True
        if rest and rest[0].kind is Kind.WORD:
            enter = _ENTER.value(rest.pop(0)) == "ENT"
        delay, buffer = self._tail(rest)
        capacity = self._instrument.capacity(buffer)
        after = capacity - round(capacity * position / 100)
        wait = Block("WAIT", events=(name,), enter=enter)
        return [Block("BUFF", buffer), delay, Block("MDIG", buffer, math.inf), wait, Block("MDIG", buffer, after), Block("NOT", count=2)]

    def _tail(self, arguments: list[Argument]) -> tuple[Block, str | None]:
        """The delay block and the buffer."""
        if len(arguments) > 2:
            raise ScpiError(-108)
        if arguments and arguments[0].kind is not Kind.NUMBER:
            raise ScpiError(-104)
        delay_s = scaled(arguments[0].text, arguments[0].suffix, "S") if arguments else 0.0
        buffer = Text().value(arguments[1]) if len(arguments) == 2 else None
        return Block("DEL", delay_ns=round(delay_s * 1e9)), self.checked(buffer)


def _empty(arguments: list[Argument]) -> list[Block]:
    if arguments:
        raise ScpiError(-108)
    return []


def _first(arguments: list[Argument]) -> Argument:
    if not arguments:
        raise ScpiError(-109)
    return arguments[0]
