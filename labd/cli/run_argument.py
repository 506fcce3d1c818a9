"""The RUN argument that every command about one run shares."""

from __future__ import annotations

from typing import Annotated

import typer

RUN_HELP = "Run id, a part of it from its beginning or end, or `latest`."
Run = Annotated[str, typer.Argument(help=RUN_HELP, show_default=False)]
