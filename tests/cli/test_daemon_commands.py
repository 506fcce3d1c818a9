"""A daemon as its users meet it: `labd serve` as a process, and the commands that talk to it."""

from __future__ import annotations

import contextlib
import getpass
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from subprocess import PIPE

import pytest

from labd.errors import Interrupted
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import EXIT_S, LABD, POLL_S, labd, write_plan
from tests.cli.daemon_apart import Daemon, serving

pytestmark = pytest.mark.compiler


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with serving(tmp_path_factory.mktemp("daemon") / "store") as found:
        yield found


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "plan.toml", floor_time="1 s")


def test_a_plan_is_submitted_watched_and_reported(daemon: Daemon, plan: Path, tmp_path: Path) -> None:
    done = daemon.labd("submit", plan, "--wait", "--note", "first board", "--tag", "paper")
    assert done.code == 0, done.err
    job, run = done.out.split()[0], done.out.split()[-1]
    row = next(one for one in daemon.json("queue")["jobs"] if one["id"] == job)
    assert (row["id"], row["state"], row["run_id"], row["note"]) == (job, "finished", run, "first board")
    assert run in daemon.labd("runs").out
    assert daemon.labd("report", run, "--out", tmp_path / "report").code == 0
    with Catalogue.open_read_only(daemon.store) as catalogue:
        found = catalogue.runs.get(run)
        assert (found.state, found.job) == (RunState.FINISHED, job)
        kinds = [event.kind for event in catalogue.runs.events(run)]
        assert kinds[0] == "run_started"
        assert kinds[-1] == "run_ended"
        assert kinds.count("capture_started") == kinds.count("capture_ended") == len(catalogue.captures.of(run))


def test_the_queue_is_ordered_paused_and_let_go(daemon: Daemon, plan: Path) -> None:
    assert daemon.labd("pause").code == 0
    first, second = (daemon.labd("submit", plan).out.strip() for _ in range(2))
    assert daemon.labd("move", second, "first").code == 0
    found = daemon.json("queue")
    waiting = [job["id"] for job in found["jobs"] if job["state"] == "queued"]
    assert (found["paused"], waiting) == (True, [second, first])
    assert "paused" in daemon.labd("queue").out
    assert daemon.labd("cancel", first).code == 0
    assert daemon.labd("resume").code == 0
    assert daemon.labd("watch", second).code == 0
    assert daemon.labd("cancel", second).code == 11
    assert daemon.labd("abort").out == "no job runs\n"


def test_a_run_that_was_ended_is_gone_on_with_by_its_own_id(daemon: Daemon, plan: Path) -> None:
    run = daemon.labd("submit", plan, "--wait").out.split()[-1]
    refused = daemon.labd("resume", run)
    assert refused.code == 11
    assert f"run {run} is finished; only an interrupted or failed run can be resumed" in refused.err
    with contextlib.closing(sqlite3.connect(daemon.store / "catalogue.sqlite")) as file, file:
        file.execute("UPDATE runs SET state = ? WHERE id = ?", (RunState.INTERRUPTED, run))
    job = daemon.labd("resume", run).out.partition(":")[0]
    assert daemon.labd("watch", job).out == f"run {run}\n"


def test_the_start_time_of_a_waiting_job_is_edited_and_taken_away(daemon: Daemon, plan: Path) -> None:
    job = daemon.labd("submit", plan, "--at", "2100-01-01 02:00:00").out.strip()

    def not_before(*options: object) -> object:
        return daemon.json("edit", job, *options)["not_before_ns"]

    def local_ns(year: int, hour: int) -> int:
        return round(datetime(year, 1, 1, hour).astimezone().timestamp()) * 10**9

    assert daemon.labd("pause").code == 0
    try:
        assert not_before("--priority", 3) == local_ns(2100, 2)
        assert not_before("--at", "2101-01-01 03:00") == local_ns(2101, 3)
        wrong = daemon.labd("edit", job, "--at", "tomorrow")
        assert (wrong.code, wrong.out) == (2, "")
        assert "labd edit: --at: 'tomorrow' is no time" in wrong.err
        assert not_before("--at", "") is None
        assert not_before("--priority", 4) is None
        assert daemon.labd("cancel", job).code == 0
    finally:
        daemon.labd("resume")


def test_a_lease_is_taken_shown_and_given_back(daemon: Daemon) -> None:
    assert f"reserved by {getpass.getuser()} until" in daemon.labd("lease", "2 h", "--for", "a new board").out
    assert daemon.json("status")["queue"]["lease"]["purpose"] == "a new board"
    assert daemon.labd("lease", "--give-back").out == "the bench is free\n"
    wrong = daemon.labd("lease", "soon")
    assert wrong.code == 2
    assert "LENGTH" in wrong.err


def test_a_plan_that_is_wrong_is_refused_with_what_would_be_right(daemon: Daemon, plan: Path) -> None:
    plan.write_text(plan.read_text().replace('modes = ["always_on"]', 'modes = ["allways_on"]'))
    done = daemon.labd("submit", plan)
    assert done.code == 2
    assert f"{plan}: modes" in done.err
    assert "always_on" in done.err


def test_run_and_check_go_through_the_daemon_that_holds_the_bench(daemon: Daemon, plan: Path) -> None:
    bench = FIXTURES / "benches/demo.toml"
    done = labd("run", bench, plan, "--store", daemon.store)
    assert done.code == 0, done.err
    run = done.out.split()[-1]
    assert next(job for job in daemon.json("queue")["jobs"] if job["run_id"] == run)["state"] == "finished"
    checked = labd("check", bench, "--store", daemon.store)
    assert checked.code == 0, checked.err
    assert "smu" in checked.out


def test_quietly_is_without_progress_and_not_without_the_run_or_its_error(daemon: Daemon, plan: Path) -> None:
    bench = FIXTURES / "benches/demo.toml"
    done = labd("run", bench, plan, "--store", daemon.store, "--quiet")
    run = done.out.removeprefix("run ").strip()
    assert (done.code, done.out, done.err) == (0, f"run {run}\n", "")
    assert run in daemon.labd("runs").out

    write_plan(plan, floor_time="2000 s")
    with subprocess.Popen([*LABD, "run", bench, plan, "--store", daemon.store, "-q"], stdout=PIPE, stderr=PIPE, text=True) as waiting:
        while not any(job["state"] == "running" for job in daemon.json("queue")["jobs"]):
            time.sleep(POLL_S)
        daemon.labd("abort")
        out, err = waiting.communicate(timeout=2 * EXIT_S)
    assert waiting.returncode == Interrupted.exit_code
    assert out.startswith("run ")
    assert err.startswith("labd: interrupted: ")


def test_a_stop_ends_the_job_and_the_next_daemon_goes_on_with_it(plan: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving(store) as first:
        job = first.labd("submit", plan).out.strip()
        first.process.send_signal(signal.SIGTERM)
        _, err = first.process.communicate(timeout=2 * EXIT_S)
        assert first.process.returncode == 0, err
        assert all(json.loads(line) for line in err.splitlines())
        gone = first.labd("status")
        assert gone.code == 10
        assert "no daemon serves" in gone.err
    with serving(store) as second:
        assert second.labd("watch", job).code == 0


def test_an_address_that_is_taken_is_named(daemon: Daemon, tmp_path: Path) -> None:
    url = json.loads((daemon.store / "daemon.json").read_text())["url"]
    port = url.rstrip("/").rpartition(":")[2]
    second = labd("serve", FIXTURES / "benches/demo.toml", "--store", tmp_path / "other", "--port", port)
    assert second.code == 10
    assert "another program listens there" in second.err
