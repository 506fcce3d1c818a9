"""The reference is what the code says: command line and exit codes. (The three files' pages: tests/bench_file.)"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.models import OptionInfo

from labd.cli.main import run_command
from labd.cli.reference import PAGE, commands, page, parameters
from labd.errors import LabdError
from labd.search.errors import BuilderFailure
from labd.store.database import open_database
from labd.store.schema import VERSION

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
NAMES = [name for name, _ in commands()]


def test_the_page_of_the_command_line_is_current() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(), "python -m labd.cli.reference writes it again"


def test_the_page_lists_the_commands_that_help_lists(capfd: pytest.CaptureFixture[str]) -> None:
    run_command(["--help"])
    listed = re.findall(r"(?m)^[│ ]+([a-z]+)  ", capfd.readouterr().out)
    assert set(listed) == {name.split()[0] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_every_option_that_help_has(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    run_command([*name.split(), "--help"])
    section = page().split(f"## `labd {name}")[1].partition("\n## ")[0]
    text = re.sub(r"(?m)^.*Usage:.*$", "", capfd.readouterr().out)  # names the program as it was started, which is pytest
    helped = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) - {"--help", "-h"}
    assert helped - set(re.findall(r"--?[a-z][a-z-]*", section)) == set()


def test_every_option_and_argument_has_its_sentence() -> None:
    silent = [(name, parameter) for name, function in commands() for parameter, _, info, _ in parameters(function) if not info.help]
    assert silent == []


def test_options_have_no_second_meaning() -> None:
    """The same short letter means the same long option everywhere."""
    meanings: dict[str, set[str]] = {}
    for _, function in commands():
        for parameter, _, info, _ in parameters(function):
            for word in (info.param_decls or ()) if isinstance(info, OptionInfo) else ():
                if not word.startswith("--"):
                    meanings.setdefault(word, set()).add(parameter)
    assert {word: names for word, names in meanings.items() if len(names) > 1} == {}


def kinds(kind: type[LabdError] = LabdError) -> Iterator[type[LabdError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def test_every_exit_code_is_documented_and_no_other() -> None:
    documented = {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", (REFERENCE / "exit-codes.md").read_text("utf-8"))}
    known = set(kinds())
    assert BuilderFailure in known, "what no module has imported is not found"
    assert documented == {0} | {kind.exit_code for kind in known}


def test_every_table_and_version_of_the_catalogue_is_documented(tmp_path: Path) -> None:
    database = open_database(tmp_path / "catalogue.sqlite")
    tables = {row["name"] for row in database.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    database.close()
    heads = re.findall(r"(?m)^\| ([^|]+) \|", (REFERENCE / "store.md").read_text("utf-8"))
    assert tables - {name for head in heads for name in re.findall(r"`(\w+)`", head)} == set()
    assert [int(head) for head in heads if head.isdigit()] == list(range(1, VERSION + 1))


def test_the_readme_points_at_every_folder_of_the_documentation() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    folders = [path.name for path in (ROOT / "docs").iterdir() if path.is_dir() and path.name != "pictures"]
    assert [name for name in folders if f"](docs/{name}/" not in readme] == []
