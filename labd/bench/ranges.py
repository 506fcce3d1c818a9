"""Which current range a capture is made on, and which ranges are refused for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from labd.bench.station import Tool
from labd.config.quantity import CURRENT, write_quantity
from labd.errors import FileError, InstrumentFailure
from labd_instruments.contract import LimitsByRange, ListsCurrentRanges, ListsRanges

COVERAGE = 1.96  # GUM G.1.2, large degrees of freedom
LEAST_STEP = 1e-9  # relative: 1.05 * 100e-6 is not exactly 105e-6


@dataclass(frozen=True, slots=True)
class Need:
    """What a capture asks of its range. resolve_a: the current of the phase it must resolve, None where no file declares one.

    draws_a: the most the board may draw while the range is fixed. largest_share: U95 over resolve_a from which on a range is refused.
    file, key: where a wrong range is put right.
    """

    phase: str
    resolve_a: float | None
    draws_a: float
    aperture_s: float
    largest_share: float
    file: str
    key: str


def peak_range(meter: Tool, peak_a: float) -> float:
    """The lowest range that holds the peak: a lower one would clip, and on some source-measure units limit the output itself."""
    return _lowest(meter, peak_a, "the board's peak_current", crest=_crest(meter))


def _crest(meter: Tool) -> float:
    """A range holds peaks up to this many times itself."""
    driver = meter.driver
    return driver.crest_factor if isinstance(driver, ListsRanges) else 1.0


def floor_range(meter: Tool, sleep_a: float) -> float:
    """The lowest range that holds the rest state; only for captures in which waking is impossible."""
    return _lowest(meter, sleep_a, "the board's sleep_current")


def voltage_range(meter: Tool, supply_v: float) -> float:
    """The lowest known voltage range that holds the supply; 20 V, which every source here has, where none is known."""
    return next((scale for scale in _scales(meter, "voltage") if scale >= supply_v), 20.0)


def check_range(meter: Tool, range_a: float, need: Need) -> str | None:
    """A flag in words where nothing can be said of the range, None where it will do.

    Raises FileError for a range that the instrument does not have, that does not hold the phase or resolves it too badly, or that limits
    the output below what the board draws.
    """
    _refuse_foreign(meter, range_a, need)
    if need.resolve_a is not None and _crest(meter) * range_a < need.resolve_a * (1 - LEAST_STEP):
        raise FileError(
            need.file,
            need.key,
            f"{amperes(range_a)} range of {meter.spec.name} refused: {need.phase}, {amperes(need.resolve_a)}, is beyond it; "
            f"{_right(meter, need)}",
        )
    clamp = range_clamp(meter)
    if clamp is not None and clamp * range_a < need.draws_a * (1 - LEAST_STEP):
        raise FileError(
            need.file,
            need.key,
            f"{amperes(range_a)} range of {meter.spec.name} refused: fixed, it limits the output to {amperes(clamp * range_a)}, "
            f"and the board may draw {amperes(need.draws_a)}; {_right(meter, need)}",
        )
    return None if need.resolve_a is None else _check_u95(meter, range_a, need, resolve_a=need.resolve_a)


def _refuse_foreign(meter: Tool, range_a: float, need: Need) -> None:
    driver = meter.driver
    if not isinstance(driver, ListsCurrentRanges):
        return
    if any(math.isclose(range_a, has, rel_tol=LEAST_STEP) for has in driver.current_ranges_a):
        return
    has = ", ".join(map(amperes, driver.current_ranges_a))
    raise FileError(need.file, need.key, f"{meter.spec.name} has no {amperes(range_a)} range; it has {has}")


def _check_u95(meter: Tool, range_a: float, need: Need, *, resolve_a: float) -> str | None:
    u95 = range_u95(meter, range_a, ampere=resolve_a, aperture_s=need.aperture_s)
    if u95 is None:
        return f"accuracy unknown: {amperes(range_a)} range of {meter.spec.name}, so nothing says whether it resolves {need.phase}"
    if u95 > need.largest_share * resolve_a:
        raise FileError(
            need.file,
            need.key,
            f"{amperes(range_a)} range of {meter.spec.name} refused: its U95 is {amperes(u95)}, {u95 / resolve_a:.0%} of {need.phase}, "
            f"{amperes(resolve_a)}; at most {need.largest_share:.0%} is allowed (floor.largest_u95); {_right(meter, need)}",
        )
    return None


def range_u95(meter: Tool, range_a: float, *, ampere: float, aperture_s: float) -> float | None:
    """U95 of a reading of `ampere` from the limits of gain and offset (rectangular, GUM 4.3.7), None where no document gives them."""
    limit = meter.driver.accuracy().limit("current", range_a, aperture_s)
    if limit is None:
        return None
    # a single rectangular term never errs by more than its limit
    return min(COVERAGE / math.sqrt(3) * math.hypot(limit.gain * ampere, limit.offset), limit.gain * ampere + limit.offset)


def _right(meter: Tool, need: Need) -> str:
    """The ranges that would do, in words."""
    good = [amperes(scale) for scale in _scales(meter) if _will_do(meter, scale, need)]
    return f"what would do: {', '.join(good)}" if good else f"none of its known ranges would do ({', '.join(map(amperes, _scales(meter)))})"


def _will_do(meter: Tool, scale: float, need: Need) -> bool:
    clamp = range_clamp(meter)
    if _crest(meter) * scale < (need.resolve_a or 0.0) or (clamp is not None and clamp * scale < need.draws_a * (1 - LEAST_STEP)):
        return False
    if need.resolve_a is None:
        return True
    u95 = range_u95(meter, scale, ampere=need.resolve_a, aperture_s=need.aperture_s)
    return u95 is not None and u95 <= need.largest_share * need.resolve_a


def _scales(meter: Tool, quantity: Literal["current", "voltage"] = "current") -> list[float]:
    """Those with a limit of error; where none has one, those that the instrument has by its driver."""
    driver = meter.driver
    rows = sorted({row.full_scale for row in driver.accuracy().rows if row.quantity == quantity})
    if not rows and quantity == "current" and isinstance(driver, ListsCurrentRanges):
        return sorted(driver.current_ranges_a)
    if not rows and quantity == "voltage" and isinstance(driver, ListsRanges):
        return sorted(driver.voltage_ranges_v)
    return rows


def range_clamp(meter: Tool) -> float | None:
    """How many times its full scale a fixed current range lets the output deliver; None where ranges do not limit the output."""
    driver = meter.driver
    return driver.range_clamp if isinstance(driver, LimitsByRange) else None


def amperes(value: float, digits: int = 4) -> str:
    """`100 uA`, as people write it, with so many significant digits."""
    return write_quantity(float(f"{value:.{digits}g}"), CURRENT)


def _lowest(meter: Tool, ampere: float, what: str, *, crest: float = 1.0) -> float:
    scales = _scales(meter)
    if not scales:
        raise InstrumentFailure(
            f"{meter.spec.name}: no current range is known; declare its accuracy rows in the bench file "
            f"([[instruments.{meter.spec.name}.accuracy]])"
        )
    for scale in scales:
        if crest * scale >= ampere:
            return scale
    raise InstrumentFailure(f"{meter.spec.name}: {what} of {amperes(ampere)} is above its largest known range, {amperes(scales[-1])}")
