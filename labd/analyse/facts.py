"""What a run stored about its bench, board, plan and conditions, as the report prints it."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from labd.analyse.instruments import instruments
from labd.analyse.wording import flat, said, section, spaced
from labd.records import CaptureState
from labd.report.data import BenchFacts, BoardFacts, Conditions, LineFacts, LinkFacts, PlanFacts, RunFacts
from labd.store.rows import CaptureRow, RunRow

_PLAN_ELSEWHERE = frozenset({"schema", "name", "use_case", "modes", "rates", "conditions"})
_BOARD_ELSEWHERE = frozenset({"schema", "name", "description", "supply", "clock", "decoupling", "regulator", "firmware", "virtual"})


def run_facts(run: RunRow, captures: Sequence[CaptureRow]) -> RunFacts:
    return RunFacts(
        run_id=run.id,
        name=run.plan_name,
        state=str(run.state),
        started=iso(run.created_ns),
        ended=iso(run.ended_ns),
        labd_version=run.versions.get("labd", "unknown"),
        versions={name: version for name, version in run.versions.items() if name != "labd"},
        environment={name: said(value) for name, value in run.environment.items()},
        seeds=run.seeds,
        hashes=hashes(run),
        order=tuple(row.key for row in captures),
        commands=commands(run),
        complete=bool(captures) and all(row.state is CaptureState.FINISHED for row in captures),
    )


def iso(time_ns: int | None) -> str:
    """ISO 8601 in UTC, to the second; empty where it is not known."""
    if time_ns is None:
        return ""
    return datetime.datetime.fromtimestamp(time_ns // 1_000_000_000, datetime.UTC).isoformat()


def hashes(run: RunRow) -> dict[str, str]:
    """SHA-256 of the files the run was made from."""
    board = said(section(run.bench_effective, "board").get("sha256"))
    found = {"bench": run.bench_sha256, "board": board, "plan": run.plan_sha256, "firmware": run.firmware_sha256}
    return {name: f"sha256:{value}" for name, value in found.items() if value}


def commands(run: RunRow) -> tuple[str, ...]:
    """What repeats the run, and what repeats its analysis from the stored traces."""
    bench = said(run.bench_effective.get("file")) or f"{run.bench_name}.toml"
    plan = said(section(run.plan_expanded, "plan").get("file")) or f"{run.plan_name}.toml"
    return f"labd run {shlex.quote(bench)} {shlex.quote(plan)}", f"labd analyse {run.id}"


def bench_facts(run: RunRow, captures: Sequence[CaptureRow]) -> BenchFacts:
    bench = section(run.bench_effective, "bench")
    found = section(bench, "instruments")
    return BenchFacts(
        name=run.bench_name,
        description=said(bench.get("description")),
        boundary=boundary(run),
        instruments=instruments(run, captures),
        links=tuple(link(name, item) for name, item in section(bench, "links").items()),
        lines=tuple(line(name, item) for name, item in section(bench, "lines").items()),
        limits={name: said(value) for name, value in section(bench, "limits").items()},
        meter_order=meter_order(found),
    )


def boundary(run: RunRow) -> str:
    """One sentence: where energy is counted, and what it counts besides the chip."""
    board = section(run.bench_effective, "board", "board")
    found = section(run.bench_effective, "bench", "instruments").values()
    source: Mapping[str, Any] = next((item for item in found if "source" in item.get("roles", ())), {})
    where = "The supply terminals of the board"
    if source.get("sense") == "4-wire":
        where += ", at the remote-sense point"
    elif source.get("sense") == "2-wire":
        where += ", the loss in the leads taken off"
    return f"{where}; {inside_sentence(board)}"


def inside_sentence(board: Mapping[str, Any]) -> str:
    decoupling, regulator = said(board.get("decoupling")), said(board.get("regulator"))
    first = f"decoupling of {decoupling} lies inside" if decoupling else "what lies inside is not disclosed"
    return first + (f", regulator: {regulator}." if regulator else ".")


def meter_order(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Names from the supply to the board: as a cross-checking instrument declares them, else the meter alone."""
    declared = next((tuple(item["order"]) for item in found.values() if item.get("order")), ())
    return declared or tuple(name for name, item in found.items() if "meter" in item.get("roles", ()))


def link(name: str, item: Mapping[str, Any]) -> LinkFacts:
    port = "virtual port" if item.get("virtual") else said(item.get("port") or item.get("address"))
    baud = f"{item['baud']} baud" if item.get("baud") and not item.get("address") else ""
    detail = ", ".join(part for part in (port, baud) if part)
    if item.get("address"):
        return LinkFacts(name, said(item.get("kind")), "no line into the board", "by the network", "", detail)
    idle = said(item.get("tx_idle"))
    return LinkFacts(name, said(item.get("kind")), said(item.get("io_level")), said(item.get("isolation")), idle, detail)


def line(name: str, item: Mapping[str, Any]) -> LineFacts:
    return LineFacts(name, said(item.get("from")), said(item.get("to")), said(item.get("level")), said(item.get("isolation")))


def board_facts(run: RunRow) -> BoardFacts:
    board = section(run.bench_effective, "board", "board")
    decoupling, regulator = said(board.get("decoupling")), said(board.get("regulator"))
    inside = [f"decoupling {decoupling}"] if decoupling else []
    inside += [f"regulator: {regulator}"] if regulator and regulator != "none" else []
    facts = dict(flat(board, leave_out=_BOARD_ELSEWHERE))
    if board.get("virtual"):
        facts["simulated"] = "yes: a virtual board"
    return BoardFacts(
        name=said(board.get("name")) or "unknown board",
        description=said(board.get("description")),
        supply=said(board.get("supply")),
        clock=said(board.get("clock")),
        inside=tuple(inside),
        firmware=said(board.get("firmware")),
        firmware_hash=hashes(run).get("firmware", ""),
        facts=facts,
    )


def plan_facts(run: RunRow) -> PlanFacts:
    plan = section(run.plan_expanded, "plan", "plan")
    return PlanFacts(
        name=run.plan_name,
        use_case=said(plan.get("use_case")),
        modes=tuple(plan.get("modes", ())),
        rates=tuple(said(rate) for rate in plan.get("rates", ())) or _chosen(run),
        facts=dict(flat(plan, leave_out=_PLAN_ELSEWHERE)),
    )


def _chosen(run: RunRow) -> tuple[str, ...]:
    """The rates of a plan that left them to its aim."""
    rates = section(run.plan_expanded, "analysis").get("rates_hz", ())
    return tuple(said({"value": rate, "unit": "/s"}) for rate in rates)


def conditions(run: RunRow) -> Conditions:
    bench, asked = section(run.bench_effective, "bench"), section(run.plan_expanded, "plan", "plan", "conditions")
    warm = [f"{name} {said(item.get('warm'))}" for name, item in section(bench, "instruments").items() if said(item.get("warm"))]
    wanted = said(asked.get("warm_up"))
    facts = {spaced(name): said(value) for name, value in asked.items() if name != "warm_up" and said(value)}
    floor = {f"floor: {name}": text for name, text in flat(section(bench, "floor"))}
    leakage = {"fixture leakage": said(bench.get("fixture_leakage"))} if bench.get("fixture_leakage") else {}
    clock = {"time": said(run.bench_effective.get("clock"))} if run.bench_effective.get("clock") else {}
    warm_up = ", ".join(warm) + (f" ({wanted} asked)" if wanted and warm else "")
    return Conditions(said(bench.get("ambient")), said(bench.get("mains")), warm_up, {**facts, **floor, **leakage, **clock})
