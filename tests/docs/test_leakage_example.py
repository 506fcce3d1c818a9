"""What the page on leakage shows of a plan is the shipped plan, which a test runs."""

from __future__ import annotations

import re
from pathlib import Path

from labd.kpi.table import row_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/leakage.md").read_text("utf-8")
PLAN = (ROOT / "fixtures/plans/leakage.toml").read_text("utf-8")


def test_every_line_of_a_plan_on_the_page_stands_in_the_plan() -> None:
    lines = [line for block in re.findall(r"(?ms)^```toml\n(.*?)^```", PAGE) for line in block.splitlines() if line]
    assert len(lines) > 6
    assert [line for line in lines if line not in PLAN.splitlines()] == []


def test_every_figure_that_the_page_names_is_one_of_the_table() -> None:
    named = re.findall(r"`((?:clock_sweep|supply_sweep|static_share|best_time_out|poisson_power|harvester|battery)[a-z_.]*)[`*]", PAGE)
    assert len(named) > 8
    assert [name for name in named if row_of(name.rstrip(".")) is None] == []
