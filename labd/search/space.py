"""What may be chosen on a platform: dimensions, and the settings that a choice of each comes to. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labd.records import Mode
from labd.search.outcome import Settings
from labd.search.use_case import Platform

Value = str | int | float
Choice = Mapping[str, Value]
MOST_LISTED = 100_000  # a larger space is drawn from, not listed


@dataclass(frozen=True, slots=True)
class Space:
    """dimensions: name to its values, numbers in ascending order."""

    dimensions: Mapping[str, tuple[Value, ...]]

    @property
    def size(self) -> int:
        return math.prod(len(values) for values in self.dimensions.values())

    def listed(self, *, seed: int) -> Iterator[dict[str, Value]]:
        """Every choice once, in a random order; of a space that is too large, so many draws that may repeat."""
        draw = random.Random(seed)
        for k in draw.sample(range(self.size), self.size) if self.size <= MOST_LISTED else _drawn(draw, self.size):
            yield self._choice(k)

    def _choice(self, k: int) -> dict[str, Value]:
        """The k-th, counting through the dimensions like through digits."""
        chosen: dict[str, Value] = {}
        for name, values in self.dimensions.items():
            k, digit = divmod(k, len(values))
            chosen[name] = values[digit]
        return chosen


def _drawn(draw: random.Random, size: int) -> Iterator[int]:
    return (draw.randrange(size) for _ in range(MOST_LISTED))


def space_of(platform: Platform) -> Space:
    """Dimensions of the board are called `@mode`, `@clock` and `@supply`, as no parameter can be."""
    dimensions: dict[str, tuple[Value, ...]] = {name: ordered(values) for name, values in platform.choices.items()}
    dimensions |= {name: tuple(range(one.low, one.high + 1, one.step)) for name, one in platform.ranges.items()}
    dimensions["@mode"] = tuple(str(mode) for mode in platform.mode)
    dimensions |= {f"@{key}": ordered(values) for key in ("clock", "supply") if (values := getattr(platform, key))}
    return Space(dimensions)


def ordered(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Numbers ascending; words as they are."""
    numbers = [value for value in values if not isinstance(value, str)]
    return tuple(sorted(numbers)) if len(numbers) == len(values) else values


def settings_of(choice: Choice) -> Settings:
    clock, supply = choice.get("@clock"), choice.get("@supply")
    return Settings(
        parameters={name: value for name, value in choice.items() if not name.startswith("@")},
        mode=Mode(str(choice["@mode"])),
        clock_hz=None if clock is None else float(clock),
        supply_v=None if supply is None else float(supply),
    )
