"""The family's event log (errors, warnings, information) and the operation register mapped onto its event numbers."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

from labd_virtual.contract import Clock
from labd_virtual.instruments.keithley_2450_buffers import FULL_EVENT
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.scpi_params import Choice, Integer
from labd_virtual.scpi_tree import Call, CommandTree

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # what the instrument's own calendar shows at board time 0
BUFFER_FULL, BUFFER_EMPTY = 4917, 4916
_ERROR, _WARNING, _INFORMATION = 1, 2, 4
# 2461-901-01 p. C-10.
_TEXTS = {
    2728: "Trigger model was aborted by user action",
    2730: "Trigger model failed and returned to idle",
    2731: "Trigger model is now running",
    2732: "Trigger model completed successfully",
}


def stamp(t_ns: int) -> str:
    """`2026/01/01 00:00:00.000`."""
    return (EPOCH + timedelta(microseconds=t_ns // 1000)).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]


class Events:
    """Errors live in the interpreter's queue (text annotated with severity and time), the rest here."""

    def __init__(self, scpi: Interpreter, clock: Clock) -> None:
        self._scpi, self._clock = scpi, clock
        self._others: deque[tuple[int, str, int]] = deque(maxlen=1000)
        self._maps: dict[int, tuple[int, int]] = {}
        self._condition = 0
        scpi.annotate = lambda problem: self._annotated(problem.text, _ERROR)

    def note(self, code: int) -> None:
        """Something happened that may be mapped onto a status bit; it is logged as information."""
        for bit, (setting, clearing) in self._maps.items():
            if code in (setting, clearing):
                self._condition = self._condition | 1 << bit if code == setting else self._condition & ~(1 << bit)
        self._scpi.operation.condition()
        if code in _TEXTS:
            self._others.append((code, self._annotated(_TEXTS[code], _INFORMATION), _INFORMATION))

    def buffer_full(self) -> None:
        code, text = FULL_EVENT
        self._others.append((code, self._annotated(text, _WARNING), _WARNING))
        self.note(BUFFER_FULL)

    def limit_moved(self) -> None:
        """A warning of which the manual gives no number ("2470-901-01" p. 12-78); this one is made up."""
        self._others.append((5000, self._annotated("Source limit was changed to fit the range", _WARNING), _WARNING))

    def operation(self) -> int:
        return self._condition

    def declare(self, tree: CommandTree) -> None:
        errors = self._scpi.errors
        tree.query("SYSTem:ERRor[:NEXT]", lambda _: self._shown(*errors.pop()))
        tree.query("SYSTem:ERRor:COUNt", lambda _: str(len(errors)))
        tree.query("SYSTem:ERRor:CODE[:NEXT]", lambda _: str(errors.pop()[0]))
        tree.query("SYSTem:EVENtlog:COUNt", self._count, Choice("ERRor|WARNing|INFormation|ALL", optional=True))
        tree.query("SYSTem:EVENtlog:NEXT", self._next, Choice("ERRor|WARNing|INFormation|ALL", optional=True))
        tree.add("SYSTem:CLEar", lambda _: self._clear())
        tree.add("STATus:CLEar", lambda _: self._scpi.status.clear())
        tree.add("STATus:PRESet", lambda _: self._scpi.operation.preset())
        tree.add("STATus:OPERation:MAP", self._map, Integer(0, 14), Integer(0, 9999), Integer(0, 9999, optional=True))
        tree.query("STATus:OPERation:CONDition", lambda _: str(self._scpi.operation.condition()))
        tree.query("STATus:OPERation[:EVENt]", lambda _: str(self._scpi.operation.event()))
        tree.add("STATus:OPERation:ENABle", self._enable, Integer(0, 65535))
        tree.query("STATus:OPERation:ENABle", lambda _: str(self._scpi.operation.enable))

    def _annotated(self, text: str, severity: int) -> str:
        return f"{text};{severity};{stamp(self._clock.now_ns())}"

    def _shown(self, code: int, text: str) -> str:
        return f'{code},"{text if code else "No error;0;0 0"}"'

    def _wanted(self, call: Call) -> set[int]:
        return {"ERR": {_ERROR}, "WARN": {_WARNING}, "INF": {_INFORMATION}}.get(call[0] or "ALL", {_ERROR, _WARNING, _INFORMATION})

    def _count(self, call: Call) -> str:
        wanted = self._wanted(call)
        return str((len(self._scpi.errors) if _ERROR in wanted else 0) + sum(severity in wanted for *_, severity in self._others))

    def _next(self, call: Call) -> str:
        wanted = self._wanted(call)
        if _ERROR in wanted and len(self._scpi.errors):
            return self._shown(*self._scpi.errors.pop())
        entry = next((e for e in self._others if e[2] in wanted), None)
        if entry is None:
            return self._shown(0, "")
        self._others.remove(entry)
        return self._shown(entry[0], entry[1])

    def _clear(self) -> None:
        self._scpi.errors.clear()
        self._others.clear()

    def _map(self, call: Call) -> None:
        self._maps[call[0]] = (call[1], call[2] or 0)

    def _enable(self, call: Call) -> None:
        if call[0] > 0x7FFF:
            raise ScpiError(-222)
        self._scpi.operation.enable = call[0]
