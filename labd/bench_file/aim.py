"""`[aim]` of a plan file: how well figures are to be known, and how long measuring may take."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from labd.bench.expand import LEAST_EVENTS
from labd.config.section import Section, Wrong
from labd.config.types import Fraction, Seconds
from labd.kpi.aimed import FIGURES
from labd.kpi.aims import Aim

HIGHEST = 0.95  # of the largest rate: events that come a little early do not meet
MIDDLE = (0.01, 0.3)  # of the highest rate: between these lie the rates that test whether the line is straight
MIDDLE_RATES = 3


class AimSection(Section):
    """Figures with the largest half-width of their 95 % interval, as a share of the figure. labd measures on where it shrinks them most,
    until all are met, cannot be met by these instruments, or the time is over. `repeats`, `captures.events` and `captures.floor_time` have
    no say."""

    energy_per_inference: Fraction | None = Field(
        default=None, description="of each mode at its highest rate: gross in always_on, per_event in the event modes"
    )
    floor_power: Fraction | None = Field(default=None, description="power of each mode at rate 0, of its line over the rates")
    incremental_energy: Fraction | None = Field(default=None, description="slope of that line")
    break_even: Fraction | None = Field(default=None, description="rate at which two modes need the same power, of each pair of modes")
    time: Seconds = Field(description="that measuring may take in all, on the bench's clock")
    piece: Seconds = Field(default=4.0, description="the least time that is spent on one capture; more where much is needed")

    def wrong(self) -> Iterator[Wrong]:
        if not self.aims:
            yield Wrong("", f"expected at least one of {', '.join(FIGURES)}")
        for key in FIGURES:
            if getattr(self, key) == 0:
                yield Wrong(key, "expected more than 0 %: no measurement ends there")

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
