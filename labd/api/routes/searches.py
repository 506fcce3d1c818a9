"""Searches for a use case: into the queue, and what they came to."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Response

from labd.accuracy.kept import kept_dataset
from labd.api.models import SearchBody, SearchId
from labd.api.routes.asked import Given, Who
from labd.api.routes.runs import REPORT_CSP
from labd.api.routes.transfer import DISK_S
from labd.search.folder import SearchSummary, folder_of, searches
from labd.search.result import Result
from labd.store.jobs import JobKind, JobRow, NewJob
from labd.stream.session import InstrumentSession

T = TypeVar("T")

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("", operation_id="list_searches")
async def listed(given: Given) -> list[SearchSummary]:
    """Newest first."""
    return await _from_disk(lambda: [folder.summary for folder in searches(given.catalogue.folder)])


@router.post("", operation_id="submit_search", status_code=201)
async def submit(body: SearchBody, given: Given, who: Who) -> JobRow:
    """Into the queue. The use case is checked against the bench first, and its builders are those that the bench file names; the job's
    `made` is the search's id."""
    await _from_disk(partial(kept_dataset, given.catalogue.folder, body.dataset))
    name = await given.bench.search_check(body.use_case_text, body.platforms)
    asked = {"use_case": body.use_case_text, "dataset": body.dataset, "platforms": body.platforms, "fresh": body.fresh}
    return await given.queue.submit(
        NewJob(
            f"search for {name}",
            "",
            kind=JobKind.SEARCH,
            asked=json.dumps(asked),
            priority=body.priority,
            not_before_ns=body.not_before_ns,
            attended=body.attended,
            note=body.note,
            tags=tuple(body.tags),
            submitted_by=who.name,
        )
    )


@router.get("/{search_id}", operation_id="get_search")
async def result(search_id: SearchId, given: Given) -> Result:
    """Every candidate with its figures, the fronts, and the answers. 404 while it goes on."""
    return await _from_disk(lambda: folder_of(given.catalogue.folder, search_id).result())


@router.get("/{search_id}/summary", operation_id="get_search_summary")
async def summary(search_id: SearchId, given: Given) -> SearchSummary:
    """How far it is."""
    return await _from_disk(lambda: folder_of(given.catalogue.folder, search_id).summary)


@router.get(
    "/{search_id}/report", operation_id="get_search_report", responses={200: {"content": {"text/html": {}}}}, response_class=Response
)
async def report(search_id: SearchId, given: Given) -> Response:
    """The page, once it has ended."""
    page = await _from_disk(lambda: folder_of(given.catalogue.folder, search_id).report())
    return Response(page, media_type="text/html", headers={"content-security-policy": REPORT_CSP})


async def _from_disk(read: Callable[[], T]) -> T:
    async with InstrumentSession("searches") as disk:
        return await disk.call(read, deadline_s=DISK_S)
