"""Locks: one holder, named to the second, gone with its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labd import bench_file, resources
from labd.daemon import opened
from labd.store.lock import BenchBusy, StoreServed, bench_lock, lock_holder, store_lock

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from labd.store.lock import bench_lock
with bench_lock(Path(sys.argv[1]), "demo"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_who_and_since_when(tmp_path: Path) -> None:
    with bench_lock(tmp_path, "demo"):
        with (
            pytest.raises(BenchBusy, match=rf"'demo' is in use by process {os.getpid()} since \d{{4}}-\d\d-\d\d .* UTC"),
            bench_lock(tmp_path, "demo"),
        ):
            pass
        with bench_lock(tmp_path, "other"):
            pass
    with bench_lock(tmp_path, "demo"):
        pass


def test_a_store_has_one_daemon_whatever_its_bench(tmp_path: Path) -> None:
    refused = pytest.raises(StoreServed, match=rf"is served by process {os.getpid()} since .*; .* give this one another with --store")
    with store_lock(tmp_path, "demo"), refused, store_lock(tmp_path, "second"):
        pass
    with store_lock(tmp_path, "second"), bench_lock(tmp_path, "second"):
        pass


def test_names_that_look_alike_do_not_share_a_lock(tmp_path: Path) -> None:
    with bench_lock(tmp_path, "Demo 1"), bench_lock(tmp_path, "demo-1"), bench_lock(tmp_path, "demo_1"):
        assert len(list(tmp_path.glob("*.lock"))) == 3


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'instruments'}"}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(BenchBusy, match=f"process {child.pid}"), bench_lock(tmp_path, "demo"):
            pass
        assert lock_holder(tmp_path, "demo") == child.pid
        child.kill()
        child.wait(20)
    assert lock_holder(tmp_path, "demo") is None
    assert lock_holder(tmp_path, "never locked") is None
    with bench_lock(tmp_path, "demo"):
        pass


def test_a_process_that_signed_the_lock_and_does_not_hold_it_is_not_named(tmp_path: Path) -> None:
    with bench_lock(tmp_path, "demo") as path:
        path.write_text(json.dumps({"bench": "demo", "pid": os.getppid(), "since": "long ago"}))
        assert lock_holder(tmp_path, "demo") is None
        path.write_text("")
        assert lock_holder(tmp_path, "demo") is None


def test_a_supply_named_in_two_bench_files_is_driven_by_one_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    fixtures = resources.path("fixtures")
    text = (fixtures / "benches/n6705c.toml").read_text().replace('board = "../boards', f'board = "{fixtures}/boards')
    benches = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.toml"
        path.write_text(text.replace("name = ", f'name = "{name}" # ', 1))
        benches.append(bench_file.load_bench(path))
    first, second = opened.sole_use(benches[0], tmp_path / "a"), opened.sole_use(benches[1], tmp_path / "b")
    with first, pytest.raises(BenchBusy, match="is in use by process"), second:
        pass
    with opened.sole_use(benches[1], tmp_path / "b"):
        pass
