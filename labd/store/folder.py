"""Where a store lives on disk and what its files are called."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import platformdirs

from labd.errors import StoreError

CATALOGUE = "catalogue.sqlite"


def default_folder() -> Path:
    """The user's data folder of labd (platformdirs); not created here."""
    return Path(platformdirs.user_data_dir("labd", appauthor=False))


def slug(name: str, *, longest: int = 24) -> str:
    """Lower-case letters, digits and single hyphens; `run` when nothing of the name is left."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return text[:longest].strip("-") or "run"


def file_slug(name: str) -> str:
    """Like `slug`, but two names never share one: a name that slug changes gets a short hash."""
    text = slug(name)
    return text if text == name else f"{text}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def trace_name(run_id: str, order: int, role: str, attempt: int = 0) -> str:
    """Path of a capture's trace file relative to the store's folder, with forward slashes. A later attempt has a file of its own."""
    again = f"-{attempt + 1}" if attempt else ""
    return f"traces/{run_id}/{order:04d}-{slug(role)}{again}.parquet"


def write_whole(path: Path, text: str) -> None:
    """Aside and renamed: whoever reads it finds the old text or the new. Raises StoreError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error
