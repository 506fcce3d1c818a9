"""The tree of labd's errors, each with the exit code the command line ends with."""

from __future__ import annotations

from typing import ClassVar


class LabdError(Exception):
    """Something a user can act on; the message says what, where and what would be right. One line."""

    exit_code: ClassVar[int] = 1


class FileError(LabdError):
    """A bench, board, plan or card file is wrong: names file, key, value and what would be right.

    problems: everything found wrong, one line each; the message is the first of them and how many more there are.
    """

    exit_code = 2

    def __init__(self, file: str, key: str, text: str, problems: tuple[str, ...] = ()) -> None:
        where = f"{file}: {key}" if key else file
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{where}: {text}{more}")
        self.file = file
        self.key = key
        self.text = text
        self.problems = problems or (str(self),)
        self._given = (file, key, text, problems)

    def __reduce__(self) -> tuple[type[FileError], tuple[str, str, str, tuple[str, ...]]]:
        """An exception is made again from its arguments, which here are not its message."""
        return type(self), self._given


class InstrumentFailure(LabdError):
    """An instrument refused, answered wrongly, hung or was not found."""

    exit_code = 3


class DutFailure(LabdError):
    """The device under test did not answer, answered wrongly, rebooted or cannot do what the plan asks."""

    exit_code = 4


class SafetyRefusal(LabdError):
    """The interlock refused a command, or a protection tripped; outputs are off."""

    exit_code = 5


class OutputNotVerifiedOff(SafetyRefusal):
    """Switching off was commanded but could not be verified: the DUT may still be powered or charged."""

    exit_code = 6


class DataLost(LabdError):
    """Samples or inferences are missing from a capture; what remains is stored and marked."""

    exit_code = 7


class StoreError(LabdError):
    """The catalogue or a trace file cannot be read or written."""

    exit_code = 8


class NotFound(LabdError):
    """No such run, bench, driver or file."""

    exit_code = 9


class WrongState(LabdError):
    """The bench, the queue, a job or a run is not in a state for this now; the message says in which it is."""

    exit_code = 11


class NotAllowed(LabdError):
    """A daemon asks for a token, or for one that may do this."""

    exit_code = 12


class ServerRefused(LabdError):
    """A server that was to be given something (Grafana, InfluxDB) cannot be reached, is too old, or does not take it."""

    exit_code = 13


class Interrupted(LabdError):
    """SIGINT or SIGTERM ended the run; what was captured is stored, outputs are off."""

    exit_code = 130
