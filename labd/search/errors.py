"""What can go wrong with the builder of a candidate, each case by its own name."""

from __future__ import annotations

from typing import ClassVar

from labd.errors import LabdError


class BuilderFailure(LabdError):
    """A candidate was not built; the message names the command and where all that it said is kept."""

    exit_code: ClassVar[int] = 14


class BuilderNotFound(BuilderFailure):
    """The command cannot be started."""


class BuilderHung(BuilderFailure):
    """It did not end in its time; it was killed with every process that it had started."""


class BuilderCrashed(BuilderFailure):
    """It ended with another exit status than 0."""


class BuilderSilent(BuilderFailure):
    """It ended with exit status 0 and left no answer."""


class WrongAnswer(BuilderFailure):
    """Its answer is not what the contract says, or names files that are not there. problems: each in a line."""

    def __init__(self, text: str, problems: tuple[str, ...]) -> None:
        super().__init__(text)
        self.problems = problems

    def __reduce__(self) -> tuple[type[WrongAnswer], tuple[str, tuple[str, ...]]]:
        return type(self), (str(self), self.problems)


class CandidateRefused(BuilderFailure):
    """The builder works, and says that there is no such candidate: it does not fit, or the board cannot run it."""
