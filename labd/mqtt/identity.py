"""The name by which the broker knows a bench."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from labd.errors import StoreError
from labd.store.folder import slug, write_whole

FILE = "mqtt-client"


def identity(store: Path, bench: str) -> str:
    """The same after a restart, a power cut included: the broker then ends the session that was left half open when the new one comes,
    and not an hour later with a Last Will that is not true any more. Raises StoreError."""
    path = store / FILE
    try:
        kept = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
    except OSError as error:
        raise StoreError(f"{path}: the name for the broker cannot be read: {error.strerror or error}") from error
    if not re.fullmatch("[0-9a-f]{8}", kept):
        kept = secrets.token_hex(4)
        write_whole(path, f"{kept}\n")
    return f"labd-{slug(bench)}-{kept}"
