"""The server of an `[influx]` table, with what its password or token files and variables hold now."""

from __future__ import annotations

from pathlib import Path

from labd.config.secret import authority, secret, token
from labd.influx.section import InfluxSection
from labd.influx.transport import Server


def server_of(section: InfluxSection, folder: Path) -> Server:
    """Raises FileError for a secret, or an authority, that is not there or none. folder: of the bench file."""
    return Server(
        url=section.url.rstrip("/"),
        database=section.database,
        retention_policy=section.retention_policy or "",
        organisation=section.organisation or "",
        username=section.username or "",
        password=secret(section, "influx", "password", folder) or "",
        token=token(section, "influx", folder),
        tls=None if section.tls_ca is None else authority(folder / section.tls_ca),
        timeout_s=section.timeout,
    )
