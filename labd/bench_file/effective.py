"""The effective bench, board and plan as JSON-able data: what a run stores beside the raw texts."""

from __future__ import annotations

from typing import Any

from labd.bench_file.bench import Bench
from labd.bench_file.board import Board
from labd.bench_file.plan import Plan
from labd.config.effective import effective_section


def effective(bench: Bench) -> dict[str, Any]:
    """`{"file", "sha256", "bench", "board"}`; quantities as `{"value", "unit"}` in SI units with UCUM codes, defaults filled in."""
    return {**_with_origin("bench", bench), "clock": bench.clock, "board": _with_origin("board", bench.board)}


def effective_plan(plan: Plan) -> dict[str, Any]:
    """The same for a plan: `{"file", "sha256", "plan"}`."""
    return _with_origin("plan", plan)


def _with_origin(name: str, section: Bench | Board | Plan) -> dict[str, Any]:
    return {"file": str(section.path), "sha256": section.sha256, name: effective_section(section)}
