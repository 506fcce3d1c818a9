"""`labd agent`: the file that runs models on a Linux board, to be copied there."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.json_option import Json, print_json
from labd.errors import StoreError

FILE = "agent.py"


def register(app: typer.Typer) -> None:
    app.command("agent")(agent)


def agent(
    folder: Annotated[Path, typer.Argument(help="Folder to write agent.py to.")] = Path(),
    to_stdout: Annotated[bool, typer.Option("--print", help="Print it instead, such as for `ssh board 'cat > agent.py'`.")] = False,
    as_json: Json = False,
) -> None:
    """Write the agent, one file for Python 3.9 or newer and nothing else, with which a Linux board runs a model for labd.

    Replaces what an earlier labd wrote. `python3 agent.py --help` on the board says how to start it.
    """
    text = files("labd").joinpath(FILE).read_text(encoding="utf-8")
    if to_stdout:
        sys.stdout.write(text)
        return
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json([path])
        return
    print(path)
    print("\non the board, with a model in model.py:")
    print("     python3 agent.py --key-file agent.key --make-key")
    print("     python3 agent.py --key-file agent.key --callable model.py:infer --listen 0.0.0.0:8471")
