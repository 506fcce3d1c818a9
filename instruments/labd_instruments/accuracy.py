"""Specification tables: limit of error for a reading on a range at an aperture, each row with the document it comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Quantity = Literal["current", "voltage", "power"]


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """`+-(gain * reading + offset)` as a limit (rectangular) on one range.

    full_scale: range in ampere, volt or watt. gain: fraction of reading. offset: same unit as full_scale.
    aperture_s: the shortest aperture for which the row holds without derating.
    source: document and page, or the certificate the bench file names.
    tempco_per_k: added fraction of (gain, offset) per kelvin outside 18..28 Cel; None where the document gives none.
    derates: whether the table's derating rows extend this row to shorter apertures.
    """

    quantity: Quantity
    full_scale: float
    gain: float
    offset: float
    aperture_s: float
    source: str
    tempco_per_k: float | None = None
    derates: bool = True


@dataclass(frozen=True, slots=True)
class DeratingRow:
    """At an aperture of `aperture_s` or longer (down to this row) add `of_range * full_scale` to the offset of `quantity` ranges
    between low and high (inclusive). Never extrapolated below the last row."""

    quantity: Quantity
    low: float
    high: float
    aperture_s: float
    of_range: float
    source: str


@dataclass(frozen=True, slots=True)
class LimitOfError:
    """What a row gives at one aperture: gain (fraction) and offset (SI), kept apart so that they cancel where they should.

    tempco_per_k: added fraction of both per kelvin outside 18..28 Cel, None where the row gives none. aperture_s: the row's, 0 for any.
    """

    gain: float
    offset: float
    source: str
    tempco_per_k: float | None = None
    aperture_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BurdenRow:
    """What a current input may drop at most, in volt at full scale (ampere): anything from nothing to that."""

    full_scale: float
    volt: float
    source: str


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """All rows of one instrument. timebase: fraction (limit), None where unknown. burden: of a meter whose current input lies in series."""

    rows: tuple[AccuracyRow, ...] = ()
    derating: tuple[DeratingRow, ...] = ()
    timebase: float | None = None
    timebase_source: str = ""
    burden: tuple[BurdenRow, ...] = ()

    def burden_ohm(self, full_scale: float) -> float | None:
        """The most that the current input of a range has, from its drop at full scale; None where no document gives it."""
        return next((row.volt / row.full_scale for row in self.burden if _same(row.full_scale, full_scale)), None)

    def limit(self, quantity: Quantity, full_scale: float, aperture_s: float) -> LimitOfError | None:
        """The limit of error on a range, or None when no document and no declaration gives it (never invented).

        The row of exactly this range is used, of several the one with the longest aperture that does not exceed `aperture_s`. A shorter
        aperture than any row's needs a derating row that reaches it; without one the answer is None.
        """
        rows = [r for r in self.rows if r.quantity == quantity and _same(r.full_scale, full_scale)]
        if not rows:
            return None
        holding = [r for r in rows if aperture_s >= r.aperture_s * (1 - 1e-9)]
        if holding:
            row = max(holding, key=lambda r: r.aperture_s)
            return LimitOfError(row.gain, row.offset, row.source, row.tempco_per_k, row.aperture_s)
        row = min(rows, key=lambda r: r.aperture_s)
        added = self._derating(quantity, full_scale, aperture_s) if row.derates else None
        if added is None:
            return None
        offset = row.offset + added.of_range * full_scale
        return LimitOfError(row.gain, offset, f"{row.source}; {added.source}", row.tempco_per_k, added.aperture_s)

    def declared(self, rows: tuple[AccuracyRow, ...]) -> AccuracyTable:
        """This table with the bench file's rows in place of its own for the same quantity and range.

        The derating of a document never extends a declared row: its certificate holds for its aperture and says nothing of shorter ones.
        """
        kept = tuple(r for r in self.rows if not any(d.quantity == r.quantity and _same(d.full_scale, r.full_scale) for d in rows))
        return replace(self, rows=kept + tuple(replace(row, derates=False) for row in rows))

    def _derating(self, quantity: Quantity, full_scale: float, aperture_s: float) -> DeratingRow | None:
        reaching = [
            d
            for d in self.derating
            if d.quantity == quantity
            and d.low * (1 - 1e-9) <= full_scale <= d.high * (1 + 1e-9)
            and d.aperture_s <= aperture_s * (1 + 1e-9)
        ]
        return max(reaching, key=lambda d: d.aperture_s, default=None)


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b))
