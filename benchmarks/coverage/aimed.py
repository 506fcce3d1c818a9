"""Runs that measure until an aim is met, on the demo's bench in stepped time, beside a file in which the board writes the truth."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.accuracy.truth import events_of, expectations
from benchmarks.coverage.least_time import least_time_s, scatter_of
from labd import resources
from labd.analyse.aims import aim_facts
from labd.analyse.run import Analysis, analyse_run
from labd.bench.virtual import Addresses, virtual_bench
from labd.daemon import opened
from labd.daemon.commands import run_plan
from labd.daemon.run import RunOutcome
from labd.records import KpiRecord, Mode
from labd.report.data import AimFact
from labd.store.catalogue import Catalogue
from labd.stream.news import News

MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP)
AIM = 0.007  # of the break-even rate: the instruments leave 0.003
RESTLESS = ("\nseed = 1\n", "\nseed = 1\npower_dispersion = 0.03\ncycle_dispersion = 0.02\n")  # so that time is what is lacking
TIME = "60 min"
MOST_RATIO = 1.5
IMPOSSIBLE = "the offset of smu in its 0.1 A range of current"
PLAN = """
schema = 1
name = "{name}"
modes = ["always_on", "event_sleep"]
supply = ["3.0 V"]
models = ["dnn"]
seed = {seed}
{wanted}
[captures]
event_captures = 0
{captures}
[conditions]
settle = "50 ms"
[detector]
kind = "host-triggered"
"""


@dataclass(slots=True)
class Ended:
    """A run. spent_s: bench time by its own account, 0 where it tells none. truth: what the board wrote."""

    analysis: Analysis
    seconds: dict[str, float]
    said: list[str]
    truth: list[dict[str, Any]]
    aims: tuple[AimFact, ...]
    spent_s: float = 0.0
    by_id: dict[tuple[str, str], KpiRecord] = field(default_factory=dict)


def ran(folder: Path, name: str, *, seed: int, wanted: str, captures: str = "") -> Ended:
    """wanted: the plan's [aim], or its rates and repeats."""
    folder.mkdir(parents=True)
    plan, truth, said = folder / "plan.toml", folder / "truth.jsonl", list[str]()
    head, _, table = wanted.partition("[aim]")
    text = PLAN.format(name=name, seed=seed, wanted=head, captures=captures) + (f"[aim]{table}\n" if table else "")
    plan.write_text(text, encoding="utf-8")

    @asynccontextmanager
    async def watched(spec: Mapping[str, Any]) -> AsyncIterator[Addresses]:
        async with virtual_bench({**spec, "seed": seed}, arguments=("--truth", str(truth))) as addresses:
            yield addresses

    with patch.object(opened, "virtual_bench", watched):
        outcome = asyncio.run(_run(_bench(folder), plan, folder / "store", said))
    with Catalogue.open_read_only(folder / "store") as catalogue:
        analysis = analyse_run(catalogue, outcome.run_id)
        seconds = {row.key: float(row.plan["duration_s"]) for row in catalogue.captures.of(outcome.run_id)}
    spent = [float(found[1]) for text in said if (found := re.search(r"every aim is met after (\d+) s", text))]
    records = {(r.id, r.at): r for r in analysis.records}
    written = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    return Ended(analysis, seconds, said, written, aim_facts(analysis), spent[-1] if spent else 0.0, records)


def _bench(folder: Path) -> Path:
    """The demo's, with a board whose inferences are less alike."""
    bench, board = (resources.path("fixtures") / name for name in ("benches/demo.toml", "boards/virtual-m4.toml"))
    text = board.read_text("utf-8")
    assert RESTLESS[0] in text
    for name, content in (("boards/virtual-m4.toml", text.replace(*RESTLESS)), ("benches/demo.toml", bench.read_text("utf-8"))):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    shutil.copytree(resources.path("fixtures") / "cards/demo", folder / "cards/demo", dirs_exist_ok=True)
    return folder / "benches/demo.toml"


async def _run(bench: Path, plan: Path, store: Path, said: list[str]) -> RunOutcome:
    def show(news: News) -> None:
        said.append(news.text)

    return await run_plan(bench, plan, store=store, show=show, stop=asyncio.Event())


@dataclass(frozen=True, slots=True)
class Verdict:
    """ratio: of the time that was spent to the least. covered: whether the truth lies in the interval."""

    ratio: float
    spent_s: float
    least_s: float
    covered: bool
    met: bool
    why_impossible: str


def aimed(folder: Path, *, seed: int) -> Verdict:
    """One run that ends when the break-even is known well enough, one apart that tells what scatter there is, one that cannot be met."""
    aim = f'[aim]\nbreak_even = "{100 * AIM:g} %"\ntime = "{TIME}"'
    run = ran(folder / "aimed", "aimed", seed=seed, wanted=aim)
    rates = ", ".join(f'"{rate:g} /s"' for rate in (0.0, max(run.analysis.setup.rates_hz)))
    apart = ran(
        folder / "apart", "apart", seed=seed + 1, wanted=f"rates = [{rates}]\nrepeats = 4", captures='floor_time = "16 s"\nevents = 400'
    )
    never = ran(folder / "never", "never", seed=seed, wanted=f'[aim]\nfloor_power = "0.1 %"\ntime = "{TIME}"')
    record = run.by_id["break_even_rate", "always_on|event_sleep"]
    slopes = [run.by_id["fit.incremental_energy", str(mode)].value or 0.0 for mode in MODES]
    (fact,) = run.aims
    lasting = _lasting(record)
    least_s = least_time_s(
        [scatter_of(mode, apart.analysis.captures, apart.seconds) for mode in MODES],
        record.value or 0.0,
        slopes[1] - slopes[0],
        aim=AIM,
        lasting=lasting,
    )
    true = _true_break_even(run)
    covered = record.low is not None and record.high is not None and record.low <= true <= record.high
    missed = next((one.why for one in never.aims if not one.met and one.at == str(Mode.ALWAYS_ON)), "")
    return Verdict(run.spent_s / least_s, run.spent_s, least_s, covered, fact.met, missed)


def _lasting(record: KpiRecord) -> float:
    """Relative half-width that systematic errors alone leave: rectangular ones, of which the largest rules."""
    assert record.value is not None
    lines = [line for line in record.budget if line.kind == "B"]
    draws = sum(line.u * np.sqrt(3) * np.random.default_rng(k).uniform(-1, 1, 100_000) for k, line in enumerate(lines))
    return float(np.quantile(np.abs(draws), 0.95)) / abs(record.value)


def _true_break_even(run: Ended) -> float:
    """Rest powers as they were, energies as the twin without dispersion has them."""
    expected = asyncio.run(expectations({"clock_error": None}))
    events = events_of(run.truth)
    idle = [e["rest"]["settled_power_w"] for e in events]
    between = (max(idle) * min(idle)) ** 0.5  # two modes rest at levels far apart
    rest = {
        MODES[0]: float(np.mean([w for w in idle if w > between])),
        MODES[1]: float(np.mean([w for w in idle if w < between])),
    }
    supply_v = float(np.mean([e["energy_j"] / e["charge_c"] for e in events]))
    net = {mode: expected[mode].net_j * supply_v / expected[mode].supply_v for mode in MODES}
    return (rest[MODES[0]] - rest[MODES[1]]) / (net[MODES[1]] - net[MODES[0]])
