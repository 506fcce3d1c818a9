"""`labd import` and `labd imported`: runs from archives, and figures of others from the files of their tools."""

from __future__ import annotations

import base64
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from labd.analyse.imported import imported_cards, take_in
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.client.connection import Connection
from labd.config.quantity import FRACTION, FREQUENCY, QuantityError, read_quantity
from labd.errors import FileError, StoreError
from labd.interchange.foreign import MOST_BYTES, Added
from labd.interchange.kinds import Kind
from labd.report.beside import given_text
from labd.store import archive as archives
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder
from labd.store.imported import forget

RUN = "run"
As = enum.StrEnum("As", {RUN.upper(): RUN, **{kind.name: str(kind) for kind in Kind}})  # type: ignore[misc]  # its members are the kinds
ZIP = b"PK"
MOST_FILES = 200
READ = (".txt", ".json", ".csv", ".bin", ".log")


def register(app: typer.Typer) -> None:
    app.command("import")(import_files)
    app.command("imported")(imported)


def import_files(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(help="File that `labd archive` wrote, or files of one result of another tool, or its folder.")
    ],
    kind: Annotated[As | None, typer.Option("--as", help="What the files are; left out, by what is in them.")] = None,
    name: Annotated[str, typer.Option("--name", help="Of the device; left out, as the files name it.")] = "",
    model: Annotated[str, typer.Option("--model", help="The net that the figures hold for, as plans name it.")] = "",
    clock: Annotated[str, typer.Option("--clock", help='Of a simulated design, such as "200 MHz": its cycles become time.')] = "",
    inferences: Annotated[int | None, typer.Option("--inferences", min=1, help="Of each window of a trace whose log is not there.")] = None,
    meter_limit: Annotated[str, typer.Option("--meter-limit", help='Limit of error of the meter of a trace, such as "2 %".')] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the cards; left out, the store keeps them.")] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Take in a run from an archive, checked whole first, or figures of others: as cards that keep source and provenance, shown beside the
    measured ones by `labd tables beside` and in reports of the same net, and never ranked.
    """
    if kind is As.RUN or (kind is None and _is_archive(files)):  # type: ignore[attr-defined]
        _import_run(context, files, store, as_json=as_json)
        return
    read = _read(files)
    asked = Added(name, model, _quantity(clock, "--clock"), inferences, _quantity(meter_limit, "--meter-limit"))
    daemon, wanted = named(context), None if kind is None else Kind(str(kind))
    if daemon is not None:
        with daemon:
            cards = _there(daemon, read, wanted, asked, keep=out is None)
    else:
        folder = store or default_folder()
        if out is None:
            with Catalogue.open(folder):  # made where there is none yet
                pass
        taken = take_in(read, wanted, asked, store=folder if out is None else None)[1]
        cards = [{"id": one.id, "text": one.text, "card": dict(one.card)} for one in taken]
    if out is not None:
        for card in cards:
            card["file"] = _put(out, card)
    if as_json:
        print_json([{key: card[key] for key in ("id", "file", "card") if key in card} for card in cards])
    else:
        print("\n".join(line for card in cards for line in _told(card)))


def _is_archive(files: list[Path]) -> bool:
    if len(files) != 1 or files[0].is_dir():
        return False
    try:
        with files[0].open("rb") as file:
            return file.read(2) == ZIP or files[0].suffix == ".zip"
    except OSError:
        return files[0].suffix == ".zip"


def _import_run(context: typer.Context, files: list[Path], store: Path | None, *, as_json: bool) -> None:
    if len(files) != 1:
        raise FileError("labd import", "", f"expected one archive of a run, got {len(files)} files")
    (file,) = files
    if not file.is_file():
        raise FileError(str(file), "", "there is no such file; give one that `labd archive` wrote")
    try:
        run_id = _taken_in(file, named(context), store or default_folder())
    except StoreError as error:
        raise StoreError(f"{file}: {error}") from error
    print_json({"run": run_id}) if as_json else print(run_id)


def _taken_in(file: Path, daemon: Connection | None, folder: Path) -> str:
    if daemon is not None:
        with daemon:
            return str(daemon.upload("runs/import", file)["run"])
    with Catalogue.open(folder):  # made where there is none yet
        pass
    return archives.read(file, folder)


def _read(paths: list[Path]) -> dict[str, bytes]:
    """Every file by its name as given; of a folder those of its own that can be one. Raises FileError."""
    found: dict[str, bytes] = {}
    for path in paths:
        inside = sorted(one for one in path.iterdir() if one.suffix in READ and one.is_file()) if path.is_dir() else [path]
        if not inside:
            raise FileError(str(path), "", f"this folder holds no file whose name ends in {', '.join(READ)}")
        for one in inside:
            try:
                if one.stat().st_size > MOST_BYTES:
                    raise FileError(str(one), "", f"expected at most {MOST_BYTES >> 20} MiB, got {one.stat().st_size >> 20} MiB")
                found[str(one)] = one.read_bytes()
            except OSError as error:
                raise FileError(str(one), "", f"cannot be read: {error.strerror or error}") from error
    if len(found) > MOST_FILES:
        raise FileError("labd import", "", f"expected at most {MOST_FILES} files, got {len(found)}")
    return found


def _quantity(text: str, option: str) -> float | None:
    if not text:
        return None
    try:
        value = read_quantity(text, FREQUENCY if option == "--clock" else FRACTION).value
    except QuantityError as error:
        raise FileError(option, "", str(error)) from error
    if value <= 0:
        raise FileError(option, "", f"expected more than 0, got {text!r}")
    return value


def _there(daemon: Connection, files: Mapping[str, bytes], kind: Kind | None, asked: Added, *, keep: bool) -> list[dict[str, Any]]:
    """Files go by their last names: what lies above them is nobody else's."""
    body = {
        "files": [{"name": Path(name).name, "content": base64.b64encode(data).decode()} for name, data in files.items()],
        "kind": None if kind is None else str(kind),
        "name": asked.name,
        "model": asked.model,
        "clock_hz": asked.clock_hz,
        "inferences": asked.inferences,
        "meter_limit": asked.meter_limit,
        "keep": keep,
    }
    found: list[dict[str, Any]] = daemon.asked("POST", "imports", body)["cards"]
    return found


def _put(folder: Path, card: Mapping[str, Any]) -> Path:
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in str(card["card"]["name"])).strip(".-") or "card"
    path = folder / f"{name[:60]}.toml"
    if path.exists():
        raise StoreError(f"{path} is there already and is left as it is; give another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(str(card["text"]), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _told(card: Mapping[str, Any]) -> list[str]:
    """Where it is kept, and each of its figures in a line."""
    head = f"{card.get('file') or card['id']}: {card['card']['card']} card of {card['card']['name']}"
    return [head, *(f"    {given_text(one)}" for one in card["card"]["given"])]


def imported(
    context: typer.Context,
    remove: Annotated[str | None, typer.Option("--remove", metavar="ID", help="Forget one of them, for good.")] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """List the figures of others that the store keeps."""
    daemon, folder = named(context), store or default_folder()
    if remove is not None:
        if daemon is None:
            forget(folder, remove)
        else:
            with daemon:
                daemon.asked("DELETE", f"imports/{remove}")
        print_json({"removed": remove}) if as_json else print(f"{remove} is forgotten")
        return
    if daemon is None:
        cards = [{"id": one.id, "text": one.text, "card": dict(one.card)} for one in imported_cards(folder)]
    else:
        with daemon:
            cards = daemon.asked("GET", "imports")
    if as_json:
        print_json([{"id": card["id"], "card": card["card"]} for card in cards])
    elif cards:
        print("\n".join(line for card in cards for line in _told(card)))
    else:
        print("nothing of others is kept in this store; labd import FILE takes something in")
