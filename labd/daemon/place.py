"""The file beside the catalogue that tells commands on this machine where the store's daemon listens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from labd.store.folder import write_whole

FILE = "daemon.json"


@dataclass(frozen=True, slots=True)
class Place:
    """url: base of the HTTP API, as this machine reaches it. certificate: its PEM file, by which it is known here; empty without TLS.

    pid: of the daemon; the file of one that was killed stays, its lock does not.
    """

    url: str
    certificate: str
    bench: str
    pid: int


def tell_place(store: Path, place: Place) -> None:
    """Raises StoreError."""
    write_whole(store / FILE, json.dumps(asdict(place)))


def forget_place(store: Path) -> None:
    """Only our own file."""
    path = store / FILE
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
            path.unlink()
    except (OSError, ValueError):
        return
