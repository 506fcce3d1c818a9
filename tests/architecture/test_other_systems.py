"""labd runs on Windows and macOS by construction: nothing but named modules asks which system it is on or needs one.

What is tried without what Windows lacks is labd's own process; the virtual bench beside it stays one of POSIX.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from labd.store.catalogue import Catalogue
from tests.architecture.elsewhere import LOOPS, MODULES

ROOT = Path(__file__).parents[2]
GUARD = {f"labd/guard/{name}.py" for name in ("__main__", "client", "peer", "server")}  # Linux only, and labd says so: host.HAS_GUARD
TRIGGER = {"labd/trigger/__main__.py"}  # Linux only, a process of its own: host.HAS_TRIGGER
GPIO = {"labd/dut/gpio_chip.py", "labd/dut/gpio_link.py"}  # Linux only, and asks for its library when it is opened
OF_A_BOARD = {"labd/agent.py"}  # runs on a Linux board, never in labd's own process
NAMED = {"labd/host.py"} | GUARD | TRIGGER | GPIO | OF_A_BOARD
OF_A_LOOP = {*LOOPS, "SelectorEventLoop", "set_event_loop_policy", "start_unix_server", "open_unix_connection"}
# each behind a look at the system and checked for all three by `make check`, or with something else for who refuses it
OF_THE_GUARD = {("labd/guard/holder.py", "add_reader"), ("labd/guard/link.py", "open_unix_connection")}
WITH_ANOTHER_WAY = {("labd/cli/run.py", "add_signal_handler")}
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
    for folder in (ROOT / "labd", ROOT / "instruments/labd_instruments")
    for path in sorted(folder.rglob("*.py"))
    if "labd/client/generated" not in path.as_posix()
}
PLAN = """
schema = 1
name = "two points"
modes = ["event_sleep"]
rates = ["0 /s", "20 /s"]
supply = ["3.0 V"]
models = ["dnn"]
[captures]
events = 4
floor_time = "1 s"
event_captures = 1
warm_up_inferences = 1
[detector]
kind = "host-triggered"
"""
PATIENCE_S = 120.0


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_only_named_modules_import_what_some_systems_lack() -> None:
    found = {(path, name) for path, tree in SOURCES.items() if path not in NAMED for name in imported(tree) if name in MODULES}
    assert found == set()
    assert any(name in MODULES for name in imported(SOURCES["labd/host.py"]))  # it would be seen


def test_nothing_else_asks_an_event_loop_for_what_some_lack() -> None:
    asked = {
        (path, node.attr)
        for path, tree in SOURCES.items()
        if path not in NAMED
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in OF_A_LOOP
    }
    assert asked == OF_THE_GUARD | WITH_ANOTHER_WAY


def whole_names(tree: ast.AST) -> Iterator[str]:
    """What is imported, each way it may be written; a name that is no module does no harm here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_but_the_guard_itself_imports_what_only_linux_runs() -> None:
    modules = {path.removesuffix(".py").replace("/", ".") for path in GUARD}
    assert {(path, name) for path, tree in SOURCES.items() if path not in GUARD for name in whole_names(tree) if name in modules} == set()
    for text in ("from labd.guard import server", "import labd.guard.server", "from labd.guard.server import Guard"):
        assert modules & set(whole_names(ast.parse(text)))


def elsewhere(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "tests.architecture.elsewhere", "labd", *map(str, words)]


def surroundings(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'instruments'}", "XDG_DATA_HOME": str(folder / "data")}


@pytest.mark.compiler
def test_a_run_is_made_without_what_windows_lacks(tmp_path: Path) -> None:
    plan, store = tmp_path / "plan.toml", tmp_path / "store"
    plan.write_text(PLAN, encoding="utf-8")
    ended = subprocess.run(
        elsewhere("run", ROOT / "fixtures/benches/demo.toml", plan, "--store", store),
        env=surroundings(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    with Catalogue.open_read_only(store) as catalogue:
        (run,) = catalogue.runs.newest()
        assert run.state == "finished"
        assert [row.state for row in catalogue.captures.of(run.id)] == ["finished"] * len(catalogue.captures.of(run.id))
        assert len(catalogue.kpis.of(run.id)) > 10


@pytest.mark.compiler
def test_a_daemon_serves_and_stops_without_what_windows_lacks(tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = elsewhere("serve", ROOT / "fixtures/benches/demo.toml", "--store", store, "--port", "0")
    with subprocess.Popen(words, env=surroundings(tmp_path), cwd=ROOT, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            url = served(daemon, store / "daemon.json")
            assert httpx.get(f"{url}/api/v1/health", timeout=PATIENCE_S).status_code == 200
            status = httpx.get(f"{url}/api/v1/status", timeout=PATIENCE_S)
            assert status.status_code == 200, status.text
        finally:
            daemon.send_signal(signal.SIGTERM)
        _, error = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == 0, error
    assert "Traceback" not in error


def served(daemon: subprocess.Popen[str], place: Path) -> str:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        assert daemon.poll() is None, daemon.communicate()[1]
        if place.exists() and (text := place.read_text("utf-8")):
            return str(json.loads(text)["url"]).rstrip("/")
        time.sleep(0.05)
    raise AssertionError("the daemon does not serve")
