"""A stored run as sides of a comparison: one for each model, supply and setting that it measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from labd.analyse.accuracy import accuracies
from labd.analyse.curves import Figures, keys
from labd.analyse.disclosure import told_of
from labd.analyse.instruments import acquisition_of
from labd.analyse.report import build, composed
from labd.analyse.run import setup_of
from labd.analyse.setup import AnalysisSetup
from labd.analyse.wording import said, section
from labd.cards.comparison import FairComparison, compare
from labd.cards.side import Conditions, Figure, FigurePlace, FirstInference, Scored, Side, Specimen, Taken, TargetAnswer
from labd.errors import FileError, StoreError
from labd.kpi.inputs import Detector
from labd.records import CaptureState, KpiRecord, Mode, OperatingPoint, Phase, Provenance, Role, Window
from labd.report.catalogue import curve_label
from labd.report.data import RunReport
from labd.report.targets import best_curve, figure_of, limit_text, percent, target_answers
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow, RunRow

COUNTS = (("parameters", "1"), ("macs", "1"), ("synops", "1"), ("spikes", "1"), ("neurons", "1"), ("footprint", "By"))
_AS_RECORD = {"footprint": "model.footprint"}
FEWEST = 4  # inferences of a capture that the first is held against


def sides_of(catalogue: Catalogue, run_id: str) -> list[Side]:
    """By its stored figures and cards, named after the run, and what tells one from the other. run_id: as every command takes it. Raises
    NotFound."""
    run = catalogue.runs.get(run_id)
    rows = catalogue.captures.of(run.id)
    stored = catalogue.kpis.of(run.id)
    figures = Figures.of(stored)
    captured = [row.point for row in rows]
    setup = _setup(run)
    points = list({p.key: p for p in [*captured, *composed(captured, figures, setup.rates_hz if setup else ())]}.values())
    by_key = keys(points)
    groups: dict[tuple[str, float, tuple[tuple[str, str], ...]], list[OperatingPoint]] = {}
    for point in points:
        groups.setdefault((point.model, point.supply_v, tuple(sorted(point.settings.items()))), []).append(point)
    report = build(run, rows, stored, analysis=None)
    found = []
    for (model, supply_v, settings), own in groups.items():
        mine = [row for row in rows if row.point in own]
        places = _places(own, by_key, figures)
        tasks = accuracies(catalogue.folder, _board(run), {model}, run.tags)
        task = [record for one in tasks for record in one.kpis]
        records = [*figures.first.values(), *task]
        curves = {by_key[point.key] for point in own}
        side = Side(
            name=run.id,
            run=run.id,
            board=_board(run),
            model=model,
            conditions=_conditions(run, supply_v, setup),
            settings=dict(settings),
            cards={**run.cards, "model": section(run.cards, "model", model)},
            use_case=str(_plan(run).get("use_case") or ""),
            **_input(run),
            scored=next((Scored(one.dataset, one.dataset_sha256, one.samples) for one in tasks), None),
            untold=_untold(run, rows, model),
            warm_up=section(_plan(run), "captures").get("warm_up_inferences"),
            first=tuple(_first(catalogue, mine)),
            detector=setup.detector if setup else Detector(),
            battery=setup.battery if setup else None,
            harvester=setup.harvester if setup else None,
            taken=tuple(_taken(mine)),
            lost=tuple(_lost(catalogue, mine)),
            ended=str(run.state),
            firmware_sha256=run.firmware_sha256,
            labd=run.versions.get("labd", ""),
            figures=tuple(_figures(records, places, run, model)),
        )
        found.append(replace(side, targets=tuple(_answered(replace(report, kpis=(*report.kpis, *task)), curves))))
    return found


def _answered(report: RunReport, curves: set[str]) -> Iterator[TargetAnswer]:
    """Each target of the use case by the one of these curves that does best."""
    for item in best_curve([item for item in target_answers(report) if item.curve in curves]):
        known = f": {figure_of(item)}" if item.record is not None and item.record.value is not None else ""
        note = "; ".join(part for part in (item.note, item.conformity.why) if part)
        sure = f", {percent(item.conformity.chance)} say that it is met" if item.conformity.chance is not None else ""
        said = (
            f"{item.target.name} of {limit_text(item.target)}, {curve_label(report, item.curve)}{known}{f' ({note})' if note else ''}{sure}"
        )
        yield TargetAnswer(item.asked, item.conformity.answer, said)


def compare_runs(catalogue: Catalogue, runs: Sequence[str], *, models: Sequence[str] = (), supply_v: float | None = None) -> FairComparison:
    """Of the sides of these runs, named A, B, C ... in their order; models, supply_v: of these alone. Raises NotFound, and FileError where
    that leaves fewer than two."""
    every = [side for run in dict.fromkeys(catalogue.runs.get(one).id for one in runs) for side in sides_of(catalogue, run)]
    sides = [side for side in every if side.model in (models or (side.model,)) and supply_v in (None, side.conditions.supply_v)]
    if len(sides) < 2:
        raise FileError("compare", "", _too_few(every, sides, models, supply_v))
    return compare([replace(side, name=_letters(number)) for number, side in enumerate(sides)])


def _too_few(every: Sequence[Side], sides: Sequence[Side], models: Sequence[str], supply_v: float | None) -> str:
    """What there is, and what a second side may be."""
    known, left = (", ".join(dict.fromkeys(_in_words(side) for side in some)) for some in (every, sides))
    asked = [f"model {one}" for one in models] + ([] if supply_v is None else [f"{supply_v:g} V"])
    if len(every) > 1:
        of_it = f"what is asked for ({', '.join(asked)}) leaves {left or 'none'}: ask for less, or name more runs"
        return f"two sides or more are compared; of {known}, {of_it}"
    there = f"there is one: {known}" if known else "these runs have no capture"
    return (
        f"two sides or more are compared, and {there}; a side is a model at one supply in a run: name another run as well "
        "(`labd runs` lists them), or one run that measured several models or supplies"
    )


def _in_words(side: Side) -> str:
    return f"{side.model} at {side.conditions.supply_v:g} V (run {side.run})"


def _letters(number: int) -> str:
    before, last = divmod(number, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _places(own: Sequence[OperatingPoint], by_key: Mapping[str, str], figures: Figures) -> dict[str, FigurePlace]:
    """Where a record's `at` lies, of those that are this side's: points, curves, pairs of curves, and lives at a rate."""
    found = {point.key: FigurePlace((point.mode,), point.rate_hz) for point in own}
    curves = {by_key[point.key]: point.mode for point in own}
    found |= {curve: FigurePlace((mode,)) for curve, mode in curves.items()}
    for (first, a), (second, b) in combinations(sorted(curves.items(), key=lambda one: list(Mode).index(one[1])), 2):
        found[f"{first.partition('/')[0]}|{second}"] = FigurePlace((a, b))
    for _, at in figures.first:
        curve, _, rate = at.rpartition("/r=")
        if curve in curves and at not in found:
            found[at] = FigurePlace((curves[curve],), float(rate))
    found[own[0].model] = FigurePlace()
    return found


def _figures(records: Iterable[KpiRecord], places: Mapping[str, FigurePlace], run: RunRow, model: str) -> Iterator[Figure]:
    """Those of this side; counts and figures of its cards where nothing was measured."""
    have: set[tuple[str, FigurePlace]] = set()
    for record in records:
        place = places.get(record.at)
        if place is not None and (record.id, place) not in have:
            have.add((record.id, place))
            yield Figure(place, record)
    card = section(run.cards, "model", model)
    for record in (*_counts(card, model), *_given(card, model), *_given(section(run.cards, "hardware"), model)):
        if (record.id, FigurePlace()) not in have:
            have.add((record.id, FigurePlace()))
            yield Figure(FigurePlace(), record)


def _counts(card: Mapping[str, Any], model: str) -> Iterator[KpiRecord]:
    """What a model card says of its size: without uncertainty, as far as the card is right."""
    for key, unit in COUNTS:
        if (value := card.get(key)) is not None:
            yield _declared(_AS_RECORD.get(key, f"model.{key}"), model, float(value), unit, "model card")


def _given(card: Mapping[str, Any], model: str) -> Iterator[KpiRecord]:
    """Figures of somebody else."""
    for one in card.get("given", ()):
        if one.get("value") is not None and one.get("model") in ("", None, model, card.get("name")):
            found = _declared(str(one["id"]), model, float(one["value"]), str(one["unit"]), str(one.get("source", "")))
            yield replace(found, u=one.get("u"), provenance=Provenance(str(one.get("provenance", "declared"))))


def _declared(kpi: str, at: str, value: float, unit: str, source: str) -> KpiRecord:
    return KpiRecord(kpi, at, value, unit, None, None, None, 0, Provenance.DECLARED, source)


def _conditions(run: RunRow, supply_v: float, setup: AnalysisSetup | None) -> Conditions:
    board = section(run.bench_effective, "board", "board")
    here = section(_plan(run), "conditions", "temperature") or section(run.bench_effective, "bench", "ambient")
    return Conditions(
        supply_v=supply_v,
        nominal_v=section(board, "supply").get("value"),
        ambient_c=here.get("value"),
        ambient_half_width_k=float(here.get("half_width") or 0.0),
        regulator=said(board.get("regulator")),
        idle_kind=str(_plan(run).get("idle_kind") or ""),
        fed_back=tuple(_fed_back(run)),
        flags=setup.flags if setup else (),
        instruments=tuple(_specimens(run)),
    )


def _specimens(run: RunRow) -> Iterator[Specimen]:
    declared = section(run.bench_effective, "bench", "instruments")
    for name, one in run.instruments.items():
        identity = section(one, "identity")
        model = f"{said(identity.get('maker'))} {said(identity.get('model'))}".strip()
        calibrated = said(section(declared, name).get("calibrated"))
        yield Specimen(name, tuple(one.get("roles", ())), model, said(identity.get("serial")), calibrated, bool(one.get("virtual")))


def _fed_back(run: RunRow) -> Iterator[str]:
    """Links whose lines into the board are driven while nothing isolates them."""
    for name, link in section(run.bench_effective, "bench", "links").items():
        if link.get("tx_idle") == "driven" and link.get("isolation") == "none":
            yield f"link {name}"


def _input(run: RunRow) -> dict[str, Any]:
    """What every inference is given: labd's firmware makes it, stock firmware is loaded with a file or zeros."""
    plan = _plan(run)
    if section(run.bench_effective, "board", "board").get("firmware") != "labd":
        return {"input": said(section(plan, "windows").get("input")) or "zero bytes"}
    return {"activity": section(plan, "activity").get("value")}


def _untold(run: RunRow, rows: Sequence[CaptureRow], model: str) -> dict[str, tuple[str, ...]]:
    """By card, what the paper asks for and nobody tells."""
    found: dict[str, tuple[str, ...]] = {}
    for one in told_of(run, rows, (model,)):
        if one.missing:
            found[one.asked.card] = (*found.get(one.asked.card, ()), f"{one.asked.item} ({one.where})")
    return found


def _taken(rows: Sequence[CaptureRow]) -> Iterator[Taken]:
    for row in rows:
        taken = acquisition_of(row)
        if row.state is CaptureState.FINISHED and taken is not None:
            place = FigurePlace((row.point.mode,), row.point.rate_hz)
            yield Taken(row.key, place, row.samples * taken.dt_ns * 1e-9, str(row.plan.get("marks") or ""))


def _lost(catalogue: Catalogue, rows: Sequence[CaptureRow]) -> Iterator[str]:
    """Captures that are not there, and those whose trace is not."""
    for row in rows:
        if row.state is not CaptureState.FINISHED:
            yield f"{row.key} ({row.state})"
        elif not row.trace or not catalogue.trace_path(row).exists():
            yield f"{row.key} (no trace)"


def _first(catalogue: Catalogue, rows: Sequence[CaptureRow]) -> Iterator[FirstInference]:
    """Of each mean capture, whose inferences follow each other."""
    for row in rows:
        if row.role is not Role.MEAN or row.state is not CaptureState.FINISHED:
            continue
        windows = [one for one in catalogue.captures.windows(row.run_id, row.key) if one.phase is Phase.INFER]
        windows.sort(key=lambda one: (one.stretch, one.start_s))
        if len(windows) >= FEWEST:
            yield _first_of(windows, FigurePlace((row.point.mode,), row.point.rate_hz))


def _first_of(windows: Sequence[Window], place: FigurePlace) -> FirstInference:
    first, *others = (one.length_s for one in windows)
    median = statistics.median(others)
    deviation = statistics.median(abs(one - median) for one in others)
    u = max((one.u_start_s**2 + one.u_end_s**2) ** 0.5 for one in windows)
    return FirstInference(place, first, median, deviation, u)


def _board(run: RunRow) -> str:
    return str(section(run.bench_effective, "board", "board").get("name") or run.bench_name)


def _plan(run: RunRow) -> Mapping[str, Any]:
    return section(run.plan_expanded, "plan", "plan")


def _setup(run: RunRow) -> AnalysisSetup | None:
    try:
        return setup_of(run)
    except StoreError:
        return None
