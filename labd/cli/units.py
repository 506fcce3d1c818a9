"""`labd units` and `labd guard`: labd as services of systemd; `labd udev`: its instruments on USB."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from labd import host, resources
from labd.cli.json_option import Json, print_json
from labd.daemon import udev as udev_rules
from labd.daemon.guarding import journal_of, socket_of
from labd.daemon.opened import load_bench
from labd.errors import SafetyRefusal, StoreError

UNITS = ("labd-guard@.service", "labd@.service")
PLACEHOLDER = "@LABD@"


def register(app: typer.Typer) -> None:
    app.command("units")(units)
    app.command("guard")(guard)
    app.command("udev")(udev)


def units(
    folder: Annotated[Path, typer.Argument(help="Folder to write them to, such as /etc/systemd/system.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write the systemd units of the daemon and of its guard, for the labd that prints this. Replaces what an earlier one wrote."""
    paths = [folder / name for name in UNITS]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            text = (resources.path("fixtures") / "systemd" / path.name).read_text(encoding="utf-8")
            path.write_text(text.replace(PLACEHOLDER, f"{sys.executable} -m labd"), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json(paths)
        return
    for path in paths:
        print(path)
    print("\nfor a bench file /etc/labd/NAME.toml and a user labd:")
    print("     systemctl daemon-reload && systemctl enable --now labd-guard@NAME labd@NAME")


def udev(
    folder: Annotated[Path, typer.Argument(help="Folder to write them to, such as /etc/udev/rules.d.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write the rules of udev with which a user who is not root may use instruments on USB. Replaces what an earlier labd wrote."""
    path = folder / udev_rules.FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(udev_rules.rules(), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json([path])
        return
    print(f"{path}: {', '.join(udev_rules.sections(udev_rules.rules()))}")
    print("\nto take effect:")
    print("     udevadm control --reload-rules && udevadm trigger")


def guard(
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    group: Annotated[str | None, typer.Option("--group", help="Group whose members may ask this guard for the emergency stop.")] = None,
    as_json: Json = False,
) -> None:
    """Be the guard of BENCH, for a service manager: switch its outputs off when the process that uses it is killed or hangs."""
    found = load_bench(bench)
    if found.is_virtual:
        raise SafetyRefusal(f"{found.name} is virtual: its outputs end with the process that uses it, there is nothing to guard")
    if as_json:
        print_json({"socket": socket_of(found), "journal": journal_of(found)})
        sys.stdout.flush()
    if not host.HAS_GUARD:
        raise SafetyRefusal("labd has a guard on Linux only")
    where = ["--socket", str(socket_of(found)), "--journal", str(journal_of(found)), *(["--group", group] if group else [])]
    os.execv(sys.executable, [sys.executable, "-m", "labd.guard", *where])  # nothing of labd but the guard stays loaded
