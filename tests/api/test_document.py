"""The OpenAPI document is what the code says, and what it says is tried: no request of any kind is answered with a fault."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from labd.api.app import create_app
from labd.api.document import FILE, document
from labd.api.services import Access
from tests.api.served import api

ROOT = Path(__file__).parents[2]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document()))


def test_the_document_is_current() -> None:
    assert (ROOT / FILE).read_text("utf-8") == document(), "python -m labd.api.document writes it again"


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_sentence_where_it_takes_a_body() -> None:
    operations = [one for path in create_app(None).openapi()["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert all(one["tags"] for one in operations)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a thread of its own: schemathesis is synchronous."""
    folder, told, started = tmp_path_factory.mktemp("fuzz"), [], threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with api(folder, access=Access(rate_limit=100_000)) as given:
            told.append(given.url)
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(timeout=30)
    yield told[0]
    loop.call_soon_threadsafe(end.set)
    thread.join(timeout=30)
    loop.close()


@SCHEMA.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_nothing_that_may_be_asked_is_answered_with_a_fault(case: Any, url: str) -> None:
    answer = case.call(base_url=url.rstrip("/"))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].startswith("application/problem+json")
        assert answer.json()["title"]
    case.validate_response(answer, checks=[schemathesis.checks.not_a_server_error])
