"""`--json`: what a command found, for programs. Every command's standard output is then one JSON document."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def print_json(found: Any) -> None:
    """Records, paths and enumerations as the HTTP API writes them."""
    from labd.store.jsonform import to_json  # with numpy: not before a command has something to print

    print(json.dumps(to_json(found)))
