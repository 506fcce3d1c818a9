"""The OpenAPI document is what the code says, and what it says is tried: no request of any kind is answered with a fault."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from labd.accuracy.dataset import read_dataset
from labd.accuracy.kept import kept_dataset, pack, take_in
from labd.accuracy.session import Subject, open_session
from labd.api.app import create_app
from labd.api.document import FILE, document
from labd.api.gate import HEALTH
from labd.api.services import Access
from labd.api.tokens import Scope, make_token
from labd.cli.main import run_command
from labd.dut.device import DutIdentity
from labd.resources import path as resource
from labd.search import html
from labd.search.folder import Basis, Folder, open_search
from labd.search.result import document as document_of
from tests.api.served import PLAN, api, scheduling
from tests.cli.bench_apart import write_plan
from tests.search.made import use_case

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
ROOT = Path(__file__).parents[2]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document()))


def test_the_document_is_current() -> None:
    assert (ROOT / FILE).read_text("utf-8") == document(), "python -m labd.api.document writes it again"


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_sentence_where_it_takes_a_body() -> None:
    operations = [one for path in create_app(None).openapi()["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert all(one["tags"] for one in operations)


@dataclass(frozen=True)
class Served:
    """A bench with a finished run and a queue that runs jobs. there: path parameters that name what there is."""

    url: str
    token: str
    there: dict[str, object]


def _packed(folder: Path) -> Path:
    (folder / "words").mkdir()
    (folder / "words/0.bin").write_bytes(bytes(4))
    pack(read_dataset(folder / "words"), folder / "words.zip")
    return folder / "words.zip"


def _ended_search(store: Path) -> Folder:
    search = open_search(store, Basis("keywords", "", {}), fresh=True)
    found = document_of(use_case(), search.id, [], benches={"m4": "demo", "m0": "demo"}, dataset="words", samples=1)
    search.end(found, html.render(found))
    return search


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in a thread of its own: schemathesis is synchronous."""
    folder, told, started = tmp_path_factory.mktemp("fuzz"), [], threading.Event()
    plan = write_plan(folder / "plan.toml", floor_time="200 ms")
    assert (
        run_command(["run", str(resource("fixtures") / "benches/demo.toml"), str(plan), "--store", str(folder / "store"), "--quiet"]) == 0
    )
    token = make_token(folder / "tokens.toml", "ann", Scope.CONTROL)
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with api(folder, access=Access(folder / "tokens.toml", rate_limit=100_000)) as given, scheduling(given):
            given.http.headers["authorization"] = f"Bearer {token}"
            (run,) = (await given.ask("GET", "runs")).json()
            job = await given.submit()
            kept = take_in(_packed(folder), folder / "store")
            subject = Subject("demo", "virtual", DutIdentity("labd", "ULPMark", "dnn", "energy", None), kept.name, kept.id, 1)
            session = open_session(folder / "store", subject, kept_dataset(folder / "store", kept.id), fresh=True)
            search = _ended_search(folder / "store")
            line = {"name": "results.txt", "content": base64.b64encode(b"Median energy cost is 12.5 uJ/inf.").decode()}
            (card,) = (await given.ask("POST", "imports", json={"files": [line]})).json()["cards"]
            names = {"run_id": run["id"], "order": 0, "job_id": job["id"], "kind": "task", "card_id": card["id"]}
            there = {**names, "dataset_id": kept.id, "session_id": session.id, "search_id": search.id}
            told.append(Served(given.url.rstrip("/"), token, there))
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(timeout=60)
    yield told[0]
    loop.call_soon_threadsafe(end.set)
    thread.join(timeout=30)
    loop.close()


def tried(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.compiler
@SCHEMA.parametrize()
@tried(8)
def test_nothing_that_may_be_asked_is_answered_with_a_fault(case: Any, served: Served) -> None:
    if case.method == "DELETE" and "run_id" in case.path_parameters:
        case.path_parameters["run_id"] = "no-such-run"  # one character of its id would do, and the others need the run
    answer = case.call(base_url=served.url, headers={"authorization": f"Bearer {served.token}"})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].startswith("application/problem+json")
        assert answer.json()["title"]
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.compiler
@SCHEMA.exclude(operation_id=["delete_run", "delete_dataset"]).parametrize()
@tried(3)
def test_nothing_that_may_be_asked_of_what_is_there_is_answered_with_a_fault(case: Any, served: Served) -> None:
    case.path_parameters = {name: served.there[name] for name in case.path_parameters}
    if isinstance(case.body, dict) and "plan_text" in case.body:
        case.body["plan_text"] = PLAN
    answer = case.call(base_url=served.url, headers={"authorization": f"Bearer {served.token}"})
    assert answer.status_code < 500, answer.text
    if case.method == case.operation.method.upper() == "GET" and not case.query:
        assert answer.status_code in (200, 422), answer.text  # 422: an operation that asks for a query
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.compiler
@SCHEMA.parametrize()
@tried(2)
def test_without_a_token_nothing_is_answered_but_health(case: Any, served: Served) -> None:
    answer = case.call(base_url=served.url)
    if case.path == HEALTH:
        assert answer.status_code == (200 if case.method == "GET" else 405)
    else:
        assert answer.status_code in (401, 413, 415), answer.text
