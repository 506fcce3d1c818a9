"""The board of a candidate as the use case asks for it: from the platform's own files and the candidate's settings, never from the files
that the search wrote. Those are held against it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from labd import bench_file
from labd.bench_file import Bench, Board, Plan
from labd.bench_file.board import board_from
from labd.config.document import Source
from labd.config.write import toml_text
from labd.search.outcome import Outcome
from labd.search.use_case import UseCase


def bench_of(use_case: UseCase, outcome: Outcome, program: Path) -> Bench:
    bench = bench_file.load_bench(use_case.beside(use_case.platforms[outcome.platform].bench))
    own, settings = bench.board, outcome.settings
    data = tomllib.loads(own.text)
    clock_hz, supply_v = settings.clock_hz or own.clock, settings.supply_v or own.supply
    data |= {"clock": f"{clock_hz!r} Hz", "supply": f"{supply_v!r} V", "models": [outcome.model]}
    longest_s = (use_case.platforms[outcome.platform].longest_event or own.longest_event) * max(1.0, own.clock / clock_hz)
    data["longest_event"] = f"{longest_s!r} s"
    virtual = data.get("virtual", {})
    data["virtual"] = virtual | {"firmware_program": str(program.resolve()), "seed": int(virtual.get("seed", 1)) + outcome.repeat}
    text = toml_text(data)
    bench._board = board_from(Source(own.path, text, hashlib.sha256(text.encode()).hexdigest()))
    return bench


def plan_of(use_case: UseCase, outcome: Outcome, bench: Bench) -> Plan:
    data = {
        "schema": 1,
        "name": "twin",
        "use_case": "what the search should have measured",
        "modes": [str(outcome.settings.mode)],
        "rates": ["0 /s", f"{use_case.rate_hz!r} /s"],
        "supply": [f"{bench.board.supply!r} V"],
        "models": [outcome.model],
        "seed": use_case.search.seed + outcome.repeat,
        "detector": {"kind": "host-triggered"},
    }
    return bench_file.plan_of(toml_text(data), Path("twin.toml"))


def program_of(builds: Path, use_case: UseCase, outcome: Outcome) -> Path:
    """What its builder made for these settings, by the requests that builders got. Raises LookupError where there is not just one."""
    own = bench_file.load_bench(use_case.beside(use_case.platforms[outcome.platform].bench)).board
    settings = outcome.settings
    wanted = {
        "parameters": dict(settings.parameters),
        "board": {
            "name": own.name,
            "kind": use_case.platforms[outcome.platform].kind,
            "clock_hz": settings.clock_hz or own.clock,
            "supply_v": settings.supply_v or own.supply,
        },
    }
    found = []
    for path in sorted(builds.glob("*/request.json")):
        request = json.loads(path.read_text("utf-8"))
        if path.parent.name != "failed" and {key: request[key] for key in wanted} == wanted:
            found.append(path.parent)
    if len(found) != 1:
        raise LookupError(f"{outcome.name}: {len(found)} builds of [{settings.key}] in {builds}, expected 1")
    answer = json.loads((found[0] / "answer.json").read_text("utf-8"))
    return found[0] / str(answer["program"])


def departures(board: Board, plan: Plan, bench: Bench, twin: Plan) -> Iterator[str]:
    """Where the files that a candidate was measured with are not what its use case asks for, a line each. bench, twin: what it asks for."""
    asked = bench.board
    for what, written, right in (
        ("clock", board.clock, asked.clock),
        ("supply of the board", board.supply, asked.supply),
        ("program", board.virtual.get("firmware_program"), asked.virtual["firmware_program"]),
        ("seed of the board", board.virtual.get("seed", 1), asked.virtual["seed"]),
        ("models of the board", tuple(board.models), tuple(asked.models)),
        ("modes", tuple(plan.modes), tuple(twin.modes)),
        ("rates", tuple(plan.rates), tuple(twin.rates)),
        ("supply of the plan", tuple(plan.supply), tuple(twin.supply)),
        ("models of the plan", tuple(plan.models), tuple(twin.models)),
        ("seed of the plan", plan.seed, twin.seed),
    ):
        if written != right:
            yield f"{what}: {written!r} was measured, the use case asks for {right!r}"
