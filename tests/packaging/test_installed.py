"""The wheel alone, in an environment of its own and outside the checkout, does what the README says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.packaging.conftest import Installed

ROOT = Path(__file__).parents[2]


def test_only_the_wheel_is_imported(installed: Installed) -> None:
    code = "import labd, labd_instruments, labd_virtual as v; print(labd.__file__, labd_instruments.__file__, v.__file__, sep='\\n')"
    ended = installed.python("-c", code)
    assert ended.stderr == ""
    assert all(Path(line).is_relative_to(installed.folder) for line in ended.stdout.split())


def test_help_is_printed(installed: Installed) -> None:
    ended = installed.labd("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage: labd" in ended.stdout


@pytest.mark.compiler
def test_a_bench_that_init_has_written_passes_check(installed: Installed) -> None:
    ended = installed.labd("init", "mine")
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = installed.labd("check", "mine/benches/demo.toml")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def demo(installed: Installed) -> Path:
    ended = installed.labd("demo", "--out", "demo", "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return installed.outside / "demo"


@pytest.mark.compiler
def test_the_demo_writes_its_report(demo: Path) -> None:
    report = {path.name: path for path in demo.rglob("*") if path.is_file()}
    assert report["report.html"].read_text("utf-8").startswith("<!")
    assert json.loads(report["result.json"].read_text("utf-8"))


@pytest.mark.compiler
def test_what_the_documentation_does_with_exported_data_works(installed: Installed, demo: Path) -> None:
    ended = installed.labd("export", "latest", "--store", str(demo / "store"), "--out", "data")
    assert ended.returncode == 0, ended.stderr
    (example,) = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "docs/how-to/use-the-data.md").read_text("utf-8"))
    ended = installed.python("-c", f"import os; os.chdir('data')\n{example}")
    assert ended.stderr == ""
    powers = {tuple(line.split()[:2]): float(line.split()[3]) for line in ended.stdout.splitlines()}
    assert 0 < powers["event_sleep", "0.5"] < powers["always_on", "0.5"] < powers["always_on", "35.0"] < 0.1


def test_errors_are_a_line_there_too(installed: Installed) -> None:
    ended = installed.labd("check", "none.toml")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr
