"""IEEE 488.2 and SCPI status registers: condition, transition filters, event, enable, and the status byte above them."""

from __future__ import annotations

from collections.abc import Callable

from labd_virtual.scpi_errors import ErrorQueue

OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 4, 8, 16, 32, 128


class RegisterGroup:
    """One condition/event/enable group (SCPI-1999 volume 1, chapter 9). Bits are 16 bit integers."""

    def __init__(self, condition: Callable[[], int] = lambda: 0) -> None:
        self._read = condition
        self._last = 0
        self._event = 0
        self.enable = 0
        self.positive = 0x7FFF
        self.negative = 0

    def condition(self) -> int:
        now = self._read()
        self._event |= (now & ~self._last & self.positive) | (~now & self._last & self.negative)
        self._last = now
        return now

    def event(self) -> int:
        """Read and clear."""
        self.condition()
        event, self._event = self._event, 0
        return event

    def summary(self) -> bool:
        self.condition()
        return bool(self._event & self.enable)

    def clear(self) -> None:
        self.condition()
        self._event = 0

    def preset(self) -> None:
        self.enable, self.positive, self.negative = 0, 0x7FFF, 0


def event_bit(code: int) -> int:
    """Which bit of the standard event register an error sets (IEEE 488.2 11.5.1)."""
    if -200 < code <= -100:
        return COMMAND_ERROR
    if -300 < code <= -200:
        return EXECUTION_ERROR
    if -500 < code <= -400:
        return QUERY_ERROR
    return DEVICE_ERROR


class StatusByte:
    """The standard event register, service request enable and the summary of everything below."""

    def __init__(self, errors: ErrorQueue, operation: RegisterGroup, questionable: RegisterGroup) -> None:
        self.errors, self.operation, self.questionable = errors, operation, questionable
        self.standard_event = POWER_ON
        self.standard_enable = 0
        self.service_enable = 0

    def note_error(self, code: int) -> None:
        self.standard_event |= event_bit(code)

    def take_standard_event(self) -> int:
        event, self.standard_event = self.standard_event, 0
        return event

    def value(self) -> int:
        byte = (
            (4 if len(self.errors) else 0)
            | (8 if self.questionable.summary() else 0)
            | (32 if self.standard_event & self.standard_enable else 0)
            | (128 if self.operation.summary() else 0)
        )
        return byte | (64 if byte & self.service_enable else 0)

    def clear(self) -> None:
        """*CLS"""
        self.standard_event = 0
        self.errors.clear()
        self.operation.clear()
        self.questionable.clear()
