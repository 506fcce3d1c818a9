"""`labd token NAME`: a new token for the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labd.api.tokens import Scope, make_token
from labd.cli.json_option import Json, print_json
from labd.errors import StoreError


def register(app: typer.Typer) -> None:
    app.command("token")(token)


def token(
    name: Annotated[str, typer.Argument(help="Who it is for: letters, digits, - and _.")],
    file: Annotated[Path, typer.Option("--file", help="The bench's file of tokens (server.tokens).")] = Path("tokens.toml"),
    scope: Annotated[Scope, typer.Option("--scope", help="read: look; control: also submit, move, abort, switch off.")] = Scope.READ,
    as_json: Json = False,
) -> None:
    """Make a token and print it, once: the file keeps its hash. Delete its table in the file to take it back."""
    try:
        made = make_token(file, name, scope)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror or error}") from error
    print_json({"name": name, "scope": scope, "token": made}) if as_json else print(made)
