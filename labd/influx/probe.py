"""Whether the server takes a point and gives it back: what `labd check` tells of an `[influx]` table."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from labd.errors import LabdError
from labd.influx.answers import Verdict
from labd.influx.points import of_itself
from labd.influx.secrets import server_of
from labd.influx.section import InfluxSection
from labd.influx.transport import Transport, transport_of

MEASUREMENT = "check"
VISIBLE_S = 3.0
LOOK_S = 0.1


async def probe(section: InfluxSection, bench: str, folder: Path) -> tuple[bool | None, str]:
    """True: written and read back. None: written; the server answers no InfluxQL. False: not written. And what to say of it."""
    try:
        server = await asyncio.to_thread(server_of, section, folder)
    except LabdError as error:
        return False, str(error)
    t_ns = time.time_ns()
    where = f"{section.url}, database {section.database}"
    async with transport_of(section.api, server) as transport:
        answer = await transport.write(of_itself(MEASUREMENT, {"bench": bench}, t_ns, {"value": 1.5}), zipped=False)
        if answer.verdict is not Verdict.DELIVERED:
            return False, f"{where}: {answer.text}"
        return await _read_back(transport, section, t_ns, where)


async def _read_back(transport: Transport, section: InfluxSection, t_ns: int, where: str) -> tuple[bool | None, str]:
    end_s = time.monotonic() + VISIBLE_S
    policy = section.retention_policy
    of = f'"{policy}"."{MEASUREMENT}"' if policy else f'"{MEASUREMENT}"'
    while True:
        try:
            rows = await transport.query(f'SELECT "value" FROM {of} WHERE time = {t_ns}')
        except (OSError, ValueError) as error:
            return None, f"{where}: a test point was written; it cannot be read back: {error}"
        if any(row.get("value") == 1.5 for row in rows):
            return True, f"{where}: a test point was written and read back"
        if time.monotonic() > end_s:
            return None, f"{where}: a test point was written; the server does not show it (VictoriaMetrics answers no InfluxQL)"
        await asyncio.sleep(LOOK_S)
