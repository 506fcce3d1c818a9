"""Searches for a use case: into the queue, and what they came to."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Response

from labd.accuracy.kept import kept_dataset
from labd.api.models import SearchBody, SearchId
from labd.api.routes.asked import Given, Who
from labd.api.routes.runs import REPORT_CSP
from labd.api.routes.transfer import from_disk
from labd.search.folder import SearchSummary, folder_of, searches
from labd.search.result import Result
from labd.store.jobs import JobKind, JobRow

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("", operation_id="list_searches")
async def listed(given: Given) -> list[SearchSummary]:
    """Newest first."""
    return await from_disk(lambda: [folder.summary for folder in searches(given.catalogue.folder)])


@router.post("", operation_id="submit_search", status_code=201)
async def submit(body: SearchBody, given: Given, who: Who) -> JobRow:
    """Into the queue. The use case is checked against the bench first, and its builders are those that the bench file names; the job's
    `made` is the search's id."""
    await from_disk(partial(kept_dataset, given.catalogue.folder, body.dataset))
    name = await given.bench.search_check(body.use_case_text, body.platforms)
    asked = {"use_case": body.use_case_text, "dataset": body.dataset, "platforms": body.platforms, "fresh": body.fresh}
    return await given.queue.submit(body.new_job(JobKind.SEARCH, f"search for {name}", who=who.name, asked=asked))


@router.get("/{search_id}", operation_id="get_search")
async def result(search_id: SearchId, given: Given) -> Result:
    """Every candidate with its figures, the fronts, and the answers. 404 while it goes on."""
    return await from_disk(lambda: folder_of(given.catalogue.folder, search_id).result())


@router.get("/{search_id}/summary", operation_id="get_search_summary")
async def summary(search_id: SearchId, given: Given) -> SearchSummary:
    """How far it is."""
    return await from_disk(lambda: folder_of(given.catalogue.folder, search_id).summary)


@router.get(
    "/{search_id}/report", operation_id="get_search_report", responses={200: {"content": {"text/html": {}}}}, response_class=Response
)
async def report(search_id: SearchId, given: Given) -> Response:
    """The page, once it has ended."""
    page = await from_disk(lambda: folder_of(given.catalogue.folder, search_id).report())
    return Response(page, media_type="text/html", headers={"content-security-policy": REPORT_CSP})
