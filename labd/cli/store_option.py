"""The `--store` option that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[
    Path | None, typer.Option("--store", envvar="LABD_STORE", help="Folder of the catalogue and traces; left out, the user's data folder.")
]
