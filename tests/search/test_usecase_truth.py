"""What `make usecase` holds a search against can fail: its needs, its twin of a candidate's board, and the truth of a latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.usecase import twin
from benchmarks.usecase.needs import shortcomings
from benchmarks.usecase.truth import Held, latency_p95
from labd import bench_file, resources
from labd.bench_file.board import load_board
from labd.records import Mode
from labd.search.builders import Builder, Candidate, build
from labd.search.contract import TargetBoard
from labd.search.files import Asked, bench_of, plan_of
from labd.search.outcome import Outcome, Settings, State
from labd.search.result import document
from labd.search.use_case import UseCase, load_use_case
from tests.search.made import figure, outcome, use_case

BUILDER = """import json, pathlib, sys
request = json.loads(pathlib.Path(sys.argv[-1]).read_text())
folder = pathlib.Path(request["folder"])
(folder / "program").write_text("")
(folder / "model.toml").write_text('schema = 1\\ncard = "model"\\nname = "digits"\\nfamily = "dnn"\\n')
size = {"flash": 1, "ram": 1, "of": "net"}
answer = {"schema": 1, "model": "digits", "program": "program", "card": "model.toml", "size": size}
pathlib.Path(request["answer"]).write_text(json.dumps(answer))
"""
SETTINGS = Settings({"filters": "8", "dense": "none", "bits": 8}, Mode.EVENT_SLEEP, clock_hz=8e6)


def point(number: int, *, platform: str, energy_mj: float = 1.0, repeat: int = 0) -> Outcome:
    return outcome(
        number,
        platform=platform,
        repeat=repeat,
        energy_per_inference=(energy_mj * 1e-3, 1e-5),
        accuracy=(0.9, 0.02),
        latency=(20e-3, 1e-3),
        memory=(6000, 0.0),
    )


BEST = point(1, platform="m4", energy_mj=0.9)
WELL = [BEST, point(1, platform="m0"), point(1, platform="m4", energy_mj=0.95, repeat=1)]


def short(outcomes: list[Outcome], candidates: int = 2) -> list[str]:
    benches = {"m4": "demo", "m0": "other"}
    return list(shortcomings(document(use_case(), "x", outcomes, benches=benches, dataset="data", samples=200), candidates=candidates))


def test_a_search_that_went_well_has_no_shortcomings() -> None:
    assert short(WELL) == []


def test_what_went_wrong_is_told() -> None:
    failed = replace(outcome(2, state=State.FAILED), why="the board hangs")
    assert short([*WELL, failed]) == ["m4/2 failed: the board hangs"]
    assert short([*WELL, failed], 3)[0] == "2 candidates that did not fail, 3 are asked for"
    dear = point(1, platform="m0", energy_mj=9.0)
    assert short([BEST, dear, WELL[2]]) == ["no candidate on m0 meets every target"]
    assert short(WELL[:2]) == ["the best was not measured once more"]
    worse = point(1, platform="m4", energy_mj=2.5, repeat=1)
    assert short([*WELL[:2], worse]) == ["no candidate on m4 meets every target", "the best was not measured once more"]


def test_a_figure_is_near_the_truth_only_where_its_uncertainty_says_something() -> None:
    assert Held("latency", figure("latency", 20e-3, 1e-3), 20.5e-3, 1.0).fine
    assert not Held("latency", figure("latency", 20e-3, 1e-3), 22e-3, 3.9).fine
    assert not Held("latency", figure("latency", 20e-3, 15e-3), 20.5e-3, 0.1).fine
    assert not Held("latency", figure("latency", 20e-3, None), 20e-3, None).fine


async def made(case: UseCase, folder: Path) -> tuple[Candidate, Outcome]:
    (folder / "build.py").write_text(BUILDER, encoding="utf-8")
    platform = case.platforms["mcu"]
    board = bench_file.load_bench(case.beside(platform.bench)).board
    target = TargetBoard(name=board.name, kind=platform.kind, clock_hz=8e6, supply_v=board.supply)
    candidate = await build(Builder(("python", "build.py"), folder), SETTINGS.parameters, target, cache=folder / "builds")
    return candidate, Outcome("mcu", 3, SETTINGS, State.MEASURED, model="digits")


async def test_files_of_a_search_are_held_against_what_its_use_case_asks_for(tmp_path: Path) -> None:
    case = load_use_case(resources.path("fixtures") / "use-cases/digits.toml")
    candidate, found = await made(case, tmp_path)
    bench = bench_file.load_bench(case.beside(case.platforms["mcu"].bench))
    asked = Asked(case, "mcu", 3, SETTINGS, candidate)
    plan_of(asked, bench_of(asked, bench, tmp_path), tmp_path)
    board, plan = load_board(tmp_path / "board.toml"), bench_file.load_plan(tmp_path / "plan.toml")

    program = twin.program_of(tmp_path / "builds", case, found)
    assert program == candidate.file("program")
    own = twin.bench_of(case, found, program)
    wanted = twin.plan_of(case, found, own)
    assert list(twin.departures(board, plan, own, wanted)) == []

    for changed, told in (
        (replace(SETTINGS, clock_hz=16e6), ["clock"]),
        (replace(SETTINGS, supply_v=2.5), ["supply of the board", "supply of the plan"]),
        (replace(SETTINGS, mode=Mode.ALWAYS_ON), ["modes"]),
    ):
        other = twin.bench_of(case, replace(found, settings=changed), program)
        lines = list(twin.departures(board, plan, other, twin.plan_of(case, replace(found, settings=changed), other)))
        assert [line.partition(":")[0] for line in lines] == told
    with pytest.raises(LookupError, match=r"mcu/3: 0 builds"):
        twin.program_of(tmp_path / "builds", case, replace(found, settings=replace(SETTINGS, clock_hz=16e6)))


def test_the_true_latency_is_the_quantile_of_what_each_event_took() -> None:
    """Of 100 inputs 4 take 5 times as long, and 4 of 100 events wait: together more than 5 of 100 are late."""
    lasts_ns = [1_000_000_000] * 96 + [5_000_000_000] * 4
    events = [{"event_ns": 0, "ready_ns": 0, "start_ns": 0, "end_ns": lasts, "asleep_ns": lasts} for lasts in lasts_ns]
    alone = latency_p95(events, spread=0.0, wakes=True, rate_hz=None)
    assert alone == 1.0
    assert latency_p95(events, spread=0.0, wakes=True, rate_hz=0.03) > 1.1
    assert latency_p95(events, spread=0.1, wakes=True, rate_hz=None) == pytest.approx(float(np.exp(0.1 * 1.645)), rel=0.2)
