"""The server of an `[influx]` table, with what its password or token files and variables hold now."""

from __future__ import annotations

import os
from pathlib import Path

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
        password=_secret("password", section.password_env, section.password_file, folder),
        token=_secret("token", section.token_env, section.token_file, folder),
        tls_ca=ca,
        timeout_s=section.timeout,
    )


def _secret(name: str, variable: str | None, file: str | None, folder: Path) -> str:
    if variable is not None:
        if variable not in os.environ:
            raise FileError("influx", f"{name}_env", f"there is no environment variable {variable}")
        return os.environ[variable]
    if file is None:
        return ""
    try:
        return (folder / file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FileError(str(folder / file), "", f"cannot be read: {error.strerror or error}") from error
