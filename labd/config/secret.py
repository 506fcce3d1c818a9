"""What a table of a bench file only names: a secret in a variable or a file, the authority that a server is checked against."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from labd.config.section import Section
from labd.errors import FileError


def secret(section: Section, table: str, name: str, folder: Path) -> str | None:
    """Of the keys `NAME_env` and `NAME_file` of a table; None where neither is given. folder: what paths in it are relative to.

    Raises FileError for a variable or a file that is not there.
    """
    variable: str | None = getattr(section, f"{name}_env")
    file: str | None = getattr(section, f"{name}_file")
    if variable is not None:
        if variable not in os.environ:
            raise FileError(table, f"{name}_env", f"there is no environment variable {variable}")
        return os.environ[variable]
    if file is None:
        return None
    try:
        return (folder / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(str(folder / file), "", f"cannot be read: {error}") from error


def authority(path: Path | None) -> ssl.SSLContext:
    """None: whom this machine trusts. Raises FileError for what is no PEM file."""
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise FileError(str(path), "", f"is no PEM file of an authority: {error}") from error
