"""The queue: submit, look, order, edit, and command what runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from labd.api.models import AbortBody, JobBody, JobChanges, JobId, LeaseBody, MoveBody
from labd.api.routes.asked import Given, Who
from labd.errors import WrongState
from labd.store.jobs import JobKind, JobRow, JobState
from labd.store.leases import Lease

router = APIRouter(tags=["queue"])


@router.get("/jobs", operation_id="list_jobs")
async def jobs(
    given: Given, ended: Annotated[int, Query(ge=0, le=1000, description="how many of those that have ended")] = 20
) -> list[JobRow]:
    """The job under way, those that wait in their order, and the last that have ended."""
    return await given.queue.jobs(ended=ended)


@router.post("/jobs", operation_id="submit_job", status_code=201)
async def submit(body: JobBody, given: Given, who: Who) -> JobRow:
    """The plan is checked against the bench first; every problem of it is in the answer."""
    found = await given.bench.plan_check(body.plan_text)
    return await given.queue.submit(body.new_job(name=found.name, who=who.name, estimate_s=found.estimate_s))


@router.get("/jobs/{job_id}", operation_id="get_job")
async def job(job_id: JobId, given: Given) -> JobRow:
    return await given.queue.job(job_id)


@router.patch("/jobs/{job_id}", operation_id="edit_job")
async def edit(job_id: JobId, body: JobChanges, given: Given) -> JobRow:
    """Of a waiting job. The plan of one that goes on with a run stays: 409."""
    changes = body.changes()
    if "plan_text" in changes:
        job = await given.queue.job(job_id)
        if job.kind is not JobKind.PLAN:
            raise WrongState(f"job {job_id} has no plan to change: it does {job.plan_name}; cancel it, and submit another")
        if job.state is JobState.QUEUED and job.run_id:  # at its turn the run would refuse another plan than its own
            raise WrongState(
                f"job {job_id} goes on with run {job.run_id}, so plan_text cannot be changed; "
                f"`labd cancel {job_id}`, then `labd submit` the new plan"
            )
        found = await given.bench.plan_check(changes["plan_text"])
        changes |= {"plan_name": found.name, "estimate_s": found.estimate_s}
    return await given.queue.edit(job_id, **changes)


@router.delete("/jobs/{job_id}", operation_id="cancel_job")
async def cancel(job_id: JobId, given: Given) -> JobRow:
    """Of a waiting job; one under way is ended by `abort_job`."""
    return await given.queue.cancel(job_id)


@router.post("/jobs/{job_id}/move", operation_id="move_job")
async def move(job_id: JobId, body: MoveBody, given: Given) -> JobRow:
    return await given.queue.move(job_id, body.where, body.other or "")


@router.post("/jobs/{job_id}/run-now", operation_id="run_job_now")
async def run_now(job_id: JobId, given: Given) -> JobRow:
    """Next of all; the others keep their order."""
    return await given.queue.run_now(job_id)


@router.post("/jobs/{job_id}/pause", operation_id="pause_job")
async def pause(job_id: JobId, given: Given) -> JobRow:
    """After the present capture, with outputs off."""
    return await given.queue.pause(job_id)


@router.post("/jobs/{job_id}/resume", operation_id="resume_job")
async def resume(job_id: JobId, given: Given) -> JobRow:
    """A paused job goes on; one that was interrupted, failed or cancelled waits again, to do what its run lacks."""
    return await given.queue.resume(job_id)


@router.post("/jobs/{job_id}/abort", operation_id="abort_job")
async def abort(job_id: JobId, given: Given, who: Who, body: AbortBody | None = None) -> JobRow:
    """Now: outputs off, captures so far kept. Answers when it has ended."""
    return await given.queue.abort(job_id, f"{body.why if body else 'aborted'} ({who.name})")


@router.post("/queue/pause", operation_id="pause_queue", status_code=204)
async def pause_queue(given: Given, who: Who) -> Response:
    """No further job begins, also after a restart."""
    await given.queue.pause_queue(f"by {who.name}")
    return Response(status_code=204)


@router.post("/queue/resume", operation_id="resume_queue", status_code=204)
async def resume_queue(given: Given, who: Who) -> Response:
    await given.bench.release(who.name)
    await given.queue.resume_queue()
    return Response(status_code=204)


@router.get("/lease", operation_id="get_lease")
async def lease(given: Given) -> Lease | None:
    """Who has reserved the bench."""
    return await given.queue.lease()


@router.post("/lease", operation_id="take_lease")
async def take_lease(body: LeaseBody, given: Given, who: Who) -> Lease:
    """Until then only your own jobs begin."""
    return await given.queue.take_lease(who.name, body.until_ns, body.purpose)


@router.delete("/lease", operation_id="give_back_lease", status_code=204)
async def give_back(
    given: Given, who: Who, *, force: Annotated[bool, Query(description="also somebody else's; they and everybody are told")] = False
) -> Response:
    """Your own."""
    await given.queue.give_back(who.name, force=force)
    return Response(status_code=204)
