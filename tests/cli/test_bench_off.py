"""The emergency stop as its users meet it: the output goes off and stays off, whatever else would happen next."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labd import bench_file
from labd.daemon.guarding import journal_of
from labd.guard import journal
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import EXIT_S, Bench, bench_apart, labd, write_plan
from tests.cli.daemon_apart import Daemon, serving
from tests.guard.guarded_bench import gone, powered, safe, until

pytestmark = pytest.mark.compiler


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_apart(tmp_path) as running:
        running.file.write_text(running.file.read_text() + "[server]\nport = 0\n")
        yield running


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "plan.toml", floor_time="60 s")


def two_jobs(daemon: Daemon, plan: Path) -> tuple[str, str]:
    first, second = (daemon.labd("submit", plan).out.strip() for _ in range(2))
    return first, second


def states(daemon: Daemon) -> dict[str, str]:
    return {job["id"]: job["state"] for job in daemon.json("queue")["jobs"]}


def idle(daemon: Daemon) -> bool:
    return not daemon.json("queue")["job"]


@pytest.mark.parametrize("told", [True, False])
def test_the_run_ends_and_the_next_job_waits_until_somebody_resumes(bench: Bench, plan: Path, tmp_path: Path, told: bool) -> None:
    """Also where the daemon hears of it from its guard alone."""
    with serving(tmp_path / "store", bench.file) as daemon:
        first, second = two_jobs(daemon, plan)
        until(lambda: powered(bench))
        stopped = labd("bench", "off", bench.file, "--store", daemon.store if told else tmp_path / "other")
        assert stopped.code == 0, stopped.err
        assert "smu: off" in stopped.out
        assert ("the daemon has paused its queue" in stopped.out) == told
        until(lambda: idle(daemon))
        found = daemon.json("queue")
        assert found["paused"]
        assert "emergency stop by" in found["why_paused"]
        assert states(daemon)[first] in ("failed", "interrupted")
        assert states(daemon)[second] == "queued"
        assert safe(bench)
        resumed = daemon.labd("bench resume", bench.file) if told else daemon.labd("resume")
        assert resumed.code == 0, resumed.err
        until(lambda: powered(bench))
        assert states(daemon)[second] == "running"
        assert daemon.labd("bench off", bench.file).code == 0


def test_a_virtual_bench_is_stopped_by_its_daemon(tmp_path: Path) -> None:
    file, plan = FIXTURES / "benches/demo.toml", write_plan(tmp_path / "plan.toml", floor_time="600 s")
    with serving(tmp_path / "store") as daemon:
        daemon.labd("pause")
        _, second = two_jobs(daemon, plan)
        assert daemon.labd("resume").code == 0
        until(lambda: not idle(daemon))
        stopped = daemon.labd("bench off", file)
        assert stopped.code == 0, stopped.err
        assert "the daemon has paused its queue" in stopped.out
        assert idle(daemon)
        assert daemon.json("queue")["paused"]
        assert states(daemon)[second] == "queued"


def test_a_bench_that_nobody_serves_is_refused_to_a_run_until_it_is_released(bench: Bench, plan: Path, tmp_path: Path) -> None:
    assert labd("bench", "off", bench.file, "--store", tmp_path / "store").code == 0
    refused = labd("run", bench.file, plan, "--store", tmp_path / "store", "--quiet")
    assert refused.code == 5
    assert "emergency stop by" in refused.err
    assert "labd bench resume" in refused.err
    assert labd("bench", "resume", bench.file, "--store", tmp_path / "store").code == 0
    assert journal.stops(bench.file.with_name("guard.jsonl")) == {}


def test_without_a_guard_the_process_that_holds_the_link_is_ended_and_the_next_guard_knows(plan: Path, tmp_path: Path) -> None:
    with bench_apart(tmp_path, instruments={"smu": {"clients": "one"}}) as bench, serving(tmp_path / "store", bench.file) as daemon:
        daemon.labd("submit", plan)
        until(lambda: powered(bench))
        daemon.process.send_signal(signal.SIGSTOP)
        guard = int(next(one.text.split()[1] for one in journal.read(tmp_path / "guard.jsonl") if one.what == "started"))
        os.kill(guard, signal.SIGKILL)
        until(lambda: gone(guard))
        stopped = labd("bench", "off", bench.file, "--store", tmp_path / "other")
        assert stopped.code == 0, stopped.err
        daemon.process.communicate(timeout=EXIT_S)
        assert daemon.process.returncode == -signal.SIGKILL
        assert safe(bench)
        assert "apart" in journal.stops(tmp_path / "guard.jsonl")


@pytest.mark.parametrize(("wrong", "said"), [("[limits]\nvoltige = 3", "voltige"), ("[limits\n[limits]", "is not TOML")])
def test_a_bench_file_with_an_error_in_it_stops_what_its_guard_is_armed_for(
    bench: Bench, plan: Path, tmp_path: Path, wrong: str, said: str
) -> None:
    """It was right when the daemon read it."""
    with serving(tmp_path / "store", bench.file) as daemon:
        daemon.labd("submit", plan)
        until(lambda: powered(bench))
        right = bench.file.read_text()
        bench.file.write_text(right.replace("[limits]", wrong))
        stopped = labd("bench", "off", bench.file, "--store", daemon.store)
        assert stopped.code == 2, stopped.err
        assert "smu: off" in stopped.err
        assert "nothing switches it on again" in stopped.err
        assert said in stopped.err
        assert safe(bench)
        bench.file.write_text(right)
        until(lambda: "emergency stop by" in daemon.json("queue")["why_paused"])


@pytest.mark.parametrize("text", ["nmae = 'x'", "name = 3", "name = 'x'\nguard = 'none'", "[instruments", None])
def test_a_file_that_names_no_guard_is_told_with_what_it_means(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "bench.toml"
    if text is not None:
        file.write_text(f"{text}\n[instruments.smu]\nresource = 'TCPIP::127.0.0.1::9::SOCKET'\n")
    stopped = labd("bench", "off", file)
    assert stopped.code == 2
    assert "NOTHING WAS SWITCHED OFF" in stopped.err
    assert "Traceback" not in stopped.err


def test_the_virtual_twin_of_a_bench_does_not_stop_it(bench: Bench, plan: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.toml"
    text = (FIXTURES / "benches/demo.toml").read_text().replace("../boards", str(FIXTURES / "boards"))
    name = re.search(r"^name = .*$", bench.file.read_text(), re.MULTILINE)
    assert name is not None
    twin.write_text(re.sub(r"^name = .*$", name[0], text, flags=re.MULTILINE))
    with serving(tmp_path / "store", bench.file) as daemon:
        daemon.labd("submit", plan)
        until(lambda: powered(bench))
        assert "is virtual" in labd("bench", "off", twin, "--store", tmp_path / "other").out
        assert powered(bench)
        assert daemon.labd("bench off", bench.file).code == 0


def test_one_stop_is_one_incident(bench: Bench, plan: Path, tmp_path: Path) -> None:
    """Whoever says it: the first word, the whole command, the daemon."""
    with serving(tmp_path / "store", bench.file) as daemon:
        daemon.labd("submit", plan)
        until(lambda: powered(bench))
        assert daemon.labd("bench off", bench.file).code == 0
        until(lambda: idle(daemon))
        entries = journal.read(journal_of(bench_file.load_bench(bench.file)))
        assert len([entry for entry in entries if entry.what == "stopped"]) == 1
        assert len({entry.incident for entry in entries if entry.incident}) == 1


def test_what_says_the_first_word_loads_little() -> None:
    """Half a second of imports is half a second with the output on."""
    program = "import sys, labd.cli.main, labd.cli.bench; print(sorted({'numpy', 'pydantic', 'pyarrow', 'pyvisa'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=EXIT_S, check=True)
    assert found.stdout.strip() == "[]"
