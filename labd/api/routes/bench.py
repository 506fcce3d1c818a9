"""The bench: what it is, how it is, and its emergency stop."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from labd.api.models import PlanBody
from labd.api.routes.asked import Given, Who
from labd_instruments import loader

router = APIRouter(tags=["bench"])


@router.get("/health", operation_id="health")
async def health() -> dict[str, str]:
    """The daemon answers. The only operation that needs no token."""
    return {"status": "ok"}


@router.get("/status", operation_id="status")
async def status(given: Given) -> dict[str, Any]:
    """What the bench, the queue, the guard and the sinks are doing."""
    return dict(await given.bench.status())


@router.get("/bench", operation_id="bench")
async def bench(given: Given) -> dict[str, Any]:
    """The bench file and its board as they are in effect, with SI values and UCUM units."""
    return dict(given.bench.effective())


@router.post("/bench/off", operation_id="bench_off")
async def off(given: Given, who: Who) -> list[dict[str, Any]]:
    """Emergency stop: the queue is paused, the run under way ended, every output switched off and verified."""
    return [dict(one) for one in await given.bench.off(who.name)]


@router.post("/bench/check", operation_id="check_bench")
async def check(given: Given) -> list[dict[str, Any]]:
    """Test the bench; 409 while it is in use."""
    return [asdict(finding) for finding in await given.bench.check()]


@router.post("/plans/check", operation_id="check_plan")
async def check_plan(body: PlanBody, given: Given) -> dict[str, Any]:
    """What a plan would do here: its captures and an estimate of their time."""
    return dict(await given.bench.plan_check(body.plan_text))


@router.get("/drivers", operation_id="drivers")
async def drivers() -> list[dict[str, Any]]:
    """Every driver with its capabilities, roles, options and what its commands rest on."""
    return [asdict(info) for info in loader.available()]
