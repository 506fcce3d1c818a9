"""Every command that a daemon on another machine can be asked for, by a token that reads and by one that controls.

Two daemons: one as on a bench PC that others reach (every address, TLS with a certificate of its own, tokens), one on loopback.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labd import resources
from labd.accuracy.dataset import read_dataset
from labd.accuracy.kept import pack
from labd.api.tokens import Scope, make_token
from labd.cli.main import HERE_ONLY, run_command
from labd.cli.reference import commands
from labd.client.connection import Connection, answer, target
from labd.client.generated.api.accuracy import get_accuracy_run, submit_accuracy
from labd.client.generated.api.queue import get_job
from labd.client.generated.models.accuracy_body import AccuracyBody
from labd.errors import FileError, NotAllowed
from labd.stream.news import News
from tests.api.certificate import self_signed
from tests.cli.bench_apart import EXIT_S, LABD, demo_text, write_plan
from tests.cli.test_accuracy import made as made_dataset

pytestmark = pytest.mark.compiler

NO_JOB = "j00000000"


@dataclass(frozen=True)
class Place:
    """A served bench. host: HOST:PORT; tokens and certificate: None where none are asked for."""

    bench: Path
    store: Path
    host: str
    read: str = ""
    control: str = ""
    certificate: Path | None = None


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


class Labd:
    """The command line in this process, which knows no store but an empty one."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._capfd = capfd
        self.env = monkeypatch.setenv
        self.env("LABD_STORE", str(folder / "nothing"))

    def __call__(self, *arguments: object) -> Said:
        self._capfd.readouterr()
        code = run_command([str(one) for one in arguments])
        return Said(code, *self._capfd.readouterr())

    def json(self, *arguments: object) -> Any:
        said = self(*arguments, "--json")
        assert said.code == 0, said.err
        return json.loads(said.out)


@contextmanager
def served(bench: Path, store: Path) -> Iterator[str]:
    """The URL that `labd serve --json` prints."""
    command = [*LABD, "serve", str(bench), "--store", str(store), "--json", "--json-log"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=EXIT_S)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    """The far one has made a run."""
    folder = tmp_path_factory.mktemp("remote")
    tls, tokens = self_signed(folder), folder / "tokens.toml"
    read, control = make_token(tokens, "bob", Scope.READ), make_token(tokens, "ann", Scope.CONTROL)
    far, near = folder / "far.toml", folder / "near.toml"
    server = '[server]\nhost = "0.0.0.0"\nport = 0\ntokens = "tokens.toml"\ntls_certificate = "bench.pem"\ntls_key = "bench.key"\n'
    far.write_text(demo_text(name='name = "far"') + server)
    near.write_text(demo_text(name='name = "near"') + "[server]\nport = 0\n")
    with ExitStack() as stack:
        urls = [stack.enter_context(served(bench, folder / bench.stem)) for bench in (far, near)]
        assert urls[0].startswith("https://0.0.0.0:")
        hosts = [f"127.0.0.1:{url.rstrip('/').rpartition(':')[2]}" for url in urls]
        yield (
            Place(far, folder / "far", hosts[0], read, control, tls.certificate),
            Place(near, folder / "near", f"http://{hosts[1]}"),
        )


@pytest.fixture
def labd(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Labd:
    return Labd(capfd, monkeypatch, tmp_path)


@pytest.fixture
def far(places: tuple[Place, Place], labd: Labd) -> Place:
    """Named in the environment, but for its token."""
    labd.env("LABD_BENCH", places[0].host)
    labd.env("LABD_CA", str(places[0].certificate))
    return places[0]


@pytest.fixture
def near(places: tuple[Place, Place]) -> Place:
    return places[1]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "plan.toml", floor_time="1 s")


@pytest.fixture(scope="module")
def run(places: tuple[Place, Place], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a run that the far bench has made."""
    place, folder = places[0], tmp_path_factory.mktemp("run")
    plan = write_plan(folder / "plan.toml", floor_time="1 s")
    plan.write_text(plan.read_text().replace('["dnn"]', '["dnn", "snn"]'))  # two sides to compare
    asked = [*LABD, "--bench", place.host, "--ca", str(place.certificate), "submit", str(plan), "--wait", "--json"]
    done = subprocess.run(asked, env={"LABD_TOKEN": place.control}, capture_output=True, text=True, check=True)
    job = json.loads(done.stdout)
    assert (job["state"], job["submitted_by"]) == ("finished", "ann")
    return str(job["run_id"])


def dataset(folder: Path, samples: int, *, wrong: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    return made_dataset(folder / "words", samples, wrong=wrong)


def use_case(place: Place, folder: Path) -> Path:
    """Of the digits, whose first platform the place serves."""
    original = resources.path("fixtures") / "use-cases/digits.toml"
    text = original.read_text("utf-8").replace('"../benches/virtual-mcu.toml"', f'"{place.bench}"')
    text = text.replace('dataset = "digits"', f'dataset = "{dataset(folder, 1)}"')
    file = folder / "use-case.toml"
    file.write_text(re.sub(r'"(\.\./[^"]+)"', lambda found: f'"{(original.parent / found[1]).resolve()}"', text), "utf-8")
    return file


Arguments = Callable[[Place, Path, Path], tuple[object, ...]]  # of a served bench, a plan and a folder to write to

READING: dict[str, Arguments] = {
    "archive": lambda place, plan, folder: ("latest", folder / "run.zip"),
    "chart": lambda place, plan, folder: ("all", "--run", "latest", "--out", folder / "chart.html"),
    "compare": lambda place, plan, folder: ("latest",),
    "doctor": lambda place, plan, folder: (),
    "drivers": lambda place, plan, folder: (),
    "kpis": lambda place, plan, folder: (),
    "export": lambda place, plan, folder: ("latest", "--out", folder / "out"),
    "imported": lambda place, plan, folder: (),
    "lease": lambda place, plan, folder: (),
    "queue": lambda place, plan, folder: (),
    "report": lambda place, plan, folder: ("latest", "--out", folder / "out"),
    "runs": lambda place, plan, folder: (),
    "scan": lambda place, plan, folder: ("latest", "--threshold", "1 mW"),
    "show": lambda place, plan, folder: ("latest",),
    "status": lambda place, plan, folder: (),
    "tables": lambda place, plan, folder: ("1.5", "--paper", "--run", "latest"),
}
ACTING: dict[str, Arguments] = {
    "abort": lambda place, plan, folder: (NO_JOB,),
    "accuracy": lambda place, plan, folder: (place.bench, dataset(folder, 1)),
    "analyse": lambda place, plan, folder: ("latest",),
    "annotate": lambda place, plan, folder: ("latest", "--notes", "new leads"),
    "cancel": lambda place, plan, folder: (NO_JOB,),
    "check": lambda place, plan, folder: (place.bench,),
    "delete": lambda place, plan, folder: ("latest", "--yes"),
    "edit": lambda place, plan, folder: (NO_JOB, "--note", "x"),
    "import": lambda place, plan, folder: (plan,),
    "lease": lambda place, plan, folder: ("1 h",),
    "move": lambda place, plan, folder: (NO_JOB, "first"),
    "pause": lambda place, plan, folder: (),
    "replay": lambda place, plan, folder: ("latest",),
    "resume": lambda place, plan, folder: (),
    "run": lambda place, plan, folder: (place.bench, plan),
    "search": lambda place, plan, folder: (use_case(place, folder),),
    "submit": lambda place, plan, folder: (plan,),
}


def test_every_command_is_tried_or_refuses_to_be_asked_elsewhere() -> None:
    names = {name.partition(" ")[0] for name, _ in commands()} - {"bench"}  # those ask the guard of this machine too: test_bench_off
    assert set(READING) | set(ACTING) | {"watch"} | HERE_ONLY == names


@pytest.mark.parametrize("command", READING)
@pytest.mark.usefixtures("run")
def test_a_token_that_reads_is_enough_to_look(command: str, far: Place, plan: Path, tmp_path: Path, labd: Labd) -> None:
    labd.env("LABD_TOKEN", far.read)
    labd.json(command, *READING[command](far, plan, tmp_path))


@pytest.mark.parametrize("command", ACTING)
@pytest.mark.usefixtures("run")
def test_a_token_that_reads_is_not_enough_to_act(command: str, far: Place, plan: Path, tmp_path: Path, labd: Labd) -> None:
    labd.env("LABD_TOKEN", far.read)
    said = labd(command, *ACTING[command](far, plan, tmp_path))
    assert said.code == NotAllowed.exit_code, said.out
    assert "'bob' may read" in said.err


@pytest.mark.parametrize("command", [*READING, *ACTING])
def test_without_a_token_nothing_is_told(command: str, far: Place, plan: Path, tmp_path: Path, labd: Labd) -> None:
    said = labd(command, *(READING | ACTING)[command](far, plan, tmp_path))
    assert said.code == NotAllowed.exit_code, said.out
    assert said.out == ""
    assert "LABD_TOKEN" in said.err


def test_jobs_are_edited_ordered_cancelled_and_run_by_a_token_that_controls(far: Place, plan: Path, labd: Labd) -> None:
    labd.env("LABD_TOKEN", far.control)
    assert labd("pause").code == 0
    first, second, third = (labd("submit", plan, "--priority", "1").out.strip() for _ in range(3))
    assert labd("edit", second, "--note", "second board", "--tag", "paper", "--attended", "--plan", plan).code == 0
    edited = next(job for job in labd.json("queue")["jobs"] if job["id"] == second)
    assert [edited[name] for name in ("note", "tags", "attended", "priority")] == ["second board", ["paper"], True, 1]
    assert labd("move", second, "first").code == 0
    assert [job["id"] for job in labd.json("queue")["jobs"] if job["state"] == "queued"] == [second, first, third]
    refused = labd("abort", first)
    assert refused.code == 11
    assert f"labd cancel {first}" in refused.err
    assert [labd("cancel", job).code for job in (first, third)] == [0, 0]
    assert labd("resume").code == 0
    assert labd("watch", second).code == 0
    assert labd("abort").out == "no job runs\n"
    assert "reserved by ann" in labd("lease", "1 h").out
    assert labd("lease", "--give-back").out == "the bench is free\n"


def test_a_bench_elsewhere_is_checked_and_measures_what_is_run_on_it(far: Place, near: Place, plan: Path, labd: Labd) -> None:
    labd.env("LABD_TOKEN", far.control)
    found = {one["what"]: one for one in labd.json("check", far.bench)}
    assert found["smu round trip"]["of"] == "smu"
    assert found["smu round trip"]["figures"]["median_s"] > 0
    job = labd.json("run", far.bench, plan)
    assert (job["state"], job["submitted_by"]) == ("finished", "ann")
    assert job["run_id"] in [run["id"] for run in labd.json("runs")]
    assert labd.json("--bench", near.host, "runs") == []
    for command in ("check", "run"):
        refused = labd(command, *ACTING[command](near, plan, plan.parent))
        assert refused.code == FileError.exit_code
        assert "serves 'far', and" in refused.err
    assert "--hold" in labd("check", far.bench, "--hold").err


def test_a_run_elsewhere_is_annotated_analysed_and_goes_there_and_back_as_a_file(far: Place, run: str, tmp_path: Path, labd: Labd) -> None:
    labd.env("LABD_TOKEN", far.control)
    assert labd("annotate", run, "--notes", "new leads").code == 0
    assert labd("analyse", run).code == 0
    refused = labd("replay", run)  # the far bench has no database
    assert refused.code == FileError.exit_code
    assert "influx: this table is required" in refused.err
    file = tmp_path / "run.zip"
    assert labd("archive", run, file).code == 0
    assert labd("delete", run, "--yes").code == 0
    assert run not in labd("runs").out
    assert labd("import", file).out.strip() == run
    assert next(one for one in labd.json("runs") if one["id"] == run)["notes"] == "new leads"


def test_a_board_elsewhere_is_scored_and_goes_on_where_it_was_aborted(near: Place, tmp_path: Path, labd: Labd) -> None:
    words = dataset(tmp_path, 300, wrong=30)
    with Connection(target(near.host, None)) as there:
        pack(read_dataset(words), tmp_path / "words.zip")
        kept = there.upload("datasets", tmp_path / "words.zip")
        job = answer(submit_accuracy.sync_detailed(client=there.client, body=AccuracyBody(dataset=kept["id"], fresh=True)))
        with there.news() as news:
            next(one for one in news if isinstance(one, News) and one.data.get("done", 0) > 0)
        assert labd("--bench", near.host, "abort", job.id).code == 0
        made = str(answer(get_job.sync_detailed(job.id, client=there.client)).made)
        before = answer(get_accuracy_run.sync_detailed(made, client=there.client))
        assert (0 < before.done < 300, before.ended) == (True, False)
        assert labd("--bench", near.host, "resume", job.id).code == 0
        assert labd("--bench", near.host, "watch", job.id).code == 0
        after = answer(get_accuracy_run.sync_detailed(made, client=there.client))
        assert (after.done, after.ended, after.score.value if after.score else None) == (300, True, 0.9)
    again = labd("--bench", near.host, "accuracy", near.bench, dataset(tmp_path / "few", 10, wrong=3))
    assert again.code == 0, again.err
    assert "top-1 0.7, 95 % interval" in again.out


def test_the_option_goes_before_the_environment(far: Place, near: Place, labd: Labd) -> None:
    labd.env("LABD_TOKEN", far.control)
    assert labd.json("status")["bench"] == "far"
    assert labd.json("--bench", near.host, "status")["bench"] == "near"
    labd.env("LABD_BENCH", near.host)
    assert labd.json("--bench", far.host, "--ca", far.certificate, "status")["bench"] == "far"


def test_on_the_bench_pc_itself_the_store_and_a_token_are_enough(places: tuple[Place, Place], labd: Labd) -> None:
    far, near = places
    labd.env("LABD_TOKEN", far.read)
    assert labd.json("status", "--store", far.store)["bench"] == "far"
    assert labd.json("status", "--store", near.store)["bench"] == "near"


@pytest.mark.parametrize("command", sorted(HERE_ONLY))
def test_what_works_on_this_machine_only_refuses_to_be_asked_elsewhere(command: str, labd: Labd) -> None:
    said = labd("--bench", "bench-pc", command, "x")
    assert said.code == FileError.exit_code
    assert "this machine only" in said.err
