"""How modules are called, how long they are, and what they import from outside."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "labd": ROOT / "labd",
    "labd_instruments": ROOT / "instruments/labd_instruments",
    "labd_virtual": ROOT / "instruments/labd_virtual",
}
GENERATED = ROOT / "labd/client/generated"
SOURCES = {
    path: path.read_text("utf-8")
    for folder in PACKAGES.values()
    for path in sorted(folder.rglob("*.py"))
    if not path.is_relative_to(GENERATED)
}
ALL = sorted([*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "dashboards").rglob("*.py")])
CEILING = 500
ONE_FILE = {"labd/agent.py"}  # somebody copies it to a board
EXTRAS = {
    ("labd/agent.py", "gpiod"),  # on the board, and only for its pins
    ("labd/dut/gpio_chip.py", "gpiod"),
    ("labd/dut/gpio_link.py", "gpiod"),  # who has not got it is told what to install
    ("labd/analyse/many.py", "distributed"),  # who has not got it is told what to install
    ("labd/models/onnx_file.py", "onnx"),  # who has not got it is told what to install
    ("labd/models/onnx_file.py", "google"),  # protobuf, which onnx brings
    ("labd/models/tflite_file.py", "tflite"),
    ("labd/models/nir_file.py", "nir"),
    ("labd/search/study.py", "optuna"),  # who has not got it is told what to install
    ("labd/compiled.py", "numba"),  # who has not got it gets the same from numpy
    ("labd/scan/compiled.py", "numba"),
    ("instruments/labd_instruments/drivers/_joulescope_link.py", "pyjoulescope_driver"),  # who has not got it is told what to install
}
SAY_NOTHING = {"utils", "util", "helper", "helpers", "manager", "managers", "common", "base", "misc", "core"}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_the_ceiling() -> None:
    assert {shown(path): lines for path in ALL if (lines := len(path.read_text("utf-8").splitlines())) > CEILING}.keys() == ONE_FILE


def test_no_module_and_no_folder_has_a_name_that_says_nothing() -> None:
    assert [shown(path) for path in ALL if SAY_NOTHING & {*path.relative_to(ROOT).parts[:-1], *path.stem.strip("_").split("_")}] == []


def test_every_module_says_in_a_sentence_what_it_is() -> None:
    silent = [shown(path) for path, text in SOURCES.items() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert silent == []


@pytest.mark.parametrize("folder", ["labd", "labd/kpi", "labd/segment", "labd/report", "labd/config"])
def test_a_package_that_pure_code_imports_from_imports_nothing_itself(folder: str) -> None:
    """The contracts do not see what a parent's `__init__` imports."""
    assert list(imported((ROOT / folder / "__init__.py").read_text("utf-8"))) == []


def test_the_agent_needs_python_3_9_and_nothing_else() -> None:
    text = (ROOT / "labd/agent.py").read_text("utf-8")
    ast.parse(text, feature_version=(3, 9))
    assert {name for name in imported(text) if name not in sys.stdlib_module_names} == {"gpiod"}
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n    case _: pass", feature_version=(3, 9))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_nothing_that_a_user_has_not_got(package: str) -> None:
    """A development environment hides a dependency that was never declared."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    declared = {plain(requirement.partition(">=")[0].partition("[")[0]) for requirement in requirements}
    distributions = packages_distributions()
    undeclared = {
        (shown(path), name)
        for path, text in SOURCES.items()
        for name in imported(text)
        if path.is_relative_to(PACKAGES[package])
        and name not in sys.stdlib_module_names | PACKAGES.keys()
        and not declared & {plain(distribution) for distribution in distributions.get(name, [])}
        and (shown(path), name) not in EXTRAS
    }
    assert {(path, name) for path, name in undeclared if name != "pydantic_core"} == set()  # pydantic's own other half


def plain(distribution: str) -> str:
    """Names that are written in different ways are the same."""
    return distribution.lower().replace("_", "-")


def imported(text: str) -> Iterator[str]:
    """Top-level name of everything a module imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            yield node.module.partition(".")[0]
