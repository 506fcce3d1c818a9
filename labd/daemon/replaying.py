"""A run out of a store to the InfluxDB of a bench, with a daemon or without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from labd.bench_file import Bench
from labd.errors import FileError
from labd.influx.replay import Raw, Sent, Stored, replay
from labd.influx.secrets import server_of
from labd.influx.transport import transport_of
from labd.store.catalogue import Catalogue
from labd.stream.session import InstrumentSession

DISK_S = 60.0


async def replayed(bench: Bench, store: Path | None, run_id: str, *, raw: Raw | None, show: Callable[[Sent], None]) -> Sent:
    """Everything of a run, or a window of its samples; show: after each request. Raises LabdError."""
    section = bench.influx
    if section is None:
        raise FileError(str(bench.path), "influx", "this table is required to replay a run to InfluxDB")
    sent = Sent(0, 0)
    async with InstrumentSession("replay") as reader:
        server = await reader.call(partial(server_of, section, bench.path.parent), deadline_s=DISK_S)
        catalogue = await reader.call(partial(Catalogue.open_read_only, store), deadline_s=DISK_S)
        try:
            async with transport_of(section.api, server) as transport:
                async for sent in replay(Stored(catalogue, reader, run_id), section, transport, raw=raw):
                    show(sent)
        finally:
            await reader.call(catalogue.close, deadline_s=DISK_S)
    return sent
