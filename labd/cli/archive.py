"""`labd archive`, `annotate`, `delete`: what becomes of a run after it was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.client.connection import answer
from labd.client.generated.api.runs import annotate_run, get_run
from labd.client.generated.api.runs import delete_run as delete_there
from labd.client.generated.models.run_changes import RunChanges
from labd.errors import StoreError
from labd.queue.retention import delete_run
from labd.store import archive as archives
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder
from labd.store.rows import RunSummary

Tags = Annotated[list[str] | None, typer.Option("--tag", help="Add a tag; may be given several times. Runs tagged keep are kept.")]
Untags = Annotated[list[str] | None, typer.Option("--untag", help="Take a tag away; may be given several times.")]


def register(app: typer.Typer) -> None:
    app.command("archive")(archive)
    app.command("annotate")(annotate)
    app.command("delete")(delete)


def archive(
    context: typer.Context,
    run: Run,
    file: Annotated[Path | None, typer.Argument(help="File to write; left out, one named after the run.")] = None,
    store: Store = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run as one file, rows, traces and checksums: a backup, or the way to another store (`labd import`)."""
    daemon = named(context)
    if daemon is None:
        folder = store or default_folder()
        with Catalogue.open_read_only(folder) as catalogue:
            run_id = catalogue.runs.get(run).id
        path = _free(file or Path(f"{run_id}{archives.SUFFIX}"), force=force)
        archives.write(folder, run_id, path)
    else:
        with daemon:
            run_id = answer(get_run.sync_detailed(run, client=daemon.client)).id
            path = _free(file or Path(f"{run_id}{archives.SUFFIX}"), force=force)
            try:
                daemon.download(f"runs/{run_id}/archive", path)
            except OSError as error:
                raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    print_json({"run": run_id, "file": path}) if as_json else print(path)


def _free(path: Path, *, force: bool) -> Path:
    if path.exists() and not force:
        raise StoreError(f"{path} is there already and is left as it is; give another FILE, or --force to replace it")
    return path


def annotate(
    context: typer.Context,
    run: Run,
    store: Store = None,
    notes: Annotated[str | None, typer.Option("--notes", help="Replace the notes.")] = None,
    tag: Tags = None,
    untag: Untags = None,
    as_json: Json = False,
) -> None:
    """Change the notes and tags of a run, or show them."""
    daemon = named(context)
    if daemon is None:
        with Catalogue.open(store) as catalogue:
            catalogue.runs.annotate(run, notes=notes, add_tags=tag or (), remove_tags=untag or ())
            found = catalogue.runs.summary(run)
    else:
        body = RunChanges(notes=notes, add_tags=tag or [], remove_tags=untag or [])
        with daemon:
            found = RunSummary(**answer(annotate_run.sync_detailed(run, client=daemon.client, body=body)).to_dict())
    if as_json:
        print_json(found)
    else:
        print("\n".join((f"run   {found.id}", f"tags  {', '.join(found.tags)}", f"notes {found.notes}")))


def delete(
    context: typer.Context,
    run: Run,
    store: Store = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a run with its traces, for good. Refused while it goes on."""
    daemon = named(context)
    if daemon is None:
        with Catalogue.open(store) as catalogue:
            run_id = catalogue.runs.resolve(run)
            _ask(run_id, yes=yes)
            delete_run(catalogue, run_id)
    else:
        with daemon:
            run_id = answer(get_run.sync_detailed(run, client=daemon.client)).id
            _ask(run_id, yes=yes)
            answer(delete_there.sync_detailed(run_id, client=daemon.client))
    print_json({"deleted": run_id}) if as_json else print(f"{run_id} is deleted")


def _ask(run_id: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(f"delete run {run_id} with its traces?", abort=True, err=True)
