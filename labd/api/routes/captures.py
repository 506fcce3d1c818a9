"""The samples of a capture: overview, single samples, energy between two of them, phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath

from labd.analyse.scan import Asked, Scanned
from labd.api.models import RunId
from labd.api.routes.asked import Given
from labd.errors import NotFound
from labd.live.windows import Between, Stretch
from labd.records import Window
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow

router = APIRouter(prefix="/runs/{run_id}/captures/{order}", tags=["captures"])

Order = Annotated[int, InPath(ge=0, le=10**6, description="the capture's place in its run")]
Index = Annotated[int, Query(ge=0, le=10**15)]
MOST_POINTS = 200_000


@router.get("/stretches", operation_id="list_stretches")
async def stretches(run_id: RunId, order: Order, given: Given) -> Sequence[Stretch]:
    """The contiguous stretches of samples, also of a capture that is being recorded."""
    return await given.windows.stretches(await _trace(given, run_id, order))


@router.get("/window", operation_id="read_window", response_class=Response)
async def window(
    *,
    run_id: RunId,
    order: Order,
    given: Given,
    stretch: Index = 0,
    start: Index = 0,
    stop: Annotated[int | None, Query(ge=0, le=10**15, description="left out: to the end")] = None,
    points: Annotated[int, Query(ge=2, le=MOST_POINTS)] = 2000,
) -> Response:
    """Samples start to stop of a stretch, or their envelope when there are more than points. Layout: docs/reference/live-frames.md."""
    content = await given.windows.read(await _trace(given, run_id, order), stretch, start, stop, points=points)
    return Response(content, media_type="application/octet-stream")


@router.get("/energy", operation_id="read_energy")
async def energy(*, run_id: RunId, order: Order, given: Given, stretch: Index, start: Index, stop: Index) -> Between:
    """Energy, charge and means between two samples of a stretch."""
    return await given.windows.integrate(await _trace(given, run_id, order), stretch, start, stop)


@router.get("/scan", operation_id="scan_capture")
async def scan(
    *,
    run_id: RunId,
    order: Order,
    given: Given,
    rise: Annotated[
        float | None, Query(allow_inf_nan=False, description="where a burst begins, W or A; left out, none are looked for")
    ] = None,
    fall: Annotated[float | None, Query(allow_inf_nan=False, description="where it ends; left out, at 0.9 of rise")] = None,
    of: Annotated[Literal["power", "current"], Query(description="what rise and fall are levels of")] = "power",
    voltage: Annotated[
        float | None, Query(allow_inf_nan=False, description="V, of a trace that has none; left out, what the run had set")
    ] = None,
) -> Scanned:
    """What all samples of a capture add up to, in one pass: energy, charge, extremes, means, bursts, and what is missing."""
    found = await given.catalogue.read(lambda catalogue: _row(catalogue, run_id, order))
    return await given.worker.scan(given.catalogue.folder, found.run_id, order, Asked(rise, fall, of, voltage))


@router.get("/windows", operation_id="list_windows")
async def windows(run_id: RunId, order: Order, given: Given) -> Sequence[Window]:
    """The phases that the analysis found, each on the axis of its stretch; none before it has seen the capture."""

    def found(catalogue: Catalogue) -> list[Window]:
        row = _row(catalogue, run_id, order)
        return catalogue.captures.windows(row.run_id, row.key)

    return await given.catalogue.read(found)


async def _trace(given: Given, run_id: str, order: int) -> Path:
    """Raises NotFound, also for a capture that has not been made yet."""
    return await given.catalogue.read(lambda catalogue: catalogue.trace_path(_row(catalogue, run_id, order)))


def _row(catalogue: Catalogue, run_id: str, order: int) -> CaptureRow:
    run = catalogue.runs.get(run_id)
    row = next((row for row in catalogue.captures.of(run.id) if row.order == order), None)
    if row is None or not row.trace:
        raise NotFound(f"run {run.id} has no samples of a capture {order}")
    return row
