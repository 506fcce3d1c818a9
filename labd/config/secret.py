"""What a table of a bench file only names: a secret in a variable or a file, the authority that a server is checked against."""

from __future__ import annotations

import os
import re
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
        return os.environ[variable].strip()
    if file is None:
        return None
    try:
        return (folder / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(str(folder / file), "", f"cannot be read: {error}") from error


def token(section: Section, table: str, folder: Path) -> str:
    """Of the keys `token_env` and `token_file`, as a header can carry it; empty where neither is given. Raises FileError, which never
    shows any of it."""
    found = secret(section, table, "token", folder) or ""
    if not re.fullmatch(r"[!-~]*", found):
        key = "token_env" if getattr(section, "token_env", None) is not None else "token_file"
        raise FileError(table, key, "what it names is no token: tokens are printable ASCII without spaces")
    return found


def authority(path: Path | None) -> ssl.SSLContext:
    """None: whom this machine trusts. Raises FileError for what is no PEM file."""
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise FileError(str(path), "", f"is no PEM file of an authority: {error}") from error
