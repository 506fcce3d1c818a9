"""`labd scan WHAT`: what a stored trace of any length adds up to, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.progress import Progress

from labd.analyse.scan import Asked, FoundBursts, Scanned, Spreaded, captures_of, scan_capture, scan_codes, scan_trace
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.cli.tables import in_text
from labd.client.connection import Connection
from labd.config.quantity import CURRENT, POWER, VOLTAGE, Kind, QuantityError, read_quantity
from labd.errors import FileError, NotFound
from labd.report.numbers import quantity
from labd.scan.onepass import Range
from labd.store.catalogue import Catalogue
from labd.store.jsonform import from_json

DIGITS = 5
FILES = (".parquet", ".arrows", ".toml")
Told = Callable[[int, int], None]


def register(app: typer.Typer) -> None:
    app.command("scan")(scan)


def scan(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            help="Run id, a part of it, or `latest`; or a file: a trace (.parquet, .arrows), or the TOML file of a raw capture.",
            show_default=False,
        ),
    ],
    capture: Annotated[int | None, typer.Option("--capture", help="Of the run, by its number; left out, every one.")] = None,
    threshold: Annotated[
        str | None, typer.Option("--threshold", help='Count bursts that begin at this power or current, such as "1 mW" or "500 uA".')
    ] = None,
    release: Annotated[str | None, typer.Option("--release", help="Where a burst ends; left out, at 90 % of the threshold.")] = None,
    voltage: Annotated[
        str | None, typer.Option("--voltage", help='Of a trace that has none, such as "3.3 V"; left out, what the run had set.')
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Add up a trace in one pass: duration, energy, charge, extremes and means, samples that are missing, and its bursts.

    It takes the time that its file takes to be read and the same memory however long it is. Figures are those of the samples as recorded.
    """
    asked = _asked(threshold, release, voltage)
    file = Path(what)
    with _progress() as told:
        if file.suffix in FILES:
            if capture is not None:
                raise FileError("--capture", "", f"is of a run, and {file} is a file")
            found = [scan_codes(file, asked, told) if file.suffix == ".toml" else scan_trace(file, asked, told)]
        else:
            daemon = named(context, within_s=None)
            if daemon is None:
                orders = _orders(store, what) if capture is None else [capture]
                found = [scan_capture(store, what, order, asked, told) for order in orders]
            else:
                with daemon:
                    found = list(_there(daemon, what, capture, asked))
    if as_json:
        print_json({"scans": found})
    else:
        print(in_text([line for one in found for line in (*lines_of(one), "")]), end="")


def _asked(threshold: str | None, release: str | None, voltage: str | None) -> Asked:
    """A level is of power or of the current, by its unit."""
    levels = {name: _level(name, text) for name, text in (("--threshold", threshold), ("--release", release)) if text is not None}
    kinds = {kind for _, kind in levels.values()}
    if len(kinds) > 1:
        raise FileError("--release", "", f"expected a level like --threshold {threshold!r}, got {release!r}")
    rise, fall = (levels[name][0] if name in levels else None for name in ("--threshold", "--release"))
    return Asked(rise, fall, "current" if CURRENT in kinds else "power", None if voltage is None else _read("--voltage", voltage, VOLTAGE))


def _level(option: str, text: str) -> tuple[float, Kind]:
    for kind in (POWER, CURRENT):
        try:
            return read_quantity(text, kind).value, kind
        except QuantityError:
            continue
    raise FileError(option, "", f'expected a power or a current such as "1 mW" or "500 uA", got {text!r}')


def _read(option: str, text: str, kind: Kind) -> float:
    try:
        return read_quantity(text, kind).value
    except QuantityError as error:
        raise FileError(option, "", str(error)) from error


def _orders(store: Path | None, run: str) -> list[int]:
    with Catalogue.open_read_only(store) as catalogue:
        orders = [row.order for row in captures_of(catalogue, run)]
    if not orders:
        raise NotFound(f"run {run} has no samples of any capture")
    return orders


def _there(daemon: Connection, run: str, capture: int | None, asked: Asked) -> Iterator[Scanned]:
    place = f"runs/{quote(run, safe='')}/captures"
    orders = [capture] if capture is not None else [row["order"] for row in daemon.asked("GET", place) if row["trace"]]
    if not orders:
        raise NotFound(f"run {run} has no samples of any capture")
    told: dict[str, Any] = {"rise": asked.rise, "fall": asked.fall, "of": asked.of, "voltage": asked.voltage_v}
    query = urlencode({name: value for name, value in told.items() if value is not None})
    for order in orders:
        yield from_json(Scanned, daemon.asked("GET", f"{place}/{order}/scan?{query}"))


@contextmanager
def _progress() -> Iterator[Told]:
    """On a terminal, and gone at the end."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("samples", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def lines_of(found: Scanned) -> list[str]:
    """A scan in words; what is lost stands before the figures."""
    lines = [found.name, f"  {_lasted(found)}"]
    if not found.complete:
        lines.append("  not complete: its recording goes on, or did not end properly")
    if found.gaps:
        lines.append(f"  LOST: {found.lost} samples in {_some(found.gaps, 'gap')} between stretches")
    if found.missing:
        lines.append(f"  WITHOUT A NUMBER (over-range): {_some(found.missing, 'sample')}, which count nothing")
    figures = (("energy", found.energy_j, "J"), ("charge", found.charge_c, "C"), ("current, root mean square", found.rms_a, "A"))
    lines += [f"  {name}: {quantity(value, unit, DIGITS)}" for name, value, unit in figures if value is not None]
    ranges = (("power", found.power, "W"), ("current", found.current, "A"), ("voltage", found.voltage, "V"))
    lines += [f"  {name}: {_range(one, unit)}" for name, one, unit in ranges if one is not None]
    if found.voltage_from != "measured" and found.samples:
        known = f"{quantity(found.voltage.mean, 'V', DIGITS)} is taken" if found.voltage else "so that energy and power are not known"
        lines.append(f"  the voltage was not recorded: {known}")
    return [*lines, *_bursts(found.bursts)]


def _lasted(found: Scanned) -> str:
    return (
        f"{quantity(found.duration_s, 's', DIGITS)}: {_some(found.samples, 'sample')} in {_some(found.stretches, 'stretch', 'stretches')}"
    )


def _bursts(bursts: FoundBursts | None) -> list[str]:
    if bursts is None:
        return []
    unit = "A" if bursts.of == "current" else "W"
    levels = f"from {quantity(bursts.rise, unit, DIGITS)} of {bursts.of} until {quantity(bursts.fall, unit, DIGITS)}"
    cut = f"; {bursts.cut} left out, cut by an end of a stretch or with a sample without a number" if bursts.cut else ""
    lines = [f"  {_some(bursts.count, 'burst')} {levels}{cut}"]
    for name, spread, of in (("energy", bursts.energy_j, "J"), ("length", bursts.length_s, "s")):
        if spread is not None:
            shares = ", ".join(f"{float(share):.0%} {quantity(value, of, DIGITS)}" for share, value in spread.quantiles.items())
            lines.append(f"    {name}: {_range(spread, of)}; of all {shares}; together {quantity(spread.total, of, DIGITS)}")
    return lines


def _range(one: Range | Spreaded, unit: str) -> str:
    low, mean, high = (quantity(value, unit, DIGITS) for value in (one.low, one.mean, one.high))
    return f"mean {mean}, {low} to {high}"


def _some(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
