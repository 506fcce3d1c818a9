"""The import contracts hold, and each of them can break."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
IGNORED = shutil.ignore_patterns("__pycache__", "_data")
LAYERS = "labd's layers"
DRIVERS = "drivers know neither labd nor the virtual bench nor asyncio"
VIRTUAL = "the virtual bench is independent of the drivers and of labd"
PROCESS = "labd meets the virtual bench only as a process"
THROUGH = "labd reaches instruments through drivers only"
FAMILIES = "no family of drivers or personas knows another"
PURE = "pure packages do no I/O and import no asyncio"
GUARD = "the guard needs little, so that little can keep it from switching off"
TRIGGER = "the process that fires needs little that could hold it up"
REPORT = "reports are made from data alone"
PERSONAS = "instruments/labd_virtual/instruments"
WRONG = [
    ("labd/store/rows.py", "import labd.kpi.trace", LAYERS),
    ("labd/kpi/trace.py", "import labd.analyse.wording", LAYERS),
    ("labd/dut/replies.py", "import labd.store.rows", LAYERS),
    ("labd/dut/agent_link.py", "import labd.agent", LAYERS),
    ("labd/novelty.py", "", LAYERS),
    ("instruments/labd_instruments/drivers/yokogawa_wt310e.py", "import asyncio", DRIVERS),
    ("instruments/labd_instruments/block.py", "import labd.records", DRIVERS),
    ("instruments/labd_instruments/accuracy.py", "import labd_virtual.clock", DRIVERS),
    (f"{PERSONAS}/yokogawa_wt310e.py", "import labd_instruments.accuracy", VIRTUAL),
    ("instruments/labd_virtual/board.py", "import labd.records", VIRTUAL),
    ("labd/cli/run.py", "import labd_virtual.bench", PROCESS),
    ("labd/daemon/serve.py", "import labd_virtual.truth", PROCESS),
    ("labd/analyse/run.py", "import labd_virtual", PROCESS),
    ("labd/bench/check.py", "import pyvisa", THROUGH),
    ("instruments/labd_instruments/drivers/yokogawa_wt310e.py", "import labd_instruments.drivers.keithley_2450", FAMILIES),
    ("instruments/labd_instruments/drivers/yokogawa_wt310e.py", "import labd_instruments.drivers._n6705c", FAMILIES),
    ("instruments/labd_instruments/drivers/_n6705c_elog.py", "import labd_instruments.drivers._k2450", FAMILIES),
    (f"{PERSONAS}/yokogawa_wt310e.py", "import labd_virtual.instruments.keithley_2450_trace", FAMILIES),
    ("labd/kpi/sweep.py", "import sqlite3", PURE),
    ("labd/segment/edges.py", "import asyncio", PURE),
    ("labd/bench/expand.py", "import labd.store.rows", PURE),
    ("labd/records.py", "import time", PURE),
    ("labd/guard/off.py", "import labd.bench_file.bench", GUARD),
    ("labd/report/html.py", "import pathlib", REPORT),
    ("labd/interchange/windows.py", "import pathlib", REPORT),
    ("labd/trigger/firing.py", "import numpy", TRIGGER),
]


def lint(tree: Path) -> tuple[bool, dict[str, bool], str]:
    """Whether all contracts are kept, each by its name, and everything printed."""
    environment = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'instruments'}", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache", "--no-logo"]
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False)
    verdicts = {name: f"{name} KEPT" in ended.stdout for name in (c["name"] for c in CONTRACTS) if f"{name} " in ended.stdout}
    return ended.returncode == 0, verdicts, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything that the contracts speak of."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("labd", "instruments"):
        shutil.copytree(ROOT / name, folder / name, ignore=IGNORED)
    (folder / "tests/architecture").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "families.py", folder / "tests/architecture")
    return folder


def test_the_contracts_hold(tree: Path) -> None:
    kept, verdicts, text = lint(tree)
    assert kept, text
    assert verdicts == {contract["name"]: True for contract in CONTRACTS}


@pytest.mark.parametrize(("file", "line", "contract"), WRONG, ids=lambda value: str(value).replace("/", "."))
def test_a_wrong_import_breaks_its_contract(tree: Path, file: str, line: str, contract: str) -> None:
    path = tree / file
    right = path.read_bytes() if path.exists() else None
    try:
        path.write_bytes((right or b"") + f"\n{line}\n".encode())
        kept, verdicts, text = lint(tree)
    finally:
        path.unlink() if right is None else path.write_bytes(right)
    assert not kept
    assert verdicts.get(contract) is False, text


def test_each_contract_is_seen_to_break() -> None:
    assert {contract for _, _, contract in WRONG} == {contract["name"] for contract in CONTRACTS}
