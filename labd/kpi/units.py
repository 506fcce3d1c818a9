"""Which units a figure can have: UCUM codes compared by what they measure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_PREFIXES = frozenset(("", "f", "p", "n", "u", "m", "c", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi"))
_ATOMS: Mapping[str, Mapping[str, int]] = {
    **{atom: {atom: 1} for atom in ("s", "J", "A", "V", "By", "bit", "K", "Cel", "m")},
    **{name: {} for name in ("1", "%", "[ppth]", "[ppm]")},
    **{name: {"s": 1} for name in ("min", "h", "d", "a")},
    "W": {"J": 1, "s": -1},
    "C": {"A": 1, "s": 1},
    "F": {"A": 1, "s": 1, "V": -1},
    "Ah": {"A": 1, "s": 1},
    "Wh": {"J": 1},
    "Hz": {"s": -1},
    "g": {"g": 1},
}
_FACTOR = re.compile(r"(.+?)(-?\d)?")


def dimension(unit: str) -> Mapping[str, int] | None:
    """What a UCUM code measures, as powers of units without prefix: `1/(s.m2)` is `{"s": -1, "m": -2}`. None for a code that no figure
    here has."""
    found: Counter[str] = Counter()
    top, *below = unit.replace("(", "").replace(")", "").split("/")
    for sign, part in ((1, top), *((-1, one) for one in below)):
        for factor in part.split(".") if part else ():
            powers = _of_factor(factor)
            if powers is None:
                return None
            for atom, power in powers.items():
                found[atom] += sign * power
    return {atom: power for atom, power in found.items() if power}


def _of_factor(factor: str) -> dict[str, int] | None:
    if factor == "1":
        return {}
    parts = _FACTOR.fullmatch(factor)
    if parts is None:  # nothing between two points
        return None
    head, power = parts[1], int(parts[2] or 1)
    atom = next((name for name in _ATOMS if head.endswith(name) and head.removesuffix(name) in _PREFIXES and (name != "1")), None)
    return None if atom is None else {one: power * times for one, times in _ATOMS[atom].items()}


def alike(first: str, second: str) -> bool:
    """Whether two codes measure the same, whatever their prefixes. An unknown code is like itself alone."""
    one, other = dimension(first), dimension(second)
    return first == second if one is None or other is None else one == other
