"""The builder contract: what is asked, what may be answered, and what happens when a builder is wrong, hangs or crashes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from labd.errors import FileError
from labd.search.builders import KEPT_FAILURES, Builder, Candidate, build
from labd.search.contract import TargetBoard, escapes, schemas
from labd.search.errors import (
    BuilderCrashed,
    BuilderFailure,
    BuilderHung,
    BuilderNotFound,
    BuilderSilent,
    CandidateRefused,
    WrongAnswer,
)
from labd.search.reference import pages

ROOT = Path(__file__).parents[2]
BOARD = TargetBoard(name="virtual-m4", kind="host", clock_hz=64e6, supply_v=3.0)
GOOD: dict[str, Any] = {
    "schema": 1,
    "model": "net-8",
    "program": "firmware",
    "card": "model.toml",
    "size": {"flash": 100, "ram": 50, "of": "net"},
    "expected_accuracy": 0.9,
    "messages": ["trained"],
}
HEAD = """
import json, os, pathlib, subprocess, sys, time
request = json.loads(pathlib.Path(sys.argv[-1]).read_text())
folder = pathlib.Path(request["folder"])
def answer(**what):
    (folder / "firmware").write_text("made of " + json.dumps(request["parameters"], sort_keys=True))
    (folder / "model.toml").write_text('schema = 1\\ncard = "model"\\nname = "net-8"\\n')
    pathlib.Path(request["answer"]).write_text(json.dumps({k: v for k, v in (GOOD | what).items() if v is not None}))
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with a builder in it, and a cache."""

    folder: Path

    def builder(self, body: str, **more: Any) -> Builder:
        own = self.folder / "builder"
        own.mkdir(exist_ok=True)
        (own / "build.py").write_text(f"GOOD = {GOOD!r}\n{HEAD}\n{body}\n")
        return Builder(("python3", "builder/build.py"), self.folder, **more)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    async def build(self, body: str, *, width: int = 8, **more: Any) -> Candidate:
        return await build(self.builder(body, **more), {"width": width}, BOARD, cache=self.cache)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_builder_gets_what_the_schema_says_and_its_answer_is_read(bench: Bench) -> None:
    made = await bench.build("answer()")
    request = json.loads((made.folder / "request.json").read_text())
    jsonschema.validate(request, schemas()["builder-request.schema.json"])
    assert request["parameters"] == {"width": 8}
    assert request["board"] == {"name": "virtual-m4", "kind": "host", "clock_hz": 64e6, "supply_v": 3.0}
    assert made.model == "net-8"
    program = made.file("program")
    assert program is not None
    assert program.read_text() == 'made of {"width": 8}'
    assert made.answer.size is not None
    assert (made.answer.size.flash, made.answer.size.ram, made.answer.messages) == (100, 50, ("trained",))
    assert made.card.startswith("schema = 1")
    assert not made.cached
    jsonschema.validate(GOOD, schemas()["builder-answer.schema.json"])


async def test_a_candidate_is_built_once_and_again_when_anything_that_it_follows_from_changes(bench: Bench) -> None:
    beside = bench.folder / "core"
    beside.mkdir()
    (beside / "core.c").write_text("one")
    depends = (Path("core"),)
    first = await bench.build("answer()", depends=depends)
    assert (await bench.build("answer()", depends=depends)).cached
    assert not (await bench.build("answer()", width=16, depends=depends)).cached
    assert (await bench.build("answer()", depends=depends)).folder == first.folder
    (bench.folder / "builder/neighbour.py").write_text("")
    assert not (await bench.build("answer()", depends=depends)).cached
    (beside / "core.c").write_text("two")
    assert not (await bench.build("answer()", depends=depends)).cached
    assert (await bench.build("answer()", depends=depends)).cached


async def test_a_kept_build_that_somebody_damaged_is_made_again(bench: Bench) -> None:
    made = await bench.build("answer()")
    (made.folder / "firmware").unlink()
    again = await bench.build("answer()")
    assert not again.cached
    assert (again.folder / "firmware").is_file()


async def test_two_at_once_agree_on_one_build(bench: Bench) -> None:
    builder = bench.builder("answer()")
    one, two = await asyncio.gather(*(build(builder, {"width": 8}, BOARD, cache=bench.cache) for _ in range(2)))
    assert one.folder == two.folder
    assert [path.name for path in bench.cache.iterdir()] == [one.folder.name]


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("sys.exit('no such layer')", BuilderCrashed, "ended with 1: no such layer"),
        ("os.kill(os.getpid(), 9)", BuilderCrashed, "was killed by signal 9; it said nothing"),
        ("print('all well')", BuilderSilent, "wrote no answer.json: all well"),
        ("pathlib.Path(request['answer']).write_text('{')", WrongAnswer, "is not JSON"),
        ("pathlib.Path(request['answer']).write_text('[1]')", WrongAnswer, "answer.json"),
        ("answer(schema=2)", WrongAnswer, "schema: expected 1"),
        ("answer(model=None)", WrongAnswer, "model: this key is required"),
        ("answer(modell='x')", WrongAnswer, "did you mean model?"),
        ("answer(program=None)", WrongAnswer, 'expected either "image" or "program"'),
        ("answer(image='firmware')", WrongAnswer, 'expected either "image" or "program"'),
        ("answer(program='../../firmware')", WrongAnswer, "program: expected a file in the request's folder"),
        ("answer(program='other')", WrongAnswer, "program: there is no file 'other'"),
        ("answer(size={'flash': -1, 'ram': 2, 'of': 'net'})", WrongAnswer, "size.flash: expected"),
        ("answer(expected_accuracy=97)", WrongAnswer, "expected_accuracy: expected"),
        ("answer(model='another')", WrongAnswer, "expected the answer's model 'another', got 'net-8'"),
        ("answer(card='firmware')", WrongAnswer, "is not TOML"),
        ("answer(refused='128 neurons do not fit')", CandidateRefused, "128 neurons do not fit"),
        ('pathlib.Path(request[\'answer\']).write_text(\'{"schema": 1, "refused": "too big"}\')', CandidateRefused, "too big"),
    ],
)
async def test_what_a_builder_does_wrong_has_a_name(bench: Bench, body: str, error: type[BuilderFailure], said: str) -> None:
    with pytest.raises(error) as caught:
        await bench.build(body)
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in bench.cache.iterdir()] == ["failed"]
    (failed,) = (bench.cache / "failed").iterdir()
    assert (failed / "builder.log").is_file()
    assert str(failed.resolve()) in str(caught.value) or error is CandidateRefused


async def test_a_wrong_answer_is_named_where_it_then_lies(bench: Bench) -> None:
    with pytest.raises(WrongAnswer) as caught:
        await bench.build("answer(schema=2)")
    (file,) = map(str, (bench.cache.resolve() / "failed").glob("*/answer.json"))
    assert file in str(caught.value)
    assert all(file in line for line in caught.value.problems)


async def test_a_word_of_a_command_that_can_be_no_file_is_none_but_what_a_builder_depends_on_is(bench: Bench) -> None:
    builder = bench.builder("answer()")
    wordy = replace(builder, command=(*builder.command, "x" * 300))
    assert (await build(wordy, {}, BOARD, cache=bench.cache)).model == "net-8"
    with pytest.raises(FileError, match=r"what a builder depends on cannot be looked through: File name too long"):
        await build(replace(builder, depends=(Path("x" * 300),)), {}, BOARD, cache=bench.cache)


async def test_the_last_failures_are_kept_each_in_its_own_folder(bench: Bench) -> None:
    for width in range(KEPT_FAILURES + 2):
        with pytest.raises(BuilderSilent):
            await bench.build("print(request['parameters']['width'])", width=width)
    kept = sorted(int((path / "builder.log").read_text()) for path in (bench.cache / "failed").iterdir())
    assert kept == list(range(2, KEPT_FAILURES + 2))


async def test_what_a_process_that_was_killed_has_left_is_cleared_away_a_day_later(bench: Bench) -> None:
    old, new = bench.cache / ".building-old", bench.cache / ".building-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    await bench.build("answer()")
    assert not old.exists()
    assert new.is_dir(), "somebody may be building there"


async def test_a_command_that_is_not_there_is_told(bench: Bench) -> None:
    with pytest.raises(BuilderNotFound, match="no-such-builder"):
        await build(Builder(("no-such-builder",), bench.folder), {}, BOARD, cache=bench.cache)


async def test_a_dependency_that_is_not_there_is_told(bench: Bench) -> None:
    with pytest.raises(FileError, match="a builder is said to depend on it"):
        await bench.build("answer()", depends=(Path("nowhere"),))


CHILD = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(pathlib.Path(sys.argv[0]).parents[1] / "child").write_text(str(child.pid))
"""
WAITS = "print('waiting', flush=True)\ntime.sleep(600)"


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def child_of(bench: Bench) -> int:
    return await until(lambda: int((bench.folder / "child").read_text() or 0))


async def until_gone(pid: int) -> None:
    assert await until(lambda: gone(pid))


async def until(told: Callable[[], int]) -> int:
    """What it tells once it tells anything; a file that is not there yet tells nothing."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(FileNotFoundError):
                if found := told():
                    return found
            await asyncio.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
async def test_a_hanging_builder_is_killed_with_all_that_it_has_started(bench: Bench) -> None:
    with pytest.raises(BuilderHung, match=r"did not end within 3 s and was killed: waiting"):
        await bench.build(CHILD + WAITS, limit_s=3.0)
    await until_gone(await child_of(bench))


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
async def test_what_a_builder_leaves_running_is_ended_when_it_ends(bench: Bench) -> None:
    made = await bench.build(CHILD + "answer()")
    assert not made.cached
    await until_gone(await child_of(bench))


@pytest.mark.skipif(sys.platform != "linux", reason="only there a kernel ends the children of a process that was killed")
async def test_a_builder_does_not_outlive_a_kill_of_the_process_that_started_it(bench: Bench) -> None:
    builder = bench.builder('(pathlib.Path(sys.argv[0]).parents[1] / "child").write_text(str(os.getpid()))\n' + WAITS)
    calls = f"""
import asyncio, pathlib
from labd.search.builders import Builder, build
from labd.search.contract import TargetBoard
builder = Builder({builder.command!r}, pathlib.Path({str(bench.folder)!r}))
board = TargetBoard(name="virtual-m4", kind="host", clock_hz=64e6, supply_v=3.0)
asyncio.run(build(builder, {{"width": 8}}, board, cache=pathlib.Path({str(bench.cache)!r})))
"""
    caller = await asyncio.create_subprocess_exec(sys.executable, "-c", calls)
    pid = await child_of(bench)
    assert not gone(pid)
    caller.kill()
    await caller.wait()
    await until_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
async def test_a_build_that_is_cancelled_takes_its_processes_with_it(bench: Bench) -> None:
    building = asyncio.create_task(bench.build(CHILD + WAITS))
    pid = await child_of(bench)
    assert not gone(pid)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    await until_gone(pid)


@pytest.mark.parametrize("name", ["/etc/passwd", "..", "a/../../b", "C:\\x", "C:x", "a\\..\\b"])
def test_a_name_that_leads_out_of_its_folder_is_seen(name: str) -> None:
    assert escapes(name)


def test_a_name_in_the_folder_is_fine() -> None:
    assert not any(map(escapes, ["model.toml", "out/firmware.elf", os.path.join("a", "b")]))  # noqa: PTH118  as this system writes it


@pytest.mark.parametrize("name", pages())
def test_the_reference_is_what_the_contract_says_now(name: str) -> None:
    assert (ROOT / "docs/reference" / name).read_text("utf-8") == pages()[name], "run python -m labd.search.reference"
