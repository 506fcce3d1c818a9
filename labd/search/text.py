"""The result of a search as text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from labd.kpi.targets import Answer, Conformity, Target
from labd.records import KpiRecord
from labd.report.numbers import quantity, show
from labd.search.outcome import Outcome, State
from labd.search.result import Judged, Result

LINES = 12  # of the front; the rest is in the report


def render(result: Result) -> str:
    """Platforms, the front over all, and the answer to the use case."""
    return "\n".join([f"{result.name}: {_counts(result)}", *_platforms(result), "", *_front(result), "", *answer(result)])


def _counts(result: Result) -> str:
    states = [one.outcome.state for one in result.candidates]
    parts = [f"{states.count(state)} {state}" for state in State if state in states]
    early = "" if State.STOPPED not in states else " early, for they cannot meet a target" if not states.count(State.FAILED) else ""
    return f"{len(states)} candidates on {len(result.platforms)} platforms, {', '.join(parts)}{early}"


def _platforms(result: Result) -> Iterator[str]:
    for name, one in result.platforms.items():
        best = f"best {one.best}" if one.best else "none is known to meet every target"
        yield f"  {name} ({one.bench}): {one.candidates} candidates, {one.measured} measured, front of {len(one.front)}; {best}"


def _front(result: Result) -> Iterator[str]:
    yield f"Pareto front over all: {len(result.front)} not dominated beyond the intervals (* nor by the values alone)"
    for name in result.front[:LINES]:
        judged = result.of(name)
        figures = ", ".join(f"{words(key)} {figure(judged.outcome.figures.get(key))}" for key in result.objectives)
        yield f" {'*' if judged.by_values else ' '} {name} [{judged.outcome.settings.key}]: {figures}{_word(judged)}"
    if len(result.front) > LINES:
        yield f"   ... and {len(result.front) - LINES} more"


def _word(judged: Judged) -> str:
    return {True: "; meets every target", False: "; misses a target", None: "; open"}[judged.meets]


def answer(result: Result) -> Iterator[str]:
    """Which candidate meets the use case's targets, and how sure that is; of new data where there are some."""
    yield from dropped(result)
    if not result.best:
        yield "No candidate is known to meet every target."
        return
    best = result.of(result.best)
    yield f"Best of those that meet every target: {result.best} [{best.outcome.settings.key}], run {best.outcome.run_id}"
    shown = best if result.again is None or result.again.outcome.state is not State.MEASURED else result.again
    if result.again is not None:
        yield again(result.again.outcome)
    for name, target in result.targets.items():
        yield f"  {sentence(target, shown.outcome.figures.get(name), shown.answers[name])}"


def dropped(result: Result) -> Iterator[str]:
    """Of each candidate that was the best until it was measured once more."""
    for one in result.candidates:
        met = one.outcome.state is State.MEASURED and all(found.answer is Answer.MET for found in one.answers.values())
        if met and not one.meets:
            then = "misses one" if one.meets is False else "leaves one open"
            yield f"{one.outcome.name} met every target, and {then} when it is measured once more: it is not the best."


def again(outcome: Outcome) -> str:
    if outcome.state is State.MEASURED:
        return f"Measured once more (run {outcome.run_id}), since the best of many figures is too good by chance; these are of that run:"
    return f"It could not be measured once more: {outcome.why}"


def sentence(target: Target, record: KpiRecord | None, found: Conformity) -> str:
    """`meets max energy per inference of 2 mJ with 97 % confidence: 1.2 +- 0.1 mJ`."""
    limit = (
        f"{target.limit:.10g} B"
        if target.unit == "By"
        else f"{target.limit:.4g}"
        if target.unit == "1"
        else quantity(target.limit, target.unit)
    )
    what = f"{target.name} of {limit}"
    if found.chance is None:
        return f"{found.answer}: {what}, {found.why}"
    match found.answer:
        case Answer.MET:
            return f"meets {what} with {percent(found.chance)} confidence: {figure(record)}"
        case Answer.MISSED:
            return f"misses {what} with {percent(1 - found.chance)} confidence: {figure(record)}"
        case _:
            return f"open: {what}, {percent(found.chance)} say that it is met: {figure(record)}"


def percent(chance: float) -> str:
    """Never 100 %: no interval says that."""
    if chance > 0.999:
        return "more than 99.9 %"
    return f"{100 * chance:.3g} %" if chance >= 0.001 else "less than 0.1 %"


def figure(record: KpiRecord | None) -> str:
    if record is not None and record.unit == "By" and record.value is not None:
        return f"{record.value:.10g} B"
    return show(record)


def words(key: str) -> str:
    return key.replace("_", " ")
