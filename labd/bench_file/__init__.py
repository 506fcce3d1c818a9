"""Bench, board and plan files: read each by itself (`load_*`), then check what they contradict among each other (`check_*`)."""

from labd.bench_file.bench import Bench
from labd.bench_file.board import Board, load_board
from labd.bench_file.checks import (
    check_against,
    check_aim,
    check_bench,
    check_drivers,
    check_leave,
    check_options,
    check_plan,
    check_roles,
    check_trigger,
    flags,
    load_bench,
    notices,
)
from labd.bench_file.effective import effective, effective_plan
from labd.bench_file.plan import Plan, load_plan, plan_of

__all__ = [
    "Bench",
    "Board",
    "Plan",
    "check_against",
    "check_aim",
    "check_bench",
    "check_drivers",
    "check_leave",
    "check_options",
    "check_plan",
    "check_roles",
    "check_trigger",
    "effective",
    "effective_plan",
    "flags",
    "load_bench",
    "load_board",
    "load_plan",
    "notices",
    "plan_of",
]
