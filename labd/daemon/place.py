"""The file beside the catalogue that tells commands on this machine where the store's daemon listens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

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
    """Written whole or not at all. Raises OSError."""
    path = store / FILE
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(place)), encoding="utf-8")
    part.replace(path)


def forget_place(store: Path) -> None:
    """Only our own file."""
    path = store / FILE
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
            path.unlink()
    except (OSError, ValueError):
        return
