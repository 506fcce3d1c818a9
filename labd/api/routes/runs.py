"""Runs: what was measured, its report, and what becomes of it."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from labd.analyse.repeat import Comparison, compare, replace_figures
from labd.api.answers import Imported
from labd.api.models import ReplayBody, RunChanges, RunId, Tag
from labd.api.routes.asked import Given, Who
from labd.api.routes.transfer import ArchiveResponse, archive_of, received
from labd.errors import NotFound
from labd.influx.replay import Sent
from labd.queue.retention import DISK_S, remove_traces
from labd.records import Event, KpiRecord
from labd.store.archive import read as read_archive
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobRow, NewJob
from labd.store.rows import CaptureRow, RunRow, RunState, RunSummary
from labd.stream.session import InstrumentSession

router = APIRouter(prefix="/runs", tags=["runs"])

REPORT_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Form(enum.StrEnum):
    HTML = "html"
    MD = "md"
    CSV = "csv"
    JSON = "json"
    TEXT = "text"
    ASCII = "ascii"


TYPES = {
    Form.HTML: "text/html",
    Form.MD: "text/markdown",
    Form.CSV: "text/csv",
    Form.JSON: "application/json",
    Form.TEXT: "text/plain",
    Form.ASCII: "text/plain",
}

RESUMED_WITH = ("priority", "after_failure", "retries", "attended", "note", "tags", "estimate_s")  # not when, and not again and again

REPORTS: dict[str, Any] = {kind: {} for kind in TYPES.values()}
ARCHIVE = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}


@router.get("", operation_id="list_runs")
async def runs(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000)] = 50, tag: Tag | None = None, state: RunState | None = None
) -> list[RunSummary]:
    """Newest first."""
    return await given.catalogue.read(lambda c: c.runs.summaries(limit=limit, tag=tag, state=state))


@router.get("/{run_id}", operation_id="get_run")
async def run(run_id: RunId, given: Given) -> RunRow:
    """Everything stored of a run but its captures, figures and events."""
    return await given.catalogue.read(lambda c: c.runs.get(run_id))


@router.patch("/{run_id}", operation_id="annotate_run")
async def annotate(run_id: RunId, body: RunChanges, given: Given) -> RunSummary:
    """Notes and tags; a run tagged `keep` is never deleted by retention."""

    def annotated(catalogue: Catalogue) -> RunSummary:
        catalogue.runs.annotate(run_id, notes=body.notes, add_tags=body.add_tags, remove_tags=body.remove_tags)
        return catalogue.runs.summary(run_id)

    return await given.catalogue.do(annotated)


@router.delete("/{run_id}", operation_id="delete_run", status_code=204)
async def delete(run_id: RunId, given: Given) -> Response:
    """With its traces, for good. Only the whole id names it; 409 while it goes on, or a job is to go on with it."""
    await given.catalogue.do(lambda c: c.runs.delete(run_id))
    async with InstrumentSession("delete") as disk:
        await disk.call(remove_traces, given.catalogue.folder, run_id, deadline_s=DISK_S)
    return Response(status_code=204)


@router.post("/{run_id}/resume", operation_id="resume_run", status_code=201)
async def resume(run_id: RunId, given: Given, who: Who) -> JobRow:
    """A job that does what an interrupted or failed run lacks, set as the job that made it; 409 where a job goes on with it already."""
    return await given.queue.resume_run(lambda c: _job_to_resume(c, run_id, who.name))


@router.post("/{run_id}/analyse", operation_id="analyse_run")
async def analyse(run_id: RunId, given: Given, *, store: bool = False) -> Comparison:
    """Compute every figure again from the traces and compare it with the stored one. store: replace the stored ones; 409 in mid-run."""
    found = await given.catalogue.read(lambda c: c.runs.get(run_id))
    analysis = await given.worker.analyse(given.catalogue.folder, found.id)
    stored = await given.catalogue.read(lambda c: c.kpis.of(found.id))
    if store:
        await given.catalogue.do(lambda c: replace_figures(c, analysis))
    return compare(analysis, stored)


@router.post("/{run_id}/replay", operation_id="replay_run")
async def replay(run_id: RunId, given: Given, body: ReplayBody | None = None) -> Sent:
    """Send the run from the store to InfluxDB once more; points that are there already are overwritten with themselves."""
    return await given.bench.replay(run_id, body.raw() if body else None)


@router.get("/{run_id}/captures", operation_id="list_captures")
async def captures(run_id: RunId, given: Given) -> list[CaptureRow]:
    """In the order they are made."""
    return await given.catalogue.read(lambda c: c.captures.of(c.runs.get(run_id).id))


@router.get("/{run_id}/kpis", operation_id="list_kpis")
async def kpis(run_id: RunId, given: Given) -> list[KpiRecord]:
    """The figures so far; those of a run that goes on are flagged provisional."""
    return await given.catalogue.read(lambda c: c.kpis.of(c.runs.get(run_id).id))


@router.get("/{run_id}/events", operation_id="list_events")
async def events(run_id: RunId, given: Given) -> list[Event]:
    return await given.catalogue.read(lambda c: c.runs.events(c.runs.get(run_id).id))


@router.get("/{run_id}/report", operation_id="report", response_class=Response, responses={200: {"content": REPORTS}})
async def report(run_id: RunId, given: Given, form: Annotated[Form, Query(alias="format")] = Form.HTML) -> Response:
    found = await given.catalogue.read(lambda c: c.runs.get(run_id))
    content = await given.worker.render(given.catalogue.folder, found.id, str(form))
    headers = {"content-security-policy": REPORT_CSP} if form is Form.HTML else {}
    return Response(content, media_type=TYPES[form], headers=headers)


@router.get("/{run_id}/archive", operation_id="export_run", response_class=Response, responses={200: {"content": ARCHIVE}})
async def archive(run_id: RunId, given: Given) -> ArchiveResponse:
    """The run as one file: rows, traces, checksums."""
    found = await given.catalogue.read(lambda c: c.runs.get(run_id))
    return await archive_of(given, found.id)


@router.post("/import", operation_id="import_run", status_code=201)
async def import_run(request: Request, given: Given) -> Imported:
    """Take in a run that `export_run` wrote. Refused: one that is there already, damage, anything but such a file."""
    return Imported(await received(given, request.stream(), read_archive))


def _job_to_resume(catalogue: Catalogue, run_id: str, who: str) -> NewJob:
    run = catalogue.runs.to_resume(run_id)
    new = NewJob(run.plan_name, run.plan_text, submitted_by=who, run_id=run.id)
    try:
        made_by = catalogue.jobs.get(run.job)
    except NotFound:  # made by `labd run`, or on another bench
        return new
    settings: dict[str, Any] = {name: getattr(made_by, name) for name in RESUMED_WITH}
    return replace(new, **settings)
