"""A run as one file, out and in, and a data set in, without ever holding it in memory."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from labd.api.services import Services
from labd.errors import FileError
from labd.models.graph import ModelFigure
from labd.models.read import model_figures
from labd.queue.retention import TRACES, check_space, size_of
from labd.store import archive
from labd.stream.session import InstrumentSession

T_co = TypeVar("T_co", covariant=True)

CHUNK = 1 << 20
DISK_S = 600.0
MODEL_S = 120.0


class TakesIn(Protocol[T_co]):
    """A file into a store. room: told how many bytes will be unpacked."""

    def __call__(self, path: Path, store: Path, /, *, room: Callable[[int], None]) -> T_co: ...


class ArchiveResponse(StreamingResponse):
    """An archive's bytes. Its file is closed with the answer, also where the client is gone before the first byte."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        super().__init__(self._chunks(), media_type="application/zip", headers=headers)
        self._file = file
        self._disk = InstrumentSession("archive")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._disk:
                await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while data := await self._disk.call(self._file.read, CHUNK, deadline_s=DISK_S):
            yield data


async def from_disk(work: Callable[[], T_co]) -> T_co:
    """Blocking work on files, in a thread of its own."""
    async with InstrumentSession("files") as disk:
        return await disk.call(work, deadline_s=DISK_S)


async def archive_of(given: Services, run_id: str) -> ArchiveResponse:
    """The archive of a run. Raises NotFound, StoreError, also before the disk has less than storage.least_free."""
    path = given.catalogue.folder / archive.TRANSFER / f"{run_id}-{secrets.token_hex(4)}{archive.SUFFIX}"
    async with InstrumentSession("archive") as disk:
        file = await disk.call(_written, given.catalogue.folder, run_id, path, given.least_free, deadline_s=DISK_S)
    return ArchiveResponse(file, f"{run_id}{archive.SUFFIX}")


async def received(given: Services, stream: AsyncIterator[bytes], take_in: TakesIn[T_co]) -> T_co:
    """Take in a zip; returns what of. Raises StoreError, also before the disk has less than storage.least_free."""
    path = given.catalogue.folder / archive.TRANSFER / f"in-{secrets.token_hex(4)}{archive.SUFFIX}"
    room = partial(check_space, given.catalogue.folder, least_free=given.least_free, what="the import")
    async with InstrumentSession("archive") as disk:
        try:
            await disk.call(_begun, path, deadline_s=DISK_S)
            async for data in stream:
                await disk.call(_appended, path, data, room, deadline_s=DISK_S)
            return await disk.call(partial(take_in, path, given.catalogue.folder, room=room), deadline_s=DISK_S)
        finally:
            path.unlink(missing_ok=True)


async def figures_of_model(given: Services, stream: AsyncIterator[bytes], ending: str) -> tuple[ModelFigure, ...]:
    """Of a model file that is sent; nothing of it is kept. It is read in the process that computes, which a hostile file may end.

    Raises FileError for one that cannot be read, StoreError before the disk has less than storage.least_free.
    """
    path = given.catalogue.folder / archive.TRANSFER / f"in-{secrets.token_hex(4)}.{ending}"
    room = partial(check_space, given.catalogue.folder, least_free=given.least_free, what="the model")
    async with InstrumentSession("model") as disk:
        try:
            await disk.call(_begun, path, deadline_s=DISK_S)
            async for data in stream:
                await disk.call(_appended, path, data, room, deadline_s=DISK_S)
            return await given.worker.call(model_figures, path, deadline_s=MODEL_S)
        except FileError as error:
            raise FileError("the model", "", str(error).replace(f"{path}: ", "")) from error
        finally:
            path.unlink(missing_ok=True)


def _written(store: Path, run_id: str, path: Path, least_free: int) -> BinaryIO:
    """Open for reading and without a name: however the answer ends, nothing is left in the folder."""
    check_space(store, size_of(store / TRACES / run_id), least_free, what="the archive")
    archive.write(store, run_id, path)
    file = path.open("rb")
    path.unlink()
    return file


def _begun(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _appended(path: Path, data: bytes, room: Callable[[int], None]) -> None:
    room(len(data))
    with path.open("ab") as file:
        file.write(data)
