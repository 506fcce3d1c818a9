"""The reference pages of the three files, of cards and of fairness rules: `python -m labd.bench_file.reference` writes them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from labd.bench_file.bench import Bench
from labd.bench_file.board import Board
from labd.bench_file.plan import Plan
from labd.cards.kinds import KINDS
from labd.cards.rules import RULES
from labd.cards.template import schema
from labd.config.reference import reference

_QUANTITIES = (
    'Quantities are written in quotes, with their unit: `"3.3 V"`, `"50 uA"`, `"5 /min"`, `"25 %"`, `"225 mAh"`. '
    "Where a key may have `+-`, the half width is a limit: the value certainly lies within it, and its standard uncertainty is the half "
    'width divided by the square root of 3 (JCGM 100:2008, 4.3.7). A half width may be a percentage of the value (`"4.7 uF +- 10 %"`); '
    "of a fraction it is percentage points, of a temperature kelvin."
)
_MADE = "This page is made from the models in `labd/bench_file` by `python -m labd.bench_file.reference`."


def pages() -> Mapping[str, str]:
    """File name to Markdown text."""
    bench = (
        "The wiring of one bench: instruments, links, lines, and the limits that nothing can widen. A bench is all virtual or all real. "
        "Exactly one instrument is the source and one the meter (it may be the same one); one more may cross-check steady means."
    )
    board = "What the device under test is, as its hardware card would say it."
    plan = (
        "What to measure. Every combination of mode, rate, supply and model is an operating point. `event_gated` is refused in this "
        "version, and so are rates without `0 /s`: the floor anchors every fit over the rates."
    )
    return {
        "bench-file.md": reference(Bench, "Bench file", _intro(bench)),
        "board-file.md": reference(Board, "Board file", _intro(board)),
        "plan-file.md": reference(Plan, "Plan file", _intro(plan)),
        "cards.md": _cards(),
        "fairness.md": _fairness(),
        "cards.schema.json": json.dumps(schema(), indent=1) + "\n",
    }


def _cards() -> str:
    intro = (
        "The deployment pipeline, disclosed and machine readable. A board file names its hardware card (`card`), a plan the others "
        "(`[cards]`); a run stores them, and its report says what is not told, field by field, with the reason. `labd cards new KIND` "
        "writes one to fill in, `labd cards check FILE` says what is wrong with it and what it leaves out. As JSON Schema: "
        "[cards.schema.json](cards.schema.json)."
    )
    parts = [reference(model, model.kind.removeprefix("a ").capitalize(), (model.__doc__ or "").strip()) for model in KINDS.values()]
    below = [part.replace("\n## ", "\n### ").replace("# ", "## ", 1) for part in parts]
    return "\n".join([f"# Cards\n\n{intro}\n\n{_QUANTITIES}\n\n{_MADE}\n", *below])


def _fairness() -> str:
    intro = (
        "What `labd compare` holds runs against, one row a rule. The ids are those of the project's metrology notes; the reasons name the "
        'section of the white paper "Benchmarking neuromorphic computing for inference" (in brackets) or a standard. `refuse`: the figures '
        "concerned do not stand beside each other. `flag`: they do, with what a reader has to know. `tell`: good to know. The column says "
        "the severest that a rule can give. How to use it: [Compare runs](../how-to/compare-runs.md)."
    )
    made = "This page is made from `labd/cards/rules.py` by `python -m labd.bench_file.reference`."
    rows = [f"| {one.id} | {one.severity} | {one.title} | {one.asks} | {one.why} |" for one in RULES]
    table = "\n".join(["| rule | at most | title | what has to hold | why |", "|---|---|---|---|---|", *rows])
    return f"# Fairness rules\n\n{intro}\n\n{made}\n\n{table}\n"


def write_pages(folder: Path) -> list[Path]:
    """Write the pages into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages()]


def _intro(text: str) -> str:
    return f"{text}\n\n{_QUANTITIES}\n\n{_MADE}"


if __name__ == "__main__":
    write_pages(Path(__file__).parents[2] / "docs" / "reference")
