"""`labd model FILE`: what a model file says about the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labd.cli.json_option import Json, print_json
from labd.cli.runs import PIPED_WIDTH
from labd.models.read import model_figures


def register(app: typer.Typer) -> None:
    app.command("model")(model)


def model(
    file: Annotated[Path, typer.Argument(help="An ONNX, TFLite or NIR file, or a result of NeuroBench as JSON.")],
    as_json: Json = False,
) -> None:
    """Print what FILE says about its model: multiply-accumulates, parameters, bits, layers, sparsity, largest activation, footprint.

    ONNX, TFLite and NIR need `pip install 'labd[models]'`. Biases, activations and pooling count no multiply-accumulate; an operation is
    half of one. Of a NIR graph the work is that of one time step.
    """
    found = model_figures(file)
    if as_json:
        print_json(found)
        return
    made = Table()
    for name in ("id", "value", "unit", "what it is"):
        made.add_column(name, overflow="fold", no_wrap=name == "id", justify="right" if name == "value" else "left")
    for one in found:
        value = "not known" if one.value is None else f"{one.value:.12g}"
        made.add_row(*(Text(cell) for cell in (one.id, value, "" if one.unit == "1" else one.unit, one.definition)))
    console = Console()
    (console if console.is_terminal else Console(width=PIPED_WIDTH)).print(made)
