"""Where the guard of a bench serves. Imports little: an emergency stop looks here before it loads the rest."""

from __future__ import annotations

import os
from pathlib import Path

from labd.store.folder import default_folder, file_slug

SERVICE_RUNTIME, SERVICE_DATA = Path("/run/labd"), Path("/var/lib/labd")  # of the units in fixtures/systemd


def socket_place(file: Path, name: str, wanted: str | Path | None) -> Path:
    """file: of the bench, name: its name. wanted: `[guard] socket`, relative to the file; without one a place by the bench's name."""
    if wanted is not None:
        return file.parent / wanted
    runtime = os.environ.get("XDG_RUNTIME_DIR")  # without one platformdirs would take a folder that others can write to
    return (Path(runtime) / "labd" if runtime else default_folder()) / _socket_name(name)


def socket_places(file: Path, name: str, wanted: str | Path | None) -> list[Path]:
    """Where one may serve, whoever started it: also where the units of `labd units` have theirs."""
    found = [socket_place(file, name, wanted)]
    if wanted is None and (of_service := SERVICE_RUNTIME / _socket_name(name)) not in found:
        found.append(of_service)
    return found


def _socket_name(name: str) -> str:
    return f"guard-{file_slug(name)}.sock"
