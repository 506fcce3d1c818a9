"""The use case's targets, each answered for each mode and model of a run, with the confidence that the figures allow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labd.kpi.targets import Answer, Conformity, Target, conformity
from labd.records import KpiRecord, OperatingPoint, Provenance
from labd.report.catalogue import curve_label, rate_label
from labd.report.data import RateCurve, RunReport, curve_key
from labd.report.numbers import bounds, quantity, show, value_of, words
from labd.report.rate_line import on_line
from labd.report.tables import Table

EXTRAPOLATED = "outside the measured rates"
NO_RATE = "the use case does not tell how often something happens"
COVERAGE = 1.96


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """curve: key of the curve. record: the figure that answers, None where there is none. note: what to know of that figure. asked: key of
    the target in the use-case card."""

    curve: str
    model: str
    target: Target
    record: KpiRecord | None
    conformity: Conformity
    note: str = ""
    asked: str = ""


def target_answers(report: RunReport) -> tuple[TargetAnswer, ...]:
    """Each target of the run's use-case card for each curve; empty where it carries none, or one without targets."""
    card = _table(report.cards, "use_case")
    targets, events = _table(card, "targets"), _table(card, "events")
    found: list[TargetAnswer] = []
    for curve in report.curves:
        points = [p for p in report.points if curve.key in (curve_key(p), str(p.mode))]
        if points:
            found += _of_curve(report, curve, points, targets=targets, events=events)
    return tuple(found)


def _of_curve(
    report: RunReport, curve: RateCurve, points: Sequence[OperatingPoint], *, targets: Mapping[str, Any], events: Mapping[str, Any]
) -> Iterator[TargetAnswer]:
    model, rate = points[0].model, _si(events.get("rate"))

    def told(asked: str, target: Target, record: KpiRecord | None, answer: Conformity | None = None, note: str = "") -> TargetAnswer:
        return TargetAnswer(curve.key, model, target, record, answer or conformity(record, target), note, asked)

    if (limit := _si(targets.get("accuracy"))) is not None:
        metric = str(targets.get("accuracy_metric") or "accuracy").removeprefix("task.")
        record = report.find(model, f"task.{metric}", f"task.{metric}.macro")
        yield told("accuracy", Target(f"min {words(metric)}", limit, "1", least=True), record)
    if (limit := _si(targets.get("energy_per_inference"))) is not None:
        kind = str(targets.get("energy_kind") or "at_rate")
        target = Target(f"max energy per inference ({words(kind)})", limit, "J")
        if kind == "at_rate":
            power, why, note = _power(report, curve, points, rate)
            yield told("energy_per_inference", target, _per_inference(power, rate), _unknown(why), note)
        else:
            record, note = _nearest(report, points, rate, f"energy_per_inference.{kind}")
            yield told("energy_per_inference", target, record, note=note)
    if (limit := _si(targets.get("mean_power"))) is not None:
        power, why, note = _power(report, curve, points, rate)
        yield told("mean_power", Target("max mean power", limit, "W"), power, _unknown(why), note)
    if (limit := _si(targets.get("latency"))) is not None:
        quantile = str(targets.get("latency_quantile") or "p95")
        ids = [f"latency.{by}.{quantile}" for by in ("pin", "gpio", "dut_counter", "host")]
        record, note = _nearest(report, points, rate, *ids)
        yield told("latency", Target(f"max latency ({quantile})", limit, "s"), record, note=_with_wake_up(report, points, note))
    if (limit := _si(events.get("largest_rate"))) is not None:
        known = f"its largest rate of {quantity(curve.r_max_hz, '/s')} has no interval" if curve.r_max_hz else ""
        target = Target("min largest rate", limit, "Hz", least=True)
        yield told("largest_rate", target, curve.largest_rate, None if curve.largest_rate else _unknown(known))
    if (limit := _si(targets.get("memory"))) is not None:
        yield _memory(report, curve, model, limit)


def _memory(report: RunReport, curve: RateCurve, model: str, limit: float) -> TargetAnswer:
    """A count has no uncertainty; it holds as far as the card does."""
    target = Target("max memory", limit, "By")
    size = _si(_table(_table(report.cards, "model"), model).get("footprint"))
    if size is None:
        untold = Conformity(Answer.UNKNOWN, why="the model card tells no footprint")
        return TargetAnswer(curve.key, model, target, None, untold, asked="memory")
    record = KpiRecord("model.footprint", model, size, "By", None, None, None, 0, Provenance.DECLARED, "model card")
    answer = Answer.MET if target.met_by(size) else Answer.MISSED
    return TargetAnswer(curve.key, model, target, record, Conformity(answer, why="by the count on the model card"), asked="memory")


def _power(report: RunReport, curve: RateCurve, points: Sequence[OperatingPoint], rate: float | None) -> tuple[KpiRecord | None, str, str]:
    """Mean power at the use case's rate, with the detector of an event mode where its power is known; why there is none; and a note."""
    if rate is None or rate <= 0:
        return None, NO_RATE, ""
    if curve.r_max_hz is not None and rate > curve.r_max_hz:
        return None, f"it cannot serve {rate_label(rate)}: its largest rate is {quantity(curve.r_max_hz, '/s')}", ""
    at = next((p for p in points if math.isclose(p.rate_hz, rate, rel_tol=1e-6)), None)
    record, note = (report.find(at.key, "power.mean") if at else None), f"at {rate_label(rate)}"
    if (record is None or record.value is None) and curve.fit is not None and (line := on_line(curve, rate)) is not None:
        record = line
        note += ", on the straight line" + ("" if curve.fit.rate_low_hz <= rate <= curve.fit.rate_high_hz else f", {EXTRAPOLATED}")
    if record is None:
        return None, f"nothing was measured at {rate_label(rate)}, and no line was fitted", ""
    if not curve.mode.is_event or record.value is None:  # a figure that is withheld has no sum
        return record, "", note
    if report.detector.power is None:
        return record, "", f"{note}, no event detector included"
    return _with_detector(record, report, curve), "", f"{note}, event detector included"


def _with_detector(record: KpiRecord, report: RunReport, curve: RateCurve) -> KpiRecord:
    """P + P_detector + r_false E; independent of each other, so that half widths add in quadrature. record: with a value."""
    assert record.value is not None
    power, false = report.detector.power, report.detector.false_wake_rate
    slope = curve.fit.incremental.value if curve.fit and curve.fit.incremental.value is not None else 0.0
    parts = [(one, factor) for one, factor in ((power, 1.0), (false, slope)) if one is not None and one.value is not None]
    value = record.value + sum((one.value or 0.0) * factor for one, factor in parts)
    low, high = bounds(record)
    if low is None or high is None:
        return replace(record, value=value)
    half = math.hypot((high - low) / 2, *(((one.high or 0.0) - (one.low or 0.0)) / 2 * factor for one, factor in parts))
    return replace(record, value=value, u=half / COVERAGE, low=value - half, high=value + half, budget=())


def _per_inference(power: KpiRecord | None, rate: float | None) -> KpiRecord | None:
    if power is None or not rate:
        return None
    budget = tuple(replace(line, u=line.u / rate) for line in power.budget)
    value, u, low, high = (None if one is None else one / rate for one in (power.value, power.u, power.low, power.high))
    return replace(power, id="energy_per_inference.at_rate", unit="J", value=value, u=u, low=low, high=high, budget=budget)


def _nearest(report: RunReport, points: Sequence[OperatingPoint], rate: float | None, *ids: str) -> tuple[KpiRecord | None, str]:
    """Of the operating point nearest to the use case's rate that has a value for one of these."""

    def far(point: OperatingPoint) -> float:
        return abs(math.log(point.rate_hz / rate)) if rate and point.rate_hz > 0 else math.inf

    first: KpiRecord | None = None
    for point in sorted(points, key=lambda p: (far(p), -p.rate_hz)):
        record = report.find(point.key, *ids)
        first = first or record
        if record is not None and record.value is not None:
            return record, f"at {rate_label(point.rate_hz)}"
    return first, ""


def _with_wake_up(report: RunReport, points: Sequence[OperatingPoint], note: str) -> str:
    if not points[0].mode.is_event:
        return note
    found = [r for p in points if (r := report.find(p.key, "wake_up.total", "wake_up.current_rise_to_ready")) and r.value is not None]
    return "; ".join(part for part in (note, f"wake-up comes before it{f': {show(found[0])}' if found else ''}") if part)


def sentence(report: RunReport, item: TargetAnswer) -> str:
    """`event-sleep meets max energy per inference, at rate, of 2 mJ with 97 % confidence: 1.2 ± 0.1 mJ (at 2 /s).`"""
    found, target = item.conformity, item.target
    who, what = curve_label(report, item.curve), f"{target.name} of {limit_text(target)}"
    figure = f": {figure_of(item)}" if item.record is not None and value_of(item.record) is not None else ""
    note = f" ({item.note})" if item.note else ""
    match found.answer:
        case Answer.MET:
            return f"{who} meets {what}{_confidence(found.chance, found.why)}{figure}{note}."
        case Answer.MISSED:
            return f"{who} does not meet {what}{_confidence(None if found.chance is None else 1 - found.chance, found.why)}{figure}{note}."
        case Answer.OPEN:
            return f"Whether {who} meets {what} is open, {percent(found.chance or 0.0)} say yes{figure}{note}."
        case Answer.UNKNOWN:
            return f"Whether {who} meets {what} cannot be said: {found.why}{figure.replace(': ', '; ', 1)}{note}."


def answers_table(report: RunReport, answers: Sequence[TargetAnswer]) -> Table:
    """A line a target and curve."""
    rows = tuple(
        (
            curve_label(report, item.curve),
            item.target.name,
            limit_text(item.target),
            figure_of(item),
            str(item.conformity.answer),
            percent(item.conformity.chance) if item.conformity.chance is not None else "—",
            "; ".join(part for part in (item.conformity.why, item.note) if part),
        )
        for item in answers
    )
    use_case = str(_table(report.cards, "use_case").get("name", ""))
    caption = f"Targets of the use case {use_case}; met from 95 % confidence on (JCGM 106)"
    return Table(caption, ("Mode", "Target", "Limit", "Figure", "Answer", "Chance", "Note"), rows, frozenset({2, 3, 5}))


def together(answers: Sequence[TargetAnswer]) -> tuple[Answer, float | None]:
    """Of all targets of one curve: missed where one is; with the least chance that all are met (Bonferroni), None where one has none."""
    every = [item.conformity.answer for item in answers]
    if Answer.MISSED in every:
        return Answer.MISSED, None
    if Answer.UNKNOWN in every:
        return Answer.UNKNOWN, None
    least = 1 - sum(1 - item.conformity.chance for item in answers if item.conformity.chance is not None)
    return (Answer.OPEN if Answer.OPEN in every else Answer.MET), max(least, 0.0)


def best_curve(answers: Sequence[TargetAnswer]) -> tuple[TargetAnswer, ...]:
    """Those of the one curve that does best over all targets together: a board may choose how it waits, but not anew for each target."""
    merit = (Answer.MISSED, Answer.UNKNOWN, Answer.OPEN, Answer.MET)

    def does(curve: str) -> tuple[int, int, float]:
        mine = [item for item in answers if item.curve == curve]
        met = sum(item.conformity.answer is Answer.MET for item in mine)
        return merit.index(together(mine)[0]), met, sum(item.conformity.chance or 0.0 for item in mine)

    best = max(dict.fromkeys(item.curve for item in answers), key=does, default=None)
    return tuple(item for item in answers if item.curve == best)


def overall(report: RunReport, answers: Sequence[TargetAnswer]) -> list[str]:
    """One sentence a curve."""
    found = []
    for curve in dict.fromkeys(item.curve for item in answers):
        mine = [item for item in answers if item.curve == curve]
        answer, least = together(mine)
        name = curve_label(report, curve)
        failing = [item.target.name for item in mine if item.conformity.answer is answer]
        match answer:
            case Answer.MET:
                found.append(f"{name} meets every target{_confidence(least, '')}.")
            case Answer.MISSED:
                found.append(f"{name} does not meet {'; '.join(failing)}.")
            case Answer.OPEN:
                found.append(f"{name}: open is {'; '.join(failing)}.")
            case Answer.UNKNOWN:
                found.append(f"{name}: nothing can be said of {'; '.join(failing)}.")
    return found


def figure_of(item: TargetAnswer) -> str:
    record = item.record
    if record is not None and record.unit == "By" and record.value is not None:
        return f"{record.value:.10g} B"
    return show(record)


def percent(chance: float) -> str:
    """Rounded towards doubt: 99.97 % is `> 99.9 %`, 97.9 % is `97 %`."""
    if chance > 0.999:
        return "> 99.9 %"
    return "< 0.1 %" if chance < 0.001 else f"{100 * chance:.1f} %" if chance < 0.01 else f"{math.floor(100 * chance + 1e-9)} %"


def _confidence(chance: float | None, why: str) -> str:
    return f" with {percent(chance)} confidence" if chance is not None else f" {why}" if why else ""


def limit_text(target: Target) -> str:
    """As people read it."""
    if target.unit == "By":
        return f"{target.limit:.10g} B"
    return f"{100 * target.limit:.6g} %" if target.unit == "1" else quantity(target.limit, "/s" if target.unit == "Hz" else target.unit)


def _unknown(why: str) -> Conformity | None:
    return Conformity(Answer.UNKNOWN, why=why) if why else None


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}


def _si(value: Any) -> float | None:
    """A quantity as a card stores it, or a plain number."""
    if isinstance(value, Mapping):
        value = value.get("value")
    return None if value is None or isinstance(value, str) else float(value)
