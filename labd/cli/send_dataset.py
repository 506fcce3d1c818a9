"""A data set on its way to a daemon, whose jobs find it in its store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from labd.accuracy.dataset import Dataset
from labd.accuracy.kept import pack
from labd.client.connection import Connection


def send_dataset(daemon: Connection, dataset: Dataset) -> str:
    """The id that it has there; the same one twice is one. Raises LabdError."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "dataset.zip"
        pack(dataset, packed)
        return str(daemon.upload("datasets", packed)["id"])
