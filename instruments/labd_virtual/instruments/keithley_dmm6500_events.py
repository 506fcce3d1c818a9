"""The DMM6500's event log: errors, warnings and information, and the operation register that maps their numbers."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

from labd_virtual.contract import Clock
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.scpi_params import Choice, Integer
from labd_virtual.scpi_tree import Call, CommandTree

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # what its calendar shows at board time 0
BUFFER_EMPTY, BUFFER_FULL = 4916, 4917  # DMM7510-901-01 p. 3-15
PAST_CAPACITY = (4915, "Attempting to store past capacity of reading buffer")  # p. 7-7; its panel shows it as an error
_ERROR, _WARNING, _INFORMATION = 1, 2, 4
_TEXTS = {
    2728: ("Trigger model path #1 has been aborted", _WARNING),
    2731: ("Trigger model path #1 has been initiated", _INFORMATION),
    2732: ("Trigger model path #1 has completed", _INFORMATION),
}


def stamp(t_ns: int) -> str:
    return (EPOCH + timedelta(microseconds=t_ns // 1000)).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]


class Events:
    """Errors are in the interpreter's queue, with severity and time behind their text; the others are here."""

    def __init__(self, scpi: Interpreter, clock: Clock) -> None:
        self._scpi, self._clock = scpi, clock
        self._others: deque[tuple[int, str, int]] = deque(maxlen=1000)
        self._maps: dict[int, tuple[int, int]] = {}
        self._condition = 0
        scpi.annotate = lambda problem: self._annotated(problem.text, _ERROR)
        scpi.watch(lambda: self._condition, lambda: 0)
        self._declare(scpi.tree)

    def note(self, code: int) -> None:
        for bit, (setting, clearing) in self._maps.items():
            if code in (setting, clearing):
                self._condition = self._condition | 1 << bit if code == setting else self._condition & ~(1 << bit)
        self._scpi.operation.condition()
        if code in _TEXTS:
            text, severity = _TEXTS[code]
            self._others.append((code, self._annotated(text, severity), severity))

    def past_capacity(self) -> None:
        self._scpi.fail(ScpiError(*PAST_CAPACITY))
        self.note(BUFFER_FULL)

    def _declare(self, tree: CommandTree) -> None:
        errors, kinds = self._scpi.errors, Choice("ERRor|WARNing|INFormational|ALL", optional=True)
        tree.query("SYSTem:ERRor[:NEXT]", lambda _: _shown(*errors.pop()))
        tree.query("SYSTem:ERRor:CODE[:NEXT]", lambda _: str(errors.pop()[0]))
        tree.query("SYSTem:ERRor:COUNt", lambda _: str(len(errors)))
        tree.query("SYSTem:EVENtlog:COUNt", self._count, kinds)
        tree.query("SYSTem:EVENtlog:NEXT", self._next, kinds)
        tree.add("SYSTem:CLEar", lambda _: self._clear())
        tree.add("STATus:CLEar", lambda _: self._scpi.status.clear())
        tree.add("STATus:PRESet", lambda _: self._scpi.operation.preset())
        tree.add("STATus:OPERation:MAP", self._map, Integer(0, 14), Integer(0, 9999), Integer(0, 9999, optional=True))
        tree.query("STATus:OPERation:CONDition", lambda _: str(self._scpi.operation.condition()))
        tree.query("STATus:OPERation[:EVENt]", lambda _: str(self._scpi.operation.event()))
        tree.add("STATus:OPERation:ENABle", lambda c: setattr(self._scpi.operation, "enable", c[0]), Integer(0, 0x7FFF))
        tree.query("STATus:OPERation:ENABle", lambda _: str(self._scpi.operation.enable))
        tree.query("STATus:QUEStionable:CONDition", lambda _: str(self._scpi.questionable.condition()))

    def _annotated(self, text: str, severity: int) -> str:
        return f"{text};{severity};{stamp(self._clock.now_ns())}"

    def _wanted(self, call: Call) -> int:
        return {"ERR": _ERROR, "WARN": _WARNING, "INF": _INFORMATION}.get(call[0], _ERROR | _WARNING | _INFORMATION)

    def _count(self, call: Call) -> str:
        wanted = self._wanted(call)
        return str(len(self._scpi.errors) * bool(wanted & _ERROR) + sum(bool(wanted & severity) for *_, severity in self._others))

    def _next(self, call: Call) -> str:
        wanted = self._wanted(call)
        if wanted & _ERROR and len(self._scpi.errors):
            return _shown(*self._scpi.errors.pop())
        entry = next((entry for entry in self._others if wanted & entry[2]), None)
        if entry is None:
            return _shown(0, "")
        self._others.remove(entry)
        return _shown(entry[0], entry[1])

    def _clear(self) -> None:
        self._scpi.errors.clear()
        self._others.clear()

    def _map(self, call: Call) -> None:
        self._maps[call[0]] = (call[1], call[2] or 0)


def _shown(code: int, text: str) -> str:
    return f'{code},"{text if code else "No error;0;0 0"}"'
