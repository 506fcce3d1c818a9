"""Curves of mean power over rate of stored runs, to hold boards against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labd.analyse.curves import Figures, curves
from labd.analyse.entries import named
from labd.analyse.report import composed, ordered
from labd.analyse.run import setup_of
from labd.analyse.wording import said, section
from labd.errors import StoreError
from labd.kpi.across import StoredLine, covariance_of
from labd.kpi.inputs import Detector
from labd.records import OperatingPoint
from labd.report.boards import BoardCurve
from labd.report.catalogue import MODES, setting
from labd.report.data import RateCurve, curve_key
from labd.store.catalogue import Catalogue
from labd.store.rows import RunRow


def board_curves(catalogue: Catalogue, run_ids: Sequence[str]) -> list[BoardCurve]:
    """Every curve of the runs by their stored figures. Raises NotFound."""
    found = []
    for number, (run, name) in enumerate(named(catalogue, run_ids)):
        found += _curves_of(catalogue, run, number, name)
    return found


def _curves_of(catalogue: Catalogue, run: RunRow, number: int, name: str) -> list[BoardCurve]:
    figures = Figures.of(catalogue.kpis.of(run.id))
    try:
        setup = setup_of(run)
        detector, rates = setup.detector, setup.rates_hz
    except StoreError:
        detector, rates = Detector(), ()
    captured = [row.point for row in catalogue.captures.of(run.id)]
    points = ordered([*captured, *composed(captured, figures, rates)])
    specimens = {one: _specimen(run, one) for one in run.instruments}
    found = []
    for curve in (_with_covariance(one) for one in curves(points, figures, ()) if one.points):
        own = next(p for p in points if curve.key in (curve_key(p), str(p.mode)))
        label = f"{name}, {own.model}, {MODES[curve.mode]}{_varied(own, points)}"
        found.append(BoardCurve(number, label, curve, _line(run.id, curve, specimens, detector)))
    return found


def _with_covariance(curve: RateCurve) -> RateCurve:
    """As the budgets of both figures tell it: nothing is analysed again."""
    if curve.fit is None:
        return curve
    return replace(curve, fit=replace(curve.fit, covariance_wj=covariance_of(curve.fit.floor, curve.fit.incremental)))


def _line(run_id: str, curve: RateCurve, specimens: dict[str, str], detector: Detector) -> StoredLine | None:
    fit = curve.fit
    if fit is None:
        return None
    return StoredLine(run_id, curve.mode, fit.floor, fit.incremental, curve.r_max_hz, fit.rate_high_hz, specimens, detector)


def _specimen(run: RunRow, name: str) -> str:
    """Which instrument it is, as last adjusted, wherever it is used; a virtual one, or one without serial number or date of calibration, is
    one of this run alone."""
    identity = section(run.instruments, name, "identity")
    serial = said(identity.get("serial"))
    calibrated = said(section(run.bench_effective, "bench", "instruments", name).get("calibrated"))
    if not serial or not calibrated or section(run.instruments, name).get("virtual"):
        return f"{run.id} {name}"
    return f"{said(identity.get('maker'))} {said(identity.get('model'))} {serial} {calibrated}"


def _varied(own: OperatingPoint, points: Sequence[OperatingPoint]) -> str:
    parts = [f"{own.supply_v:g} V"] if len({p.supply_v for p in points}) > 1 else []
    parts += [setting(key, value) for key, value in sorted(own.settings.items()) if len({p.settings.get(key) for p in points}) > 1]
    return "".join(f", {part}" for part in parts)
