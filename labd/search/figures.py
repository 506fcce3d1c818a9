"""The figures that a use case asks for, out of those that a run and an accuracy run have given. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from labd.accuracy.score import best
from labd.accuracy.session import Done
from labd.kpi.share import Z95, wilson
from labd.kpi.targets import Conformity, Target, conformity
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.search.use_case import UseCase
from labd.search.waiting import LARGEST_LOAD, waiting_mean, waiting_quantile

LESS_IS_BETTER = {
    "energy_per_inference": True,
    "mean_power": True,
    "latency": True,
    "memory": True,
    "accuracy": False,
    "largest_rate": False,
}
UNITS = {"energy_per_inference": "J", "mean_power": "W", "latency": "s", "memory": "By", "accuracy": "1", "largest_rate": "Hz"}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def targets(use_case: UseCase) -> dict[str, Target]:
    """By objective, those that it gives."""
    return {
        name: Target(
            f"{'max' if LESS_IS_BETTER[name] else 'min'} {name.replace('_', ' ')}", limit, UNITS[name], least=not LESS_IS_BETTER[name]
        )
        for name, limit in use_case.limits.items()
    }


def answers(use_case: UseCase, figures: Mapping[str, KpiRecord]) -> dict[str, Conformity]:
    """Each target, with the confidence that its figure allows."""
    return {name: conformity(figures.get(name), target) for name, target in targets(use_case).items()}


def violations(use_case: UseCase, figures: Mapping[str, KpiRecord]) -> dict[str, float]:
    """Of what has a value: how far beyond its target it is, as a share of that; at most 0 where it is met."""
    found = {}
    for name, target in targets(use_case).items():
        record = figures.get(name)
        if record is not None and record.value is not None:
            found[name] = (target.limit - record.value if target.least else record.value - target.limit) / abs(target.limit or 1.0)
    return found


def memory(size_bytes: int, model: str, *, of: str) -> KpiRecord:
    """As its builder counted it: a count has no uncertainty."""
    size = float(size_bytes)
    return KpiRecord(
        "model.memory", model, size, "By", 0.0, size, size, 1, Provenance.COMPUTED, f"builder's count, flash and RAM, of the {of}"
    )


def accuracy(use_case: UseCase, records: Sequence[KpiRecord], model: str) -> KpiRecord | None:
    """The metric that the use case names, of all records of an accuracy run."""
    name = f"task.{use_case.targets.accuracy_metric}"
    return next((record for record in records if record.id == name and record.at == model), None)


def share_right(use_case: UseCase, done: Sequence[Done], model: str) -> KpiRecord | None:
    """The same of a first part, where top-1 accuracy is what is asked for, else None: all the other task figures take seconds."""
    known = [one for one in done if one.label is not None]
    if use_case.targets.accuracy_metric != "accuracy" or not known or len(known[0].prediction.scores) < 2:
        return None
    right = sum(best(one.prediction.scores) == one.label for one in known)
    (low, high), n = wilson(right, len(known)), len(known)
    return KpiRecord("task.accuracy", model, right / n, "1", (high - low) / (2 * Z95), low, high, n, Provenance.MEASURED, "Wilson")


def measured(use_case: UseCase, records: Sequence[KpiRecord], point: OperatingPoint) -> dict[str, KpiRecord]:
    """Energy, power and latency at the rate of the events, of the records of a run."""
    of = {record.id: record for record in records if record.at == point.key}
    found = {
        "energy_per_inference": of.get(f"energy_per_inference.{use_case.targets.energy_kind}"),
        "mean_power": of.get("power.mean"),
        "latency": latency(use_case, records, point),
        "largest_rate": next((one for one in records if one.id == "largest_rate" and one.at.startswith(str(point.mode))), None),
    }
    return {name: record for name, record in found.items() if record is not None}


def latency(use_case: UseCase, records: Sequence[KpiRecord], point: OperatingPoint) -> KpiRecord | None:
    """From event to result: in an event mode the wake-up comes before the inference, and by chance another event. Quantiles of parts that
    are independent add up to at least the quantile of their sum."""
    quantile = use_case.targets.latency_quantile
    here = {record.id: record for record in records if record.at == point.key}
    infer = next((one for by in ("pin", "dut_counter") if (one := here.get(f"latency.{by}.{quantile}")) is not None), None)
    if infer is None or infer.value is None:
        return infer
    parts = [infer]
    if point.mode is not Mode.ALWAYS_ON:
        woken = _wake_up(records, point)
        if woken is None:
            return _withheld(infer, "wake-up not measured")
        parts.append(woken)
    if use_case.poisson:
        queued = _waiting(use_case, here, quantile)
        if queued is None:
            return _withheld(infer, "cannot keep up with Poisson events")
        parts.append(queued)
    return _sum(f"latency.from_event.{quantile}", parts)


def _withheld(record: KpiRecord, why: str) -> KpiRecord:
    return replace(record, value=None, u=None, low=None, high=None, flags=(*record.flags, why))


def _wake_up(records: Sequence[KpiRecord], point: OperatingPoint) -> KpiRecord | None:
    """Of the run's event captures, which have a rate of their own."""
    return next(
        (one for one in records if one.id == "wake_up.total" and one.value is not None and one.at.startswith(f"{point.mode}/")), None
    )


def _waiting(use_case: UseCase, here: Mapping[str, KpiRecord], quantile: str) -> KpiRecord | None:
    """None where the board is busy all the time, or nobody knows for how long."""
    duty = here.get("duty_cycle")
    if duty is None or duty.value is None or not 0 < duty.value <= LARGEST_LOAD:
        return None
    service_s = duty.value / use_case.rate_hz
    share = QUANTILES.get(quantile)
    value = (
        waiting_mean(service=service_s, load=duty.value) if share is None else waiting_quantile(share, service=service_s, load=duty.value)
    )
    relative = 0.0 if duty.u is None else duty.u / duty.value
    half = Z95 * relative * value / (1 - duty.value)
    name = f"M/D/1 waiting {quantile} at {use_case.rate_hz:g} /s"
    return replace(duty, id=name, value=value, unit="s", u=half / Z95, low=value - half, high=value + half, budget=())


def _sum(kpi: str, parts: Sequence[KpiRecord]) -> KpiRecord:
    """Of independent parts: half widths of their intervals in quadrature."""
    first = parts[0]
    note = " + ".join(part.id for part in parts)
    if len(parts) == 1:
        return first
    value = sum(part.value for part in parts if part.value is not None)
    low = high = u = None
    if all(part.u is not None and part.low is not None and part.high is not None for part in parts):
        low = value - math.hypot(*((part.value or 0.0) - (part.low or 0.0) for part in parts))
        high = value + math.hypot(*((part.high or 0.0) - (part.value or 0.0) for part in parts))
        u = math.hypot(*(part.u or 0.0 for part in parts))
    captures = tuple(dict.fromkeys(key for part in parts for key in part.captures))
    known = tuple(dict.fromkeys(flag for part in parts for flag in part.flags))
    return replace(first, id=kpi, value=value, low=low, high=high, u=u, captures=captures, budget=(), flags=known, note=note)
