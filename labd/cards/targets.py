"""Whether a side meets the targets of its use case, by `labd.kpi.targets`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labd.cards.side import Side, TargetAnswer
from labd.kpi.targets import Answer, Target, conformity
from labd.records import KpiRecord

SAME_RATE = 0.01  # of it: what a board makes of a rate that was asked for


def answers(side: Side) -> Iterator[TargetAnswer]:
    """One for each target that the use case has. Of several modes the one that does best counts: a board may choose how it waits."""
    targets = side.card("use_case").get("targets") or {}
    rate = _si((side.card("use_case").get("events") or {}).get("rate"))
    if (least := _si(targets.get("accuracy"))) is not None:
        kpi = f"task.{str(targets.get('accuracy_metric') or 'accuracy').removeprefix('task.')}"
        yield _answer("accuracy", f"{kpi} of at least {least:g}", [one.record for one in side.of(kpi)], least=least)
    if (most := _si(targets.get("energy_per_inference"))) is not None:
        kind = str(targets.get("energy_kind") or "at_rate")
        records = _at(side, f"energy_per_inference.{kind}", rate, also_alone=kind != "at_rate")
        yield _answer("energy_per_inference", f"{kind.replace('_', ' ')}, at most {most:g} J{_at_rate(rate)}", records, most=most)
    if (most := _si(targets.get("mean_power"))) is not None:
        yield _answer("mean_power", f"mean power of at most {most:g} W{_at_rate(rate)}", _at(side, "power.mean", rate), most=most)
    if (most := _si(targets.get("latency"))) is not None:
        quantile = str(targets.get("latency_quantile") or "p95")
        records = [one.record for way in ("pin", "dut_counter", "host") for one in side.of(f"latency.{way}.{quantile}")]
        yield _answer("latency", f"{quantile} of at most {most:g} s", records, most=most)
    if (most := _si(targets.get("memory"))) is not None:
        size = side.said("model", "footprint")
        fits = None if size is None else float(size) <= most
        answer = Answer.UNKNOWN if fits is None else Answer.MET if fits else Answer.MISSED
        against = "the model card tells no footprint" if size is None else f"{float(size):g} bytes by the model card"
        yield TargetAnswer("memory", answer, f"memory of at most {most:g} bytes: {against}")


def _at(side: Side, kpi: str, rate_hz: float | None, *, also_alone: bool = False) -> list[KpiRecord]:
    """At the rate of the use case; also_alone: of events apart from any rate, where there are none at it."""
    figures = side.of(kpi)
    here = [
        one.record
        for one in figures
        if rate_hz is not None and one.place.rate_hz is not None and abs(one.place.rate_hz - rate_hz) <= SAME_RATE * rate_hz
    ]
    return here or [one.record for one in figures if also_alone or (rate_hz is None and kpi != "power.mean")]


def _answer(
    target: str, asked: str, records: Sequence[KpiRecord], *, least: float | None = None, most: float | None = None
) -> TargetAnswer:
    limit = least if least is not None else most
    assert limit is not None  # one of both is given
    wanted = Target(target, limit, records[0].unit if records else "1", least=least is not None)
    known = [(found.chance, found, record) for record in records if (found := conformity(record, wanted)).chance is not None]
    if not known:
        return TargetAnswer(target, Answer.UNKNOWN, f"{asked}: no figure with an interval")
    chance, found, record = max(known, key=lambda one: one[0] or 0.0)
    span = f"95 % from {record.low:.4g} to {record.high:.4g}, " if record.low is not None and record.high is not None else ""
    return TargetAnswer(target, found.answer, f"{asked}: {span}{100 * (chance or 0.0):.3g} % say that it is met")


def _at_rate(rate_hz: float | None) -> str:
    return "" if rate_hz is None else f" at {rate_hz:g} /s"


def _si(value: Any) -> float | None:
    """Of a stored quantity or a plain number."""
    found = value.get("value") if isinstance(value, dict) else value
    return float(found) if isinstance(found, int | float) else None
