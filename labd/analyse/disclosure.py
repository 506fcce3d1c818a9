"""What a reader needs to know of the whole deployment pipeline: what the run's cards say of it, and how labd measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labd.analyse.setup_card import known
from labd.analyse.wording import said, section
from labd.cards.disclosure import UNKNOWN, Told, told
from labd.report.data import Disclosure
from labd.store.rows import CaptureRow, RunRow

_METHOD = (
    ("Batch size in this run", "1: every inference is started on its own"),
    ("Parameters when latency is timed", "resident: loaded before the first inference that counts; loading is a phase of its own"),
    ("Peripherals and memory", "everything fed through the supply terminals is counted"),
    ("Uncertainty", "GUM Supplement 1 over a budget of named terms; coverage 95 %"),
)


def disclosure(run: RunRow, captures: Sequence[CaptureRow]) -> tuple[Disclosure, ...]:
    """The full list, whatever of it is told; then how labd measures. captures: of the run, which tell how it was measured."""
    return (*_asked(run, captures), *(Disclosure("Method", item, text) for item, text in _METHOD))


def untold(run: RunRow, captures: Sequence[CaptureRow]) -> tuple[str, ...]:
    """Keys of cards that nobody filled in, `hardware.process_node`; none: the run is complete."""
    return tuple(key for one in told_of(run, captures) for key in one.fields)


def told_of(run: RunRow, captures: Sequence[CaptureRow], models: Sequence[str] = ()) -> Iterator[Told]:
    """Each thing asked for, with what the cards and the run itself tell of it. models: of these alone; none: of all of the plan."""
    models = models or tuple(str(model) for model in section(run.plan_expanded, "plan", "plan").get("models", ()))
    board = section(run.bench_effective, "board", "board")
    by_run: dict[tuple[str, str], Any] = {("setup", key): value for key, value in known(run, captures).items()}
    if board.get("virtual"):
        by_run["hardware", "origin"] = "virtual"
    yield from told(run.cards, models=models, known=by_run)


def _asked(run: RunRow, captures: Sequence[CaptureRow]) -> Iterator[Disclosure]:
    for one in told_of(run, captures):
        of = f" ({one.model})" if one.model else ""
        missing = f"{one.where}" if one.missing else ""
        yield Disclosure(one.asked.group, f"{one.asked.item}{of}", _value(one), missing, one.asked.why if missing else "", one.fields)


def _value(one: Told) -> str:
    """Each key in words; one that is not told beside others that are is named."""
    words = {key: said(value) for key, value in one.values.items() if said(value)}
    words |= {key: UNKNOWN for key in one.unknown if key in one.asked.keys}
    if not words:
        return ""
    if len(one.asked.keys) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{key.replace('_', ' ')}: {text}" for key, text in words.items())
