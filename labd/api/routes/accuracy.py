"""Data sets, and how often the board is right on them."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from labd.accuracy.kept import KeptDataset, forget, kept_dataset, kept_datasets, take_in
from labd.accuracy.listed import AccuracyRun, accuracy_run, accuracy_runs
from labd.api.models import AccuracyBody, AccuracyId, DatasetId
from labd.api.routes.asked import Given, Who
from labd.api.routes.transfer import DISK_S, received
from labd.store.jobs import JobKind, JobRow, NewJob
from labd.stream.session import InstrumentSession

router = APIRouter(tags=["accuracy"])


@router.get("/datasets", operation_id="list_datasets")
async def datasets(given: Given) -> list[KeptDataset]:
    async with InstrumentSession("data sets") as disk:
        return await disk.call(partial(kept_datasets, given.catalogue.folder), deadline_s=DISK_S)


@router.post("/datasets", operation_id="send_dataset", status_code=201)
async def send(request: Request, given: Given) -> KeptDataset:
    """A zip of one folder, named as the data set: .bin inputs with their y_labels.csv, or without it. The same one twice is one."""
    return await received(given, request.stream(), take_in)


@router.delete("/datasets/{dataset_id}", operation_id="delete_dataset", status_code=204)
async def delete(dataset_id: DatasetId, given: Given) -> Response:
    """What was measured with it stays."""
    async with InstrumentSession("data sets") as disk:
        await disk.call(partial(forget, given.catalogue.folder, dataset_id), deadline_s=DISK_S)
    return Response(status_code=204)


@router.get("/accuracy", operation_id="list_accuracy_runs")
async def runs(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000, description="how many, the newest first")] = 100
) -> list[AccuracyRun]:
    async with InstrumentSession("accuracy runs") as disk:
        return await disk.call(partial(accuracy_runs, given.catalogue.folder, limit=limit), deadline_s=DISK_S)


@router.get("/accuracy/{session_id}", operation_id="get_accuracy_run")
async def run(session_id: AccuracyId, given: Given) -> AccuracyRun:
    async with InstrumentSession("accuracy runs") as disk:
        return await disk.call(partial(accuracy_run, given.catalogue.folder, session_id), deadline_s=DISK_S)


@router.post("/accuracy", operation_id="submit_accuracy", status_code=201)
async def submit(body: AccuracyBody, given: Given, who: Who) -> JobRow:
    """Into the queue: every sample is sent, and what is answered is scored. The job's `made` is the accuracy run's id."""
    async with InstrumentSession("data sets") as disk:
        dataset = await disk.call(partial(kept_dataset, given.catalogue.folder, body.dataset), deadline_s=DISK_S)
    asked = {"dataset": body.dataset, "model": body.model or "", "fresh": body.fresh, "verify_every": body.verify_every}
    return await given.queue.submit(
        NewJob(
            f"accuracy on {dataset.name}",
            "",
            kind=JobKind.ACCURACY,
            asked=json.dumps(asked),
            priority=body.priority,
            not_before_ns=body.not_before_ns,
            attended=body.attended,
            note=body.note,
            tags=tuple(body.tags),
            submitted_by=who.name,
        )
    )
