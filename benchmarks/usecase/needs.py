"""What a search has to come to, of its result alone."""

from __future__ import annotations

from collections.abc import Iterator

from labd.kpi.targets import Answer
from labd.search.outcome import State
from labd.search.result import Result

BOARDS = 2


def shortcomings(result: Result, *, candidates: int) -> Iterator[str]:
    """A line each. candidates: at least so many, over all boards."""
    failed = [one.outcome for one in result.candidates if one.outcome.state is State.FAILED]
    worked = len(result.candidates) - len(failed)
    if worked < candidates:
        yield f"{worked} candidates that did not fail, {candidates} are asked for"
    yield from (f"{one.name} failed: {one.why}" for one in failed)
    if len(result.platforms) < BOARDS:
        yield "one board only"
    if not result.front:
        yield "the front is empty"
    yield from (f"no candidate on {name} meets every target" for name, one in result.platforms.items() if not one.best)
    if not result.best:
        yield "no candidate meets every target"
    elif result.again is None or result.again.outcome.state is not State.MEASURED:
        yield "the best was not measured once more"
    else:
        found = result.again.answers.items()
        yield from (
            f"measured once more, the best does not meet its target of {name}" for name, one in found if one.answer is not Answer.MET
        )
