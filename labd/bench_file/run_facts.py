"""What a run stores of itself before its first capture, so that a reader can repeat and judge it."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labd.analyse.environment import environment, versions
from labd.bench.expand import CapturePlan
from labd.bench.finding import Finding
from labd.bench.station import Tool
from labd.bench_file import station as translate
from labd.bench_file.bench import Bench
from labd.bench_file.cards import hardware_card
from labd.bench_file.checks import flags
from labd.bench_file.effective import effective, effective_plan
from labd.bench_file.plan import Plan
from labd.records import MarkStyle
from labd.resources import path as resource
from labd.store.jsonform import to_json
from labd.store.rows import CaptureRow, NewRun, PlannedCapture
from labd_instruments.contract import Streams


def new_run(bench: Bench, plan: Plan, plans: Sequence[CapturePlan]) -> NewRun:
    """Files as read and in effect, the expansion's order, the analysis's setup, versions and machine."""
    found = flags(bench, datetime.datetime.now(datetime.UTC).date(), warm_up_s=plan.conditions.warm_up)
    return NewRun(
        bench_name=bench.name,
        bench_text=bench.text,
        board_text=bench.board.text,
        plan_name=plan.name,
        plan_text=plan.text,
        bench_effective=effective(bench),
        plan_expanded={
            "plan": effective_plan(plan),
            "order": [p.key for p in plans],
            "analysis": to_json(translate.analysis_setup(bench, plan, found)),
        },
        cards={**hardware_card(bench.board), **plan.stored_cards},
        seeds={"plan": plan.seed},
        versions=versions(),
        environment=environment(),
        firmware_sha256=firmware_sha256() if bench.is_virtual else "",
    )


def planned(plan: CapturePlan) -> PlannedCapture:
    """One capture of the expansion as the catalogue keeps it."""
    facts = {
        "events": plan.events,
        "duration_s": plan.duration_s,
        "marks": str(plan.marks),
        "instrument": plan.instrument,
        "seed": plan.seed,
        "idle_kind": plan.idle_kind,
        **({"offsets_ns": list(plan.offsets_ns), "late_ns": plan.late_ns} if plan.offsets_ns else {}),
    }
    return PlannedCapture(plan.key, plan.role, plan.point, plan.order, plan.repeat, facts)


def capture_plan(row: CaptureRow) -> CapturePlan:
    """What `planned` made a row of. Not for stock firmware, whose windows no row tells."""
    facts = row.plan
    return CapturePlan(
        row.key,
        row.point,
        row.role,
        row.repeat,
        row.order,
        int(facts["events"]),
        float(facts["duration_s"]),
        MarkStyle(facts["marks"]),
        str(facts["instrument"]),
        int(facts["seed"]),
        str(facts["idle_kind"]),
        tuple(facts.get("offsets_ns", ())),
        int(facts.get("late_ns", 0)),
    )


def instruments(bench: Bench, tools: Mapping[str, Tool]) -> dict[str, Any]:
    """Identity, driver, accuracy and roles of every opened instrument, by name."""
    return {name: _instrument(bench, tool) for name, tool in tools.items()}


def self_test_document(bench: Bench, tools: Mapping[str, Tool], findings: Sequence[Finding]) -> dict[str, Any]:
    """What a self-test has found, and of which specimens."""
    return {
        "bench": bench.name,
        "utc_ns": time.time_ns(),
        "identities": {name: to_json(tool.identity) for name, tool in tools.items()},
        "findings": to_json(findings),
    }


def with_self_test(tools: Mapping[str, Mapping[str, Any]], tested: Mapping[str, Any] | None) -> dict[str, Any]:
    """`instruments` with the last self-test, at those that were the same specimens then."""
    if tested is None:
        return dict(tools)
    found = {key: tested.get(key) for key in ("utc_ns", "findings")}
    was = tested.get("identities", {})
    return {name: {**facts, "self_test": found} if was.get(name) == facts["identity"] else dict(facts) for name, facts in tools.items()}


def firmware_sha256() -> str:
    """Of the sources that a virtual board's firmware is built from, in the order of their names."""
    total = hashlib.sha256()
    for folder in ("core", "host"):
        for source in sorted((resource("firmware") / folder).glob("*.[ch]")):
            total.update(source.name.encode() + b"\0" + source.read_bytes())
    return total.hexdigest()


def _instrument(bench: Bench, tool: Tool) -> dict[str, Any]:
    section = bench.instruments[tool.spec.name]
    accuracy = tool.driver.accuracy()
    if section.timebase is not None:
        accuracy = replace(accuracy, timebase=section.timebase.limit, timebase_source=section.timebase.source)
    return {
        "name": tool.spec.name,
        "driver": tool.spec.driver,
        "resource": tool.spec.resource,
        "roles": list(tool.spec.roles),
        "identity": to_json(tool.identity),
        "accuracy": to_json(accuracy),
        "evidence": str(tool.driver.evidence),
        "off_assurance": str(tool.driver.off_assurance),
        "virtual": section.is_virtual,
        "streams": isinstance(tool.driver, Streams),
    }
