"""The effective configuration that a run stored (`{"value", "unit", "half_width"}` and plain values) as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labd.kpi.battery import YEAR_S
from labd.report.numbers import choose_scale, print_unit

_SLOW = 1e-6  # below one a fortnight it is no inference rate but a loss over time


def section(data: object, *keys: str) -> Mapping[str, Any]:
    """The table at `keys`, empty where there is none: a run that failed early holds little."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def said(value: object) -> str:
    """Anything an effective configuration holds; empty for None."""
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case {"value": float() | int() as number, "unit": str() as unit, "half_width": float() | int() as spread}:
            return quantity_text(float(number), unit, half_width=float(spread))
        case {"value": float() | int() as number, "unit": str() as unit}:
            return quantity_text(float(number), unit)
        case Mapping():
            return ", ".join(f"{spaced(str(key))} {said(item)}" for key, item in value.items() if said(item))
        case list() | tuple():
            return ", ".join(said(item) for item in value)
    return str(value)


def quantity_text(value: float, unit: str, *, half_width: float = 0.0) -> str:
    """As written in a file, up to six digits, with the limits beside it: `4.7 ± 0.47 µF`, `23 °C ± 1 K`, `85 % ± 5 %`."""
    if unit == "1":
        share = fraction(value)
        return f"{share} ± {fraction(half_width)}" if half_width else share
    if unit == "Cel":
        return f"{value:.6g} °C" + (f" ± {half_width:.6g} K" if half_width else "")
    if unit == "s" and 120 <= value < 7200:
        return f"{value / 60:.6g} min" + (f" ± {half_width / 60:.6g} min" if half_width else "")
    if unit == "/s" and 0 < value < _SLOW:
        return f"{value * YEAR_S * 100:.6g} %/year" + (f" ± {half_width * YEAR_S * 100:.6g} %/year" if half_width else "")
    scale = choose_scale(unit, value or half_width)
    spread = f" ± {half_width / scale.factor:.6g}" if half_width else ""
    return f"{value / scale.factor:.6g}{spread} {scale.symbol or print_unit(unit)}".rstrip()


def fraction(value: float) -> str:
    """`0.025 %`, `50 ppm`."""
    return f"{value * 1e6:.6g} ppm" if 0 < abs(value) < 1e-4 else f"{value * 100:.6g} %"


def flat(data: Mapping[str, Any], *, leave_out: frozenset[str] = frozenset(), head: str = "") -> Iterator[tuple[str, str]]:
    """(key in words, text) of every key that is set, tables inside included: `captures: floor time`, `4 s`."""
    for key, value in data.items():
        name = f"{head}: {spaced(key)}" if head else spaced(key)
        if key in leave_out:
            continue
        if isinstance(value, Mapping) and "unit" not in value:
            yield from flat(value, head=name)
        elif text := said(value):
            yield name, text


def spaced(key: str) -> str:
    return key.replace("_", " ")
