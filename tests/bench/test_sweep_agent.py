"""A sweep of a real ONNX model: the agent is a process reached over TCP, and the board's current follows what it does, in real time."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labd.bench.runner import NotBack
from labd.dut.errors import WrongKey
from labd.stream.news import News, NewsKind
from tests.agent.apart import Agent, started
from tests.bench.whole_run import FIXTURES, Watch, Whole, changed, replaced, whole_run

QUICK = (("events = 20 ", "events = 5 "), ('floor_time = "4 s"', 'floor_time = "1 s"'))
SWEEP = (
    ('modes = ["always_on", "event_sleep", "event_reload"]', 'modes = ["always_on", "event_reload"]'),
    ('rates = ["0 /s", "1 /s", "2 /s"]', 'rates = ["0 /s", "2 /s"]'),
)
FLOOR = (
    ('modes = ["always_on", "event_sleep", "event_reload"]', 'modes = ["event_sleep"]'),
    ('rates = ["0 /s", "1 /s", "2 /s"]', 'rates = ["0 /s"]'),
)
EVENTS = 5

# the plan's activity says what its input data will do to it
MOODY = """
import os, time
MOODS = {100: b"hang", 99: b"raise", 98: b"crash"}

def sample(activity, seed):
    return MOODS.get(activity, b"well")

def infer(data):
    if data == b"hang": time.sleep(1000)
    if data == b"raise": raise RuntimeError("out of memory on the stick")
    if data == b"crash": os._exit(7)
    return [1.0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example model beside its callable."""
    folder = tmp_path_factory.mktemp("agent")
    shutil.copy(FIXTURES / "agent" / "onnx_model.py", folder)
    subprocess.run([sys.executable, str(FIXTURES / "agent" / "make_onnx_model.py"), str(folder)], check=True, timeout=120)
    (folder / "boards").mkdir()
    return folder


@pytest.fixture(scope="module")
def agent(folder: Path) -> Iterator[Agent]:
    with started(folder, "--callable", f"{folder / 'onnx_model.py'}:infer", *pins(folder)) as agent:
        yield agent


def pins(folder: Path) -> tuple[str, str]:
    return "--pins-socket", str(folder / "boards/pins.socket")


def bench_of(folder: Path, place: str, *changes: tuple[str, str], model: str = "onnx_model") -> Path:
    """Shown late enough for a busy machine to move no edge."""
    bench = changed(folder, "benches", "virtual-agent", replaced(("127.0.0.1:8471", place), *changes))
    of_board = ("[virtual]\n", "[virtual]\nfirmware_delay_s = 0.25\n"), ('models = ["onnx_model"]', f'models = ["{model}"]')
    changed(folder, "boards", "virtual-linux", replaced(*of_board))
    return bench


@pytest.fixture(scope="module")
def sweep(folder: Path, agent: Agent) -> Whole:
    plan = changed(folder, "plans", "agent", replaced(*QUICK, *SWEEP))
    return whole_run(folder, bench_of(folder, agent.place), plan, within_s=300)


def events(sweep: Whole, rest: str) -> list[dict[str, Any]]:
    """Of the mean capture from that kind of rest, as the board knows them: its last ones, behind the warm-up."""
    found = sorted((one for one in sweep.watch.records("event") if one["rest"]["phase"] == rest), key=lambda one: one["event_ns"])
    assert len(found) >= EVENTS
    return found[-EVENTS:]


def mean(records: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> float:
    return statistics.fmean(map(value, records))


def test_nothing_failed_and_no_inference_is_missing(sweep: Whole) -> None:
    assert sweep.outcome.failed == ()
    assert {row.key for row in sweep.captures()} == {
        f"{mode}/r={rate}/v=5/onnx_model/{role}"
        for mode in ("always_on", "event_reload")
        for rate, role in (("0", "floor/0"), ("0", "floor/1"), ("2", "mean/0"))
    }
    assert not [record for record in sweep.outcome.records if "events missing" in record.flags]


def test_the_energy_of_an_inference_is_what_the_board_spent_on_it(sweep: Whole) -> None:
    for mode, rest in (("always_on", "idle"), ("event_reload", "sleep")):
        truth = mean(events(sweep, rest), lambda one: one["load_j"]["infer"])
        assert sweep.value("energy_per_inference.gross", f"{mode}/r=2/v=5/onnx_model") == pytest.approx(truth, rel=0.05)


def test_an_event_with_its_load_costs_what_it_cost_the_board(sweep: Whole) -> None:
    found = events(sweep, "sleep")
    assert all(one["load_j"]["load"] > 0 for one in found)  # loaded anew for each
    assert sweep.value("energy_per_inference.per_event", "event_reload/r=2/v=5/onnx_model") == pytest.approx(
        mean(found, lambda one: one["energy_j"]), rel=0.05
    )
    assert all("load" not in one["load_j"] for one in events(sweep, "idle"))  # resident


def test_floors_are_those_of_the_boards_rests(sweep: Whole) -> None:
    for mode, rest in (("always_on", "idle"), ("event_reload", "sleep")):
        truth = [one["settled_power_w"] for one in sweep.watch.records("rest") if one["phase"] == rest]
        for record in sweep.all("power.floor", f"{mode}/r=0/v=5/onnx_model"):
            assert record.value == pytest.approx(truth[-1], rel=0.01)


def test_the_marker_tells_how_long_an_inference_took(sweep: Whole) -> None:
    for mode, rest in (("always_on", "idle"), ("event_reload", "sleep")):
        truth_s = mean(events(sweep, rest), lambda one: sum(end - start for start, end in one["windows"]) * 1e-9)
        assert sweep.value("latency.pin.mean", f"{mode}/r=2/v=5/onnx_model") == pytest.approx(truth_s, rel=0.02)


def test_the_board_is_without_supply_afterwards(sweep: Whole) -> None:
    assert sweep.watch.board["state"] == "unpowered"


def test_the_key_is_in_nothing_that_is_kept(sweep: Whole, agent: Agent) -> None:
    secret = agent.key
    kept = [path for path in sweep.outcome.store.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if secret in path.read_bytes()]


async def test_results_are_the_models_own(folder: Path) -> None:
    """To the last bit: the same model, in ONNX Runtime in this process."""
    model = imported(folder / "onnx_model.py")
    data = model.sample(10, 7)
    own = tuple(map(float, model.infer(model.load(), data).ravel()))
    with started(folder, "--callable", f"{folder / 'onnx_model.py'}:infer") as agent:
        async with agent.device() as device:
            await device.set_workload("onnx_model", activity=10, seed=7)
            assert (await device.infer(1)).results == own
            await device.load_input(bytes(250))
            assert (await device.infer(1)).results != own
            await device.load_input(data)
            assert (await device.infer(1)).results == own


def imported(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_agent_that_is_killed_in_a_run_is_named_and_the_outputs_go_off(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    with started(tmp_path, *pins(tmp_path), model=MOODY) as agent:

        def kill(news: News) -> None:
            if news.kind is NewsKind.CAPTURE_STARTED:
                asyncio.get_running_loop().call_later(1.0, agent.process.kill)

        watch = Watch(tmp_path / "truth.jsonl")
        plan = changed(tmp_path, "plans", "agent", replaced(*QUICK, *FLOOR, ('models = ["onnx_model"]', 'models = ["model"]')))
        with pytest.raises(NotBack, match=r"is gone .* did not come back from a power cycle") as ended:
            whole_run(tmp_path, bench_of(tmp_path, agent.place, model="model"), plan, watch, within_s=120, show=kill)
    assert "nobody listens there" not in str(ended.value)  # of course not: it was killed
    assert watch.board["state"] == "unpowered"
    assert watch.board["voltage_v"] < 0.1


def test_each_failure_has_its_name_and_the_next_job_works(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "other.key").write_text("w" * 64, encoding="utf-8")
    (tmp_path / "other.key").chmod(0o600)
    with started(tmp_path, *pins(tmp_path), "--infer-limit", "1", model=MOODY) as agent:
        for activity, says in (
            (100, "Callable hung: infer did not end within 1 s"),
            (99, "Callable raised RuntimeError: out of memory on the stick"),
            (98, "Callable crashed: its process ended with exit code 7"),
        ):
            failed = job(tmp_path, agent, activity).outcome.failed
            assert len(failed) == 2
            assert all(re.search(says, text) for text in failed)
        watch = Watch(tmp_path / "wrong.jsonl")
        with pytest.raises(WrongKey, match="has another key than key_file"):
            job(tmp_path, agent, 10, ("../agent.key", "../other.key"), watch=watch)
        assert watch.board["state"] == "unpowered"
        good = job(tmp_path, agent, 10)
        assert good.outcome.failed == ()
        assert good.watch.board["state"] == "unpowered"


def job(folder: Path, agent: Agent, activity: int, *changes: tuple[str, str], watch: Watch | None = None) -> Whole:
    of_plan = ('models = ["onnx_model"]', 'models = ["model"]'), ('activity = "10 %"', f'activity = "{activity} %"')
    plan = changed(folder, "plans", "agent", replaced(*QUICK, *FLOOR, *of_plan))
    return whole_run(folder, bench_of(folder, agent.place, *changes, model="model"), plan, watch, within_s=120)
