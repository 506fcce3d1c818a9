"""Stored runs to compare: two boards that do one use case fairly, and ways to make one of the two unfair."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labd.analyse.run import analyse_run
from labd.analyse.side import compare_runs
from labd.bench_file import load_bench, load_plan
from labd.bench_file.cards import hardware_card
from labd.cards.comparison import FairComparison
from labd.kpi.share import wilson
from labd.kpi.task import TaskResult
from labd.records import KpiRecord, Mode, Provenance
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import NewRun, RunState
from tests.analyse.stored_run import NOW_NS, ROOT, Made, captures, make_run, new_run, record

MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP)
DETECTOR = {"kind": "declared", "power_w": 12e-6, "power_half_width_w": 2e-6, "false_wake_hz": 0.01, "false_wake_half_width_hz": 0.0}


@dataclass(frozen=True)
class Stored:
    """What becomes a stored run. samples: that the accuracy rests on, 0 for none; scored: what else its result says."""

    new: NewRun
    made: Sequence[Made]
    records: Sequence[KpiRecord]
    samples: int = 500
    right: int = 460
    state: RunState = RunState.FINISHED
    scored: Mapping[str, Any] = field(default_factory=dict)
    leave_out: frozenset[str] = field(default_factory=frozenset)


@functools.cache
def measured() -> tuple[tuple[Made, ...], tuple[KpiRecord, ...]]:
    """Captures of two modes at two rates, and their figures with a detector."""
    made = tuple(captures((10.0, 25.0), MODES))
    with tempfile.TemporaryDirectory(prefix="labd-fair-") as folder:
        run = make_run(Path(folder), list(made), figures=False)
        with Catalogue.open_read_only(Path(folder)) as catalogue:
            return made, analyse_run(catalogue, run).records


@functools.cache
def cards() -> Mapping[str, Any]:
    """Those of the demo, with a use case that these runs answer, and a platform that was made the best of."""
    board = load_bench(ROOT / "fixtures/benches/demo.toml").board
    found = {**hardware_card(board), **load_plan(ROOT / "fixtures/plans/demo.toml").stored_cards}
    use_case = changed(found["use_case"], "events.rate.value", 10.0)
    found["use_case"] = changed(use_case, "targets.latency_quantile", "mean")
    found["toolchain"] = changed(found["toolchain"], "optimised_for_platform", "yes")
    found["dataset"] = {**found["dataset"], "sha256": "ab" * 32, "unknown": []}
    return found


def changed(data: Any, path: str, value: Any) -> Any:
    """The same with another value at a dotted path; None takes the key away."""
    key, _, rest = path.partition(".")
    out = dict(data)
    if rest:
        out[key] = changed(out[key], rest, value)
    elif value is None:
        del out[key]
    else:
        out[key] = value
    return out


def first() -> Stored:
    made, records = measured()
    new = new_run()
    plan = changed(new.plan_expanded, "analysis.detector", DETECTOR)
    return Stored(replace(new, cards=cards(), plan_expanded=plan), made, records)


def second() -> Stored:
    """Another board with a net of its own that needs a fifth less energy."""
    one = first()
    mine = changed(changed(cards(), "hardware.chip", "another chip"), "model.dnn.parameters", 1800)
    bench = changed(one.new.bench_effective, "board.board.name", "another board")
    return replace(
        one,
        new=replace(one.new, cards=mine, bench_effective=bench),
        records=[scaled(r, 0.8) if r.unit in ("J", "W") else r for r in one.records],
    )


def scaled(figure: KpiRecord, factor: float) -> KpiRecord:
    """The same figure of so many times the size."""
    if figure.value is None:
        return figure
    low, high = (None if end is None else end * factor for end in (figure.low, figure.high))
    lines = tuple(replace(line, u=line.u * factor) for line in figure.budget)
    return replace(figure, value=figure.value * factor, low=low, high=high, u=figure.u and figure.u * factor, budget=lines)


def with_card(path: str, value: Any) -> Callable[[Stored], Stored]:
    return lambda run: replace(run, new=replace(run.new, cards=changed(run.new.cards, path, value)))


def with_plan(path: str, value: Any) -> Callable[[Stored], Stored]:
    return lambda run: replace(run, new=replace(run.new, plan_expanded=changed(run.new.plan_expanded, path, value)))


def with_bench(path: str, value: Any) -> Callable[[Stored], Stored]:
    return lambda run: replace(run, new=replace(run.new, bench_effective=changed(run.new.bench_effective, path, value)))


def with_records(change: Callable[[KpiRecord], KpiRecord | None]) -> Callable[[Stored], Stored]:
    return lambda run: replace(run, records=[new for old in run.records if (new := change(old)) is not None])


def with_captures(change: Callable[[Made], Made | None]) -> Callable[[Stored], Stored]:
    return lambda run: replace(run, made=[new for old in run.made if (new := change(old)) is not None])


def store(folder: Path, run: Stored, *, hours: int = 0) -> str:
    """As the runner does, with the accuracy of its board; returns its id."""
    with Catalogue.open(folder) as catalogue:
        row = catalogue.runs.create(run.new, [one.planned for one in run.made], now_ns=NOW_NS + hours * 3600 * 10**9)
        for one in run.made:
            if one.planned.key not in run.leave_out:
                record(catalogue, row.id, one)
        catalogue.kpis.put(row.id, run.records)
        catalogue.runs.end(row.id, run.state, now_ns=NOW_NS + (hours * 3600 + 60) * 10**9)
    if run.samples:
        low, high = wilson(run.right, run.samples)
        figure = KpiRecord(
            "task.accuracy", "dnn", run.right / run.samples, "1", None, low, high, run.samples, Provenance.MEASURED, "scikit-learn; Wilson"
        )
        session = folder / "accuracy" / row.id
        session.mkdir(parents=True)
        board = run.new.bench_effective["board"]["board"]["name"]
        task = to_json(TaskResult(run.samples, (figure,), (), ()))
        (session / "result.json").write_text(json.dumps({"board": board, "model": "dnn", "task": task, **run.scored}), encoding="utf-8")
    return row.id


def compared(folder: Path, *runs: Stored) -> FairComparison:
    """Of runs stored there, in this order."""
    ids = [store(folder, run, hours=number) for number, run in enumerate(runs)]
    with Catalogue.open_read_only(folder) as catalogue:
        return compare_runs(catalogue, ids)
