"""The figures that a use case asks for, out of those that a run and an accuracy run have given. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from labd.accuracy.score import best
from labd.accuracy.session import Done
from labd.kpi.share import Z95, wilson
from labd.kpi.targets import Conformity, Target, conformity
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.search.use_case import UseCase
from labd.search.waiting import LARGEST_LOAD, Part, Served, answered

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
SEED = 1  # of the arrivals that are played: the same for all candidates, so that chance does not choose among them

Series = Mapping[tuple[str, str], Sequence[float]]  # by operating point and KPI, one value an event


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


def measured(use_case: UseCase, records: Sequence[KpiRecord], point: OperatingPoint, series: Series) -> dict[str, KpiRecord]:
    """Energy, power and latency at the rate of the events, of the records of a run and of its values event by event."""
    of = {record.id: record for record in records if record.at == point.key}
    found = {
        "energy_per_inference": of.get(f"energy_per_inference.{use_case.targets.energy_kind}"),
        "mean_power": of.get("power.mean"),
        "latency": latency(use_case, records, point, series),
        "largest_rate": next((one for one in records if one.id == "largest_rate" and one.at.startswith(str(point.mode))), None),
    }
    return {name: record for name, record in found.items() if record is not None}


def latency(use_case: UseCase, records: Sequence[KpiRecord], point: OperatingPoint, series: Series) -> KpiRecord | None:
    """From event to result: in an event mode the wake-up comes before the inference, and by chance another event. What is asked for is one
    quantile of the sum, out of the values of the parts event by event."""
    quantile = use_case.targets.latency_quantile
    here = {record.id: record for record in records if record.at == point.key}
    by = next((by for by in ("latency.pin", "latency.dut_counter") if f"{by}.{quantile}" in here), None)
    if by is None:
        return None
    infer = here[f"{by}.{quantile}"]
    wakes = point.mode is not Mode.ALWAYS_ON
    if infer.value is None or not (wakes or use_case.poisson):
        return infer
    parts = [(here.get(f"{by}.mean"), series.get((point.key, by)))]
    if wakes:
        woken = _wake_up(records, point)
        if woken is None:
            return _withheld(infer, "wake-up not measured")
        parts.append((woken, series.get((woken.at, woken.id))))
    known = [(record, values) for record, values in parts if record is not None and values]
    if len(known) < len(parts):
        return _withheld(infer, "not measured event by event")
    duty = here.get("duty_cycle") if use_case.poisson else None
    if use_case.poisson and (duty is None or duty.value is None or not 0 < duty.value <= LARGEST_LOAD):
        return _withheld(infer, "cannot keep up with Poisson events")
    return _of_the_sum(use_case, infer, known, duty)


def _withheld(record: KpiRecord, why: str) -> KpiRecord:
    return replace(record, value=None, u=None, low=None, high=None, flags=(*record.flags, why))


def _wake_up(records: Sequence[KpiRecord], point: OperatingPoint) -> KpiRecord | None:
    """Of the run's event captures, which have a rate of their own."""
    return next(
        (one for one in records if one.id == "wake_up.total" and one.value is not None and one.at.startswith(f"{point.mode}/")), None
    )


def _of_the_sum(
    use_case: UseCase, infer: KpiRecord, parts: Sequence[tuple[KpiRecord, Sequence[float]]], duty: KpiRecord | None
) -> KpiRecord:
    """duty: of a queue, None where nothing waits. Without an interval where a part has none."""
    quantile, rate_hz = use_case.targets.latency_quantile, use_case.rate_hz
    used = [record for record, _ in parts] + ([duty] if duty is not None else [])
    busy_s, u_busy_s = (0.0, 0.0) if duty is None else ((duty.value or 0.0) / rate_hz, (duty.u or 0.0) / rate_hz)
    served = Served(tuple(Part(tuple(values), record.u or 0.0) for record, values in parts), busy_s, u_busy_s)
    found = answered(served, rate_hz=None if duty is None else rate_hz, share=QUANTILES.get(quantile), seed=SEED)
    whole = all(record.u is not None for record in (infer, *used))
    queue = [] if duty is None else [f"waiting for others at {rate_hz:g} /s"]
    return replace(
        infer,
        id=f"latency.from_event.{quantile}",
        value=found.value,
        low=found.low if whole else None,
        high=found.high if whole else None,
        u=found.u if whole else None,
        method="events played, bootstrap",
        captures=tuple(dict.fromkeys(key for record in used for key in record.captures)),
        budget=(),
        flags=tuple(dict.fromkeys(flag for record in used for flag in record.flags)),
        note=f"{quantile} of the sum of {' + '.join([record.id.removesuffix('.mean') for record, _ in parts] + queue)}",
    )
