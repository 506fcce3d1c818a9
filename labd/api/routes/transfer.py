"""A run as one file, out and in, without ever holding it in memory."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from labd.api.services import Services
from labd.store import archive
from labd.stream.session import InstrumentSession

CHUNK = 1 << 20
DISK_S = 600.0


async def archive_of(given: Services, run_id: str) -> AsyncIterator[bytes]:
    """The archive's bytes; the file is gone when they have been read, or are not wanted any more."""
    path = given.catalogue.folder / archive.TRANSFER / f"{run_id}-{secrets.token_hex(4)}{archive.SUFFIX}"
    async with InstrumentSession("archive") as disk:
        await disk.call(archive.write, given.catalogue.folder, run_id, path, deadline_s=DISK_S)

    async def chunks() -> AsyncIterator[bytes]:
        async with InstrumentSession("archive") as reading:
            file = await reading.call(path.open, "rb", deadline_s=DISK_S)
            try:
                while data := await reading.call(file.read, CHUNK, deadline_s=DISK_S):
                    yield data
            finally:
                file.close()
                path.unlink(missing_ok=True)

    return chunks()


async def received(given: Services, stream: AsyncIterator[bytes]) -> str:
    """Take in an archive; returns the run's id. Raises StoreError."""
    path = given.catalogue.folder / archive.TRANSFER / f"in-{secrets.token_hex(4)}{archive.SUFFIX}"
    async with InstrumentSession("archive") as disk:
        try:
            await disk.call(_begun, path, deadline_s=DISK_S)
            async for data in stream:
                await disk.call(_appended, path, data, deadline_s=DISK_S)
            return await disk.call(archive.read, path, given.catalogue.folder, deadline_s=DISK_S)
        finally:
            path.unlink(missing_ok=True)


def _begun(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _appended(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
