"""`[aim]` of a plan file: how well figures are to be known, and how long measuring may take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from labd.bench.expand import LEAST_EVENTS
from labd.bench_file.text import seconds
from labd.config.section import Section, Wrong
from labd.config.types import FractionAboveZero, Seconds
from labd.kpi.aimed import FIGURES
from labd.kpi.aims import Aim
from labd.records import Mode

HIGHEST = 0.95  # of the largest rate: events that come a little early do not meet
MIDDLE = (0.01, 0.3)  # of the highest rate: between these lie the rates that test whether the line is straight
MIDDLE_RATES = 3


class AimSection(Section):
    """Figures, in all modes of the plan, with the largest half-width of their 95 % interval, as a share of the figure.

    labd measures on where it shrinks them most, until all are met, cannot be met by these instruments, or the time is over. It decides how
    often and how long: `repeats`, `captures.events` and `captures.floor_time` are refused beside it."""

    energy_per_inference: FractionAboveZero | None = Field(
        default=None, description="of each mode at its highest rate: gross in always_on, per_event in the event modes"
    )
    floor_power: FractionAboveZero | None = Field(default=None, description="power of each mode at rate 0, of its line over the rates")
    incremental_energy: FractionAboveZero | None = Field(default=None, description="slope of that line")
    break_even: FractionAboveZero | None = Field(
        default=None, description="rate at which two modes need the same power, of each pair of modes"
    )
    time: Seconds = Field(description="that measuring may take in all, on the bench's clock and without pauses")
    piece: Seconds = Field(default=4.0, description="the least time that is spent on one capture; more where much is needed")

    @model_validator(mode="before")
    @classmethod
    def _of_all_modes(cls, given: object) -> object:
        for key in set(Mode).intersection(given) if isinstance(given, Mapping) else ():
            text = f"{key}: an aim holds for all modes of the plan, and no mode has a table of its own here; write it into [aim]"
            raise PydanticCustomError("labd", "{text}", {"text": text})
        return given

    def wrong(self) -> Iterator[Wrong]:
        if not self.aims:
            yield Wrong("", f"expected at least one of {', '.join(FIGURES)}")
        if self.piece > self.time:
            yield Wrong("piece", f"expected at most aim.time, {seconds(self.time)}, got {seconds(self.piece)}")

    @property
    def aims(self) -> tuple[Aim, ...]:
        return tuple(Aim(key, wanted) for key in FIGURES if (wanted := getattr(self, key)) is not None)


def rates_of(largest_hz: float, piece_s: float) -> tuple[float, ...]:
    """Of a plan that names none: 0, the highest that all events keep apart at, where most of the time is spent, and some on a logarithmic
    scale between, as few seconds of which tell whether mean power is a straight line over the rate."""
    highest = HIGHEST * largest_hz
    # a capture in the middle takes no longer than two pieces
    low = min(max(MIDDLE[0] * highest, LEAST_EVENTS / (2 * piece_s)), MIDDLE[1] * highest)
    middle = np.geomspace(low, MIDDLE[1] * highest, MIDDLE_RATES if low < 0.5 * MIDDLE[1] * highest else 1)
    return (0.0, *(float(f"{rate:.3g}") for rate in middle), float(f"{highest:.4g}"))
