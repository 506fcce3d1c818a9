"""Data sets, and how often the board is right on them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from labd.accuracy.kept import KeptDataset, forget, kept_dataset, kept_datasets, take_in
from labd.accuracy.listed import AccuracyRun, accuracy_run, accuracy_runs
from labd.api.models import AccuracyBody, AccuracyId, DatasetId
from labd.api.routes.asked import Given, Who
from labd.api.routes.transfer import from_disk, received
from labd.store.jobs import JobKind, JobRow

router = APIRouter(tags=["accuracy"])


@router.get("/datasets", operation_id="list_datasets")
async def datasets(given: Given) -> list[KeptDataset]:
    return await from_disk(partial(kept_datasets, given.catalogue.folder))


@router.post("/datasets", operation_id="send_dataset", status_code=201)
async def send(request: Request, given: Given) -> KeptDataset:
    """A zip of one folder, named as the data set: .bin inputs with their y_labels.csv, or without it. The same one twice is one."""
    return await received(given, request.stream(), take_in)


@router.delete("/datasets/{dataset_id}", operation_id="delete_dataset", status_code=204)
async def delete(dataset_id: DatasetId, given: Given) -> Response:
    """What was measured with it stays."""
    await from_disk(partial(forget, given.catalogue.folder, dataset_id))
    return Response(status_code=204)


@router.get("/accuracy", operation_id="list_accuracy_runs")
async def runs(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000, description="how many, the newest first")] = 100
) -> list[AccuracyRun]:
    return await from_disk(partial(accuracy_runs, given.catalogue.folder, limit=limit))


@router.get("/accuracy/{session_id}", operation_id="get_accuracy_run")
async def run(session_id: AccuracyId, given: Given) -> AccuracyRun:
    return await from_disk(partial(accuracy_run, given.catalogue.folder, session_id))


@router.post("/accuracy", operation_id="submit_accuracy", status_code=201)
async def submit(body: AccuracyBody, given: Given, who: Who) -> JobRow:
    """Into the queue: every sample is sent, and what is answered is scored. The job's `made` is the accuracy run's id."""
    dataset = await from_disk(partial(kept_dataset, given.catalogue.folder, body.dataset))
    asked = {"dataset": body.dataset, "model": body.model or "", "fresh": body.fresh, "verify_every": body.verify_every}
    return await given.queue.submit(body.new_job(JobKind.ACCURACY, f"accuracy on {dataset.name}", who=who.name, asked=asked))
