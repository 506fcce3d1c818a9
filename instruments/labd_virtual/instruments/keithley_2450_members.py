"""Members of the 2450 family: what differs between their specimens, typed from their own documents.

2450: "SPEC-2450" Rev. A p. 2 (ranges) and "2450-901-01" Rev. B p. 6-71 (limits). 2461: "2461-901-01" Rev. A p. 6-94. 2470: "2470-901-01"
Rev. A p. 12-53 (ranges), p. 12-78 (limits), p. 12-81 (lowest over-voltage level). The words of the over-voltage levels are those of the
maker's definitions for its TSP editor. Of the 2460 no page was read: it is a 2461 without digitize functions. Operating boundaries follow
from the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One model; V, A. least_limit: a fixed measure range raises a current limit that is below this share of it. boundaries: up to this
    voltage range, at most this current."""

    name: str
    current_ranges: tuple[float, ...]
    voltage_ranges: tuple[float, ...]
    voltage_most: float
    limit_most: float
    boundaries: tuple[tuple[float, float], ...]
    protections: tuple[int, ...]
    least_limit: float
    digitizes: bool

    def protection_words(self) -> str:
        return "|".join(f"PROT{level}" for level in self.protections) + "|NONE"

    def reaching(self, volt: float) -> float:
        """The lowest voltage range that holds it."""
        return next((r for r in self.voltage_ranges if volt <= r * (1 + 1e-9)), self.voltage_ranges[-1])

    def limit_at(self, voltage_range: float) -> float:
        """What the operating boundary leaves on this source range."""
        return next((amps for volts, amps in self.boundaries if voltage_range <= volts * (1 + 1e-9)), self.boundaries[-1][1])


_TO_ONE_AMPERE = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
_TO_180_V = (2, 5, 10, 20, 40, 60, 80, 100, 120, 140, 160, 180)
_TO_80_V = (2, 5, 10, 20, 40, 60, 80)
_HIGH_VOLTS = (0.2, 2.0, 7.0, 10.0, 20.0, 100.0)
_HIGH_BOUNDS = ((7.0, 7.35), (10.0, 5.25), (20.0, 4.2), (100.0, 1.05))

MEMBERS: Mapping[str, Member] = {
    member.name: member
    for member in (
        Member(
            "2450",
            (1e-8, 1e-7, *_TO_ONE_AMPERE),
            (0.02, 0.2, 2.0, 20.0, 200.0),
            210.0,
            1.05,
            ((20.0, 1.05), (200.0, 0.105)),
            _TO_180_V,
            0.106,
            digitizes=False,
        ),
        Member("2460", (*_TO_ONE_AMPERE, 4.0, 5.0, 7.0), _HIGH_VOLTS, 105.0, 7.35, _HIGH_BOUNDS, _TO_80_V, 0.001, digitizes=False),
        Member("2461", (*_TO_ONE_AMPERE, 4.0, 5.0, 7.0), _HIGH_VOLTS, 105.0, 7.35, _HIGH_BOUNDS, _TO_80_V, 0.001, digitizes=True),
        Member(
            "2470",
            (1e-8, 1e-7, *_TO_ONE_AMPERE),
            (0.2, 2.0, 20.0, 200.0, 1000.0),
            1100.0,
            1.05,
            ((20.0, 1.05), (200.0, 0.105), (1000.0, 0.021)),
            (20, 40),
            0.106,
            digitizes=False,
        ),
    )
}
