"""The reference page of what a virtual bench is made of: `python -m labd_virtual.reference` writes it again."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labd_virtual import instruments
from labd_virtual.spec import BoardSpec, EngineSpec, FirmwareSpec

PAGE = Path(__file__).parents[2] / "docs/reference/virtual-bench.md"
UNITS = {"v": "V", "a": "A", "f": "F", "ohm": "ohm", "hz": "Hz", "s": "s", "c": "degC", "k": "1/K", "w": "K/W", "cycles": "cycles"}
FACTS = {  # of the board file, or of the bench file: the table need not say them again
    "supply_min_v": "`supply_min`",
    "power_on_v": "1.09 times `supply_min`",
    "supply_max_v": "`supply_max`",
    "capacitance_f": "`decoupling`",
    "series_ohm": "`series_resistance`",
    "clock_hz": "`clock`",
    "io_level_v": "of the bench file's links and lines",
    "ambient_c": "the bench file's `ambient`",
}
INTRO = """# Virtual bench

What stands in for instruments and a board where a bench file says `virtual`. Instruments answer over real sockets what the real ones
answer, their mistakes included; a board file's `[virtual]` table says which firmware runs and what the board draws. Errors of the
instruments are drawn once, within the limits that the bench file declares, by `seed`; the truth is the board's own account, and no code of
labd reads it.

This page is made from `instruments/labd_virtual/spec.py` by `python -m labd_virtual.reference`.
"""


def page() -> str:
    parts = [
        INTRO,
        "## Virtual instruments\n\n`virtual = NAME` in a table of `[instruments]`.\n\n| name | what it is |\n|---|---|",
        *(f"| `{name}` | {text} |" for name, text in personas()),
        "\n## `[virtual]` of a board file\n\nSI units, as the end of a key says. A key that is left out has its default, or follows a fact "
        "of the files.\n\n| key | default | allowed |\n|---|---|---|",
        "| `seed` | 1 | of what is drawn by chance |",
        *_rows(BoardSpec, "", FACTS),
        f"\n{_told(BoardSpec)}",
        "\n### `[virtual.engine]`\n\n| key | default | allowed |\n|---|---|---|",
        *_rows(EngineSpec, "", {}),
        f"\n{_told(EngineSpec)}",
        "\n### Firmware\n\n| key | default | allowed |\n|---|---|---|",
        *_rows(FirmwareSpec, "firmware_", {}, leave_out=("dir", "stock", "pin_log")),
        f"\n{_told(FirmwareSpec)}",
    ]
    return "\n".join(parts) + "\n"


def personas() -> Iterator[tuple[str, str]]:
    """Name and first sentence of each module that makes one."""
    for found in pkgutil.iter_modules(instruments.__path__):
        module = importlib.import_module(f"{instruments.__name__}.{found.name}")
        if hasattr(module, "create"):
            yield found.name, _first(module)


def _first(module: Any) -> str:
    return " ".join((module.__doc__ or "").strip().split("\n\n", maxsplit=1)[0].split())


def _told(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _rows(cls: type, prefix: str, facts: Mapping[str, str], *, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name in leave_out or dataclasses.is_dataclass(hints[field.name]):
            continue
        yield f"| `{prefix}{field.name}` | {facts.get(field.name) or _default(field.default)} | {_allowed(field, hints[field.name])} |"


def _default(value: object) -> str:
    if value is None:
        return "drawn"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float | int) else f'`"{value}"`'


def _allowed(field: dataclasses.Field[Any], hint: Any) -> str:
    limits = field.metadata
    if "words" in limits:
        return ", ".join(f'`"{word}"`' for word in limits["words"])
    if "low" in limits:
        unit = UNITS.get(field.name.rpartition("_")[2], "")
        return f"{limits['low']:g} to {limits['high']:g}{f' {unit}' if unit else ''}"
    return "true, false" if hint is bool else "text"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
