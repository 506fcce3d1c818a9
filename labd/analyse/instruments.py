"""The instruments of a run as the report prints them: identity, wiring, ranges used and the accuracy that held there."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labd.analyse.wording import fraction, quantity_text, said, section
from labd.errors import StoreError
from labd.report.data import AccuracyRow, InstrumentFacts
from labd.store.jsonform import from_json
from labd.store.rows import CaptureRow, RunRow
from labd_instruments.accuracy import AccuracyTable, LimitOfError, Quantity
from labd_instruments.contract import Acquisition

UNKNOWN = "unknown"
_UNITS: dict[Quantity, str] = {"current": "A", "voltage": "V", "power": "W"}


@dataclass(frozen=True, slots=True, order=True)
class RangeUse:
    """One range at one aperture (s) that captures of a run were made with."""

    quantity: Quantity
    full_scale: float
    aperture_s: float


def acquisition_of(row: CaptureRow) -> Acquisition | None:
    """What the instrument delivered; None where the capture did not get that far, or was stored by a labd with other keys."""
    stored = row.acquisition.get("acquisition")
    try:
        return None if stored is None else from_json(Acquisition, stored)
    except StoreError:
        return None


def instruments(run: RunRow, captures: Sequence[CaptureRow]) -> tuple[InstrumentFacts, ...]:
    """Those that were opened, else those of the bench file (a run that failed before)."""
    declared = section(run.bench_effective, "bench", "instruments")
    names = dict.fromkeys((*run.instruments, *declared))
    return tuple(instrument(name, section(run.instruments, name), section(declared, name), uses(name, captures)) for name in names)


def uses(name: str, captures: Iterable[CaptureRow]) -> tuple[RangeUse, ...]:
    """Every range that a capture with this instrument was made with, ascending."""
    found: set[RangeUse] = set()
    for row in captures:
        taken = acquisition_of(row) if row.plan.get("instrument") == name else None
        if taken is None:
            continue
        scales = taken.ranges_a if taken.seamless else (taken.current_range_a,)
        found |= {RangeUse("current", scale, taken.aperture_s) for scale in scales if scale is not None}
        if taken.voltage_range_v is not None:
            found.add(RangeUse("voltage", taken.voltage_range_v, taken.aperture_s))
    return tuple(sorted(found))


def instrument(name: str, opened: Mapping[str, Any], declared: Mapping[str, Any], used: Sequence[RangeUse]) -> InstrumentFacts:
    identity = section(opened, "identity")
    return InstrumentFacts(
        name=name,
        roles=tuple(opened.get("roles") or declared.get("roles") or ()),
        driver=said(opened.get("driver") or declared.get("driver")),
        maker=said(identity.get("maker")),
        model=said(identity.get("model")),
        serial=said(identity.get("serial")),
        firmware=said(identity.get("firmware")),
        options=tuple(identity.get("options", ())),
        evidence=said(opened.get("evidence")),
        resource=said(opened.get("resource") or declared.get("resource")),
        virtual=bool(opened.get("virtual") or declared.get("virtual")),
        calibrated=said(declared.get("calibrated")),
        calibration_due=said(declared.get("calibration_due")),
        warm=said(declared.get("warm")),
        sense=said(declared.get("sense")),
        lead_resistance=said(declared.get("lead_resistance")),
        off_assurance=said(opened.get("off_assurance")),
        ranges=tuple(dict.fromkeys(quantity_text(use.full_scale, _UNITS[use.quantity]) for use in used)),
        accuracy=accuracy(opened, used),
        self_test=self_test(name, section(opened, "self_test")),
    )


def self_test(name: str, tested: Mapping[str, Any]) -> str:
    """In one line: when, how many of its tests passed, and what of this instrument was measured."""
    findings = [one for one in tested.get("findings") or () if isinstance(one, dict)]
    if not findings:
        return ""
    at = datetime.datetime.fromtimestamp(int(tested["utc_ns"]) * 1e-9, datetime.UTC)
    judged = [one for one in findings if one.get("ok") is not None]
    passed = sum(one["ok"] is True for one in judged)
    of_it = [one for one in findings if one.get("of") == name]
    failed = [f"failed: {one['what']}: {one['text']}" for one in judged if not one["ok"]]
    measured = [
        f"{one['what'].removeprefix(f'{name} ')}: {one['text'].removeprefix(f'{name} ')}" for one in of_it if one["ok"] is not False
    ]
    return "; ".join([f"{at:%Y-%m-%d %H:%M} UTC, {passed} of {len(judged)} tests passed", *failed, *measured])


def accuracy(opened: Mapping[str, Any], used: Sequence[RangeUse]) -> tuple[AccuracyRow, ...]:
    """The limits of error at the ranges and apertures used; those without a document are printed as unknown."""
    if "accuracy" not in opened:
        return ()
    table = from_json(AccuracyTable, opened["accuracy"])
    rows: dict[AccuracyRow, None] = {}
    for use in used:
        limit = table.limit(use.quantity, use.full_scale, use.aperture_s)
        rows[_row(use, limit)] = None
    if table.timebase is not None:
        rows[AccuracyRow("timebase", "—", fraction(table.timebase), "—", table.timebase_source, "—")] = None
    return tuple(rows)


def _row(use: RangeUse, limit: LimitOfError | None) -> AccuracyRow:
    unit = _UNITS[use.quantity]
    scale = quantity_text(use.full_scale, unit)
    if limit is None:
        return AccuracyRow(use.quantity, scale, UNKNOWN, UNKNOWN, "", quantity_text(use.aperture_s, "s"))
    aperture = quantity_text(limit.aperture_s, "s") if limit.aperture_s else "any"
    return AccuracyRow(use.quantity, scale, fraction(limit.gain), quantity_text(limit.offset, unit), limit.source, aperture)
