"""`labd init`: commented bench, board and plan files to start from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Final

import typer

from labd import resources
from labd.cli.json_option import Json, print_json
from labd.errors import FileError

TEMPLATES: Final = (
    "benches/demo.toml",
    "benches/n6705c.toml",
    "boards/virtual-m4.toml",
    "boards/my-board.toml",
    "plans/demo.toml",
    "plans/first.toml",
    "benches/virtual-stock.toml",
    "boards/virtual-stock.toml",
    "plans/stock.toml",
    "plans/mlperf-tiny-energy.toml",
    "benches/virtual-agent.toml",
    "boards/virtual-linux.toml",
    "plans/agent.toml",
    "agent/onnx_model.py",
    "agent/make_onnx_model.py",
    "cards/demo/dataset.toml",
    "cards/demo/hardware-virtual-m4.toml",
    "cards/demo/model-dnn.toml",
    "cards/demo/model-snn.toml",
    "cards/demo/setup.toml",
    "cards/demo/task.toml",
    "cards/demo/toolchain.toml",
    "cards/demo/use-case.toml",
)


def write_templates(folder: Path, force: bool = False) -> list[Path]:
    """Write the templates into `folder` (made when missing) and return their paths, in the order of TEMPLATES.

    Raises FileError, before anything is written, when one of them is there already and `force` is false; and when the folder cannot be
    written to.
    """
    targets = [folder / name for name in TEMPLATES]
    there = [target for target in targets if target.exists()]
    if there and not force:
        text = "exists already and is left as it is; give another folder, or --force to overwrite"
        raise FileError(str(there[0]), "", text, tuple(f"{target}: {text}" for target in there))
    for name, target in zip(TEMPLATES, targets, strict=True):
        _copy(resources.path("fixtures") / name, target)
    return targets


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        raise FileError(str(target), "", f"cannot be written: {error.strerror or error}") from error


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write the files into; made when missing.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Write commented bench, board, plan and card files to start from: one set for a virtual bench, one for your own."""
    paths = write_templates(folder, force)
    if as_json:
        print_json(paths)
        return
    for path in paths:
        print(path)
    print(f"\ntry: labd check {folder / 'benches/demo.toml'}")
    print(f"     labd run {folder / 'benches/demo.toml'} {folder / 'plans/demo.toml'}")
