"""The RUN argument that every command about one run shares."""

from __future__ import annotations

from typing import Annotated

import typer

Run = Annotated[str, typer.Argument(help="Run id, a part of it from its beginning or end, or `latest`.", show_default=False)]
