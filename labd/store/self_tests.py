"""The last self-test of each bench, as a file of its own in the store: runs that follow say what their instruments did then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labd.errors import StoreError
from labd.store.folder import file_slug, write_whole
from labd.store.jsonform import dump


def keep(folder: Path, bench_name: str, found: Mapping[str, Any]) -> None:
    """In place of an earlier one. found: JSON data. Raises StoreError."""
    path = _path(folder, bench_name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error
    write_whole(path, dump(found))


def last(folder: Path, bench_name: str) -> Mapping[str, Any] | None:
    """None where there is none, or none that can be read."""
    try:
        found = json.loads(_path(folder, bench_name).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _path(folder: Path, bench_name: str) -> Path:
    return folder / "self-tests" / f"{file_slug(bench_name)}.json"
