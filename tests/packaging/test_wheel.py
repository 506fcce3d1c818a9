"""What the wheel holds, and what it does not."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "labd": ROOT / "labd",
    "labd_instruments": ROOT / "instruments/labd_instruments",
    "labd_virtual": ROOT / "instruments/labd_virtual",
}
DATA = ("firmware", "fixtures", "grafana/dashboards")
LEFT_BEHIND = (".pyc", ".o", ".so", ".whl", ".parquet", ".arrows", ".sqlite")


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_below(folder: Path, pattern: str = "*") -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_of_a_package_is_in_the_wheel(names: set[str], package: str) -> None:
    modules = files_below(PACKAGES[package], "*.py")
    assert "__init__.py" in modules
    assert {f"{package}/{name}" for name in modules} - names == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_annotations_of_a_package(names: set[str], package: str) -> None:
    assert f"{package}/py.typed" in names


@pytest.mark.parametrize("folder", DATA)
def test_every_file_of_a_data_folder_is_in_the_wheel(names: set[str], folder: str) -> None:
    files = files_below(ROOT / folder)
    assert files
    assert {f"labd/_data/{folder}/{name}" for name in files} - names == set()


def test_the_schema_of_the_result_is_in_the_wheel(names: set[str]) -> None:
    assert "labd/report/result.schema.json" in names


def test_the_licence_of_every_library_in_the_page_goes_with_it(wheel: Path) -> None:
    libraries = json.loads((ROOT / "web/package.json").read_text("utf-8"))["dependencies"]
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("labd/api/page/LICENSES.txt").decode()
    named = dict(re.findall(r"(?m)^(\S+) (\d[\d.]*) \(MIT\)$", text))
    assert {name: named.get(name) for name in libraries} == libraries
    assert text.count("Permission is hereby granted") == text.count("THE SOFTWARE IS PROVIDED") == len(named)


def test_nothing_else_is_in_the_wheel(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert [name for name in names if name.endswith(LEFT_BEHIND) or "__pycache__" in name] == []


@pytest.mark.parametrize("folder", ["instruments", "firmware", "fixtures", "grafana"])
def test_a_folder_of_the_checkout_is_no_package(folder: str) -> None:
    """An `instruments` package would hide another distribution's of that name."""
    assert not (ROOT / folder / "__init__.py").exists()
