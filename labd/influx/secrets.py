"""The server of an `[influx]` table, with what its password or token files and variables hold now."""

from __future__ import annotations

from pathlib import Path

from labd.config.secret import secret
from labd.errors import FileError
from labd.influx.section import InfluxSection
from labd.influx.transport import Server


def server_of(section: InfluxSection, folder: Path) -> Server:
    """Raises FileError for a secret, or an authority, that is not there. folder: of the bench file."""
    ca = None if section.tls_ca is None else folder / section.tls_ca
    if ca is not None and not ca.is_file():
        raise FileError(str(ca), "", "there is no such file (influx.tls_ca)")
    return Server(
        url=section.url.rstrip("/"),
        database=section.database,
        retention_policy=section.retention_policy or "",
        organisation=section.organisation or "",
        username=section.username or "",
        password=secret(section, "influx", "password", folder) or "",
        token=secret(section, "influx", "token", folder) or "",
        tls_ca=ca,
        timeout_s=section.timeout,
    )
