"""The bench: what it is, how it is, and its emergency stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from labd.api.answers import BenchStatus, Health, PlanCheck
from labd.api.models import PlanBody
from labd.api.routes.asked import Given, Who
from labd.bench.finding import Finding
from labd.guard.wire import OffResult
from labd.kpi.table import KpiRow, rows
from labd_instruments import loader
from labd_instruments.loader import DriverInfo

router = APIRouter(tags=["bench"])


@router.get("/health", operation_id="health")
async def health() -> Health:
    """The daemon answers. The only operation that needs no token."""
    return Health()


@router.get("/status", operation_id="status")
async def status(given: Given) -> BenchStatus:
    """What the bench, the queue, the guard and the sinks are doing."""
    return await given.bench.status()


@router.get("/bench", operation_id="bench")
async def bench(given: Given) -> dict[str, Any]:
    """The bench file and its board as they are in effect, with SI values and UCUM units."""
    return dict(given.bench.effective())


@router.post("/bench/off", operation_id="bench_off")
async def off(given: Given, who: Who) -> Sequence[OffResult]:
    """Emergency stop: the queue is paused, the run under way ended, every output switched off and verified."""
    return await given.bench.off(who.name)


@router.post("/bench/check", operation_id="check_bench")
async def check(given: Given, who: Who) -> Sequence[Finding]:
    """Test the bench; 409 while it is in use, or reserved by somebody else."""
    return await given.bench.check(who.name)


@router.get("/doctor", operation_id="doctor")
async def doctor(given: Given) -> Sequence[Finding]:
    """Whether the daemon's machine, store and bench file are fit for measuring; touches no instrument."""
    return await given.bench.doctor()


@router.post("/plans/check", operation_id="check_plan")
async def check_plan(body: PlanBody, given: Given) -> PlanCheck:
    """What a plan would do here: its captures and an estimate of their time."""
    return await given.bench.plan_check(body.plan_text)


@router.get("/drivers", operation_id="drivers")
async def drivers() -> list[DriverInfo]:
    """Every driver with its capabilities, roles, options and what its commands rest on."""
    return loader.available()


@router.get("/kpis", operation_id="kpis")
async def kpis() -> list[KpiRow]:
    """Every KPI that labd knows: definition, formula, unit, provenance, how it is obtained, and which records carry it."""
    return list(rows())
