"""How much work an inference was, by the device's own counters as they stood after each capture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labd.kpi.facts import Fact, ModelFacts
from labd.records import Provenance
from labd.store.rows import CaptureRow

SOURCE = "the device's own counters"
FIELDS = {"mac": "macs", "synop": "synops", "spike": "spikes", "neuron_update": "neuron_updates"}


def counted(rows: Sequence[CaptureRow]) -> dict[str, ModelFacts]:
    """Facts by model, of what the counters grew by from one capture of it to the next. rows: in the order they were made.

    A board that has restarted in between begins again from 0. Where a run knows one model only, what was counted before its first capture
    is of that model too.
    """
    alone = len({row.point.model for row in rows}) == 1
    grown: dict[str, dict[str, int]] = {}
    before: tuple[str, Mapping[str, int]] | None = None
    for row in rows:
        now = {str(k): int(v) for k, v in (row.acquisition.get("counters") or {}).items()}
        if not now.get("infer"):
            continue
        same = before is not None and before[0] == row.point.model and follows(before[1], now)
        if same or alone:
            earlier = before[1] if before is not None and same else {}
            total = grown.setdefault(row.point.model, dict.fromkeys(("infer", *FIELDS), 0))
            for name in total:
                total[name] += now.get(name, 0) - earlier.get(name, 0)
        before = (row.point.model, now)
    return {model: _facts(model, total) for model, total in grown.items() if total["infer"] > 0}


def follows(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether one state of the counters grew out of the other: no restart, nothing cleared."""
    return before.get("boot") == now.get("boot") and all(now.get(name, 0) >= before.get(name, 0) for name in ("infer", *FIELDS))


def _facts(model: str, total: Mapping[str, int]) -> ModelFacts:
    n = total["infer"]
    found = {to: Fact(total[name] / n, Provenance.MEASURED, SOURCE) for name, to in FIELDS.items() if total[name] > 0}
    return ModelFacts(model, **found, inferences=n)
