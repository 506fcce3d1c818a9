"""Who is let in: this machine, tokens, origins; how much and how often."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.protocol import State

from labd.api.gate import refuse_unguarded
from labd.api.server import CannotListen, Tls, bound, check_tls
from labd.api.services import Access
from labd.api.tokens import Scope, bearer_of, make_token
from labd.errors import FileError
from tests.api.certificate import self_signed
from tests.api.served import PLAN, Api, api

READ_PATHS = ("status", "jobs", "runs", "bench", "drivers", "kpis", "lease")


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Path, str, str]:
    path = tmp_path / "tokens.toml"
    return path, make_token(path, "ann", Scope.CONTROL), make_token(path, "bob", Scope.READ)


async def test_beyond_this_machine_only_health_is_reached_without_a_token(tmp_path: Path, tls: Tls, tokens: tuple[Path, str, str]) -> None:
    async with api(tmp_path, host="0.0.0.0", access=Access(tokens[0]), tls=tls) as given:
        assert given.url.startswith("https://")
        assert (await given.ask("GET", "health")).json() == {"status": "ok"}
        document = (await given.http.get("/api/v1/openapi.json", headers={"authorization": f"Bearer {tokens[1]}"})).json()
        for path, operations in document["paths"].items():
            for method in operations:
                if not path.endswith("/health"):
                    assert (await given.http.request(method, path)).status_code in (401, 415), (method, path)
        for path in ("/", "/index.html", "/page.js", "/api/v1/openapi.json", "/docs"):
            assert (await given.http.get(path)).status_code == 401, path


async def test_a_read_token_looks_and_a_control_token_acts(tmp_path: Path, tokens: tuple[Path, str, str]) -> None:
    path, control, read = tokens
    async with api(tmp_path, access=Access(path)) as given:
        for bearer in (read, control):
            headers = {"authorization": f"Bearer {bearer}"}
            for name in READ_PATHS:
                assert (await given.ask("GET", name, headers=headers)).status_code == 200
            assert (await given.ask("POST", "plans/check", headers=headers, json={"plan_text": PLAN})).status_code == 200
        refused = await given.ask("POST", "jobs", headers={"authorization": f"Bearer {read}"}, json={"plan_text": PLAN})
        assert refused.status_code == 403
        assert "'bob' may read" in refused.json()["detail"]
        taken = await given.ask("POST", "jobs", headers={"authorization": f"Bearer {control}"}, json={"plan_text": PLAN})
        assert taken.json()["submitted_by"] == "ann"
        assert (await given.ask("GET", "jobs", headers={"authorization": "Bearer labd_nobodys"})).status_code == 401


@pytest.mark.parametrize("path", ["news", "live"])
@pytest.mark.parametrize("without", ["", "no TOML ["])
async def test_a_token_that_is_taken_back_closes_its_web_sockets_and_no_others(
    tmp_path: Path, tokens: tuple[Path, str, str], path: str, without: str
) -> None:
    file, control, read = tokens
    async with api(tmp_path, access=Access(file, look_again_s=0.01)) as given:
        url = given.url.replace("http", "ws") + f"api/v1/{path}"
        headers = [{"authorization": f"Bearer {token}"} for token in (control, read)]
        async with connect(url, additional_headers=headers[0]) as stays, connect(url, additional_headers=headers[1]) as goes:
            assert await asyncio.wait_for(goes.recv(), timeout=10)
            file.write_text(without or file.read_text().partition("[tokens.bob]")[0])
            await asyncio.wait_for(goes.wait_closed(), timeout=10)
            assert (goes.close_code, goes.close_reason) == (4401, "the token was taken back")
            if not without:
                assert stays.state is State.OPEN


async def test_a_browser_may_send_the_token_as_its_password(tmp_path: Path, tokens: tuple[Path, str, str]) -> None:
    async with api(tmp_path, access=Access(tokens[0])) as given:
        asked = await given.http.get("/")
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"].startswith("Basic ")
        word = base64.b64encode(f"me:{tokens[2]}".encode()).decode()
        assert (await given.http.get("/", headers={"authorization": f"Basic {word}"})).status_code == 200


@pytest.mark.parametrize("word", ["Basic \xe9", "Basic 4pyT", "Basic not base64", "Basic /w==", "Bearer \xe9\xff"])
async def test_credentials_that_are_none_are_nobodys(tmp_path: Path, tokens: tuple[Path, str, str], word: str) -> None:
    async with api(tmp_path, access=Access(tokens[0])) as given:
        assert (await given.http.get("/", headers={b"authorization": word.encode("latin-1")})).status_code == 401


@pytest.mark.parametrize("token", ["\ud800", "\0", "", "x" * 100_000])
def test_no_token_is_too_strange_to_be_nobodys(tokens: tuple[Path, str, str], token: str) -> None:
    assert bearer_of(tokens[0], token) is None


async def test_a_file_of_tokens_that_others_may_read_lets_nobody_in(tmp_path: Path, tokens: tuple[Path, str, str]) -> None:
    tokens[0].chmod(0o644)
    async with api(tmp_path, access=Access(tokens[0])) as given:
        answer = await given.ask("GET", "jobs", headers={"authorization": f"Bearer {tokens[1]}"})
        assert answer.status_code == 503
        assert "chmod 600" in answer.json()["detail"]


async def test_a_rebound_name_and_a_page_of_another_origin_are_refused(given: Api) -> None:
    rebound = await given.ask("GET", "jobs", headers={"host": "evil.example"})
    assert rebound.status_code == 403
    forged = await given.ask("POST", "bench/off", headers={"origin": "https://evil.example"})
    assert forged.status_code == 403
    assert given.bench.said == []
    own = given.url.rstrip("/")
    assert (await given.ask("POST", "bench/off", headers={"origin": own})).status_code == 200
    with pytest.raises(InvalidStatus):
        await connect(own.replace("http", "ws") + "/api/v1/news", origin="https://evil.example")  # type: ignore[arg-type]


async def test_a_body_that_is_too_large_is_refused_declared_or_not(tmp_path: Path) -> None:
    async with api(tmp_path, access=Access(largest_body=1000)) as given:
        declared = await given.ask("POST", "jobs", json={"plan_text": "x" * 2000})
        assert declared.status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b'{"plan_text": "' + b"x" * 100

        chunked = await given.ask("POST", "jobs", content=chunks(), headers={"content-type": "application/json"})
        assert chunked.status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
async def test_another_content_type_is_refused(given: Api, kind: str) -> None:
    answer = await given.ask("POST", "jobs", content=b'{"plan_text": "x"}', headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("name", ["*RST;:OUTP ON", "VOLT 20,(@1)", "SYST:COMM?", "a\nb", "../../etc/passwd", "<script>", "x" * 200, ""])
async def test_names_that_could_be_commands_paths_or_markup_are_refused(given: Api, name: str) -> None:
    assert (await given.ask("POST", "jobs", json={"plan_text": PLAN, "plan_name": name})).status_code == 422
    assert (await given.ask("POST", "jobs", json={"plan_text": PLAN, "tags": [name]})).status_code == 422
    assert (await given.ask("GET", "runs", params={"tag": name})).status_code == 422


async def test_control_characters_in_free_text_are_refused_and_scpi_there_is_only_text(given: Api) -> None:
    assert (await given.ask("POST", "jobs", json={"plan_text": PLAN, "note": "a\x1b[2J"})).status_code == 422
    assert (await given.submit(note="*RST;:OUTP ON"))["note"] == "*RST;:OUTP ON"


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../app.py", "/....//....//etc/passwd", "/%00"],
)
async def test_paths_do_not_lead_out_of_the_page(tmp_path: Path, path: str) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html>the page")
    (tmp_path / "app.py").write_text("a secret")
    async with api(tmp_path, page=page) as given:
        assert "the page" in (await given.http.get("/")).text
        raw = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
        port = int(given.url.rstrip("/").rpartition(":")[2])
        answer = await _raw(port, raw)
        assert b" 404 " in answer.splitlines()[0] or b" 400 " in answer.splitlines()[0]
        assert b"root:" not in answer
        assert b"a secret" not in answer


@pytest.mark.parametrize("run", ["..", "%2e%2e", "a/b", "A", "x;drop table runs", "latest%00"])
async def test_ids_that_are_none_are_refused(given: Api, run: str) -> None:
    assert (await given.ask("GET", f"runs/{run}/captures")).status_code in (404, 422)


async def test_who_asks_too_often_is_told_to_wait(tmp_path: Path) -> None:
    async with api(tmp_path, access=Access(rate_limit=2)) as given:
        answers = [await given.ask("GET", "health") for _ in range(25)]
    assert [answer.status_code for answer in answers].count(429) == 5
    assert answers[-1].headers["retry-after"] == "1"


async def test_whatever_else_is_asked_too_often_the_emergency_stop_and_abort_are_served(tmp_path: Path) -> None:
    async with api(tmp_path, access=Access(rate_limit=1)) as given:
        while (await given.ask("GET", "health")).status_code != 429:
            pass
        assert (await given.ask("POST", "bench/check")).status_code == 429
        assert (await given.ask("POST", "bench/off")).status_code == 200
        assert (await given.ask("POST", "jobs/j00000000/abort")).status_code == 404
        stops = [(await given.ask("POST", "bench/off")).status_code for _ in range(10)]
    assert stops.count(429) == 2


@pytest.mark.parametrize("origin", ["http://[", "null", "http://[::1", "//", ""])
async def test_an_origin_that_is_no_address_is_another_one(tmp_path: Path, tokens: tuple[Path, str, str], origin: str) -> None:
    async with api(tmp_path, access=Access(tokens[0])) as given:
        answer = await given.ask("POST", "bench/off", headers={"origin": origin})
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
        with pytest.raises(InvalidStatus) as refused:
            await connect(given.url.replace("http", "ws") + "api/v1/news", additional_headers={"origin": origin})
        assert refused.value.response.status_code == 403


async def test_head_answers_as_get_does_and_what_is_not_done_is_a_problem(given: Api, tmp_path: Path) -> None:
    for path in ("status", "jobs/j00000000", "nowhere"):
        got, head = await given.ask("GET", path), await given.ask("HEAD", path)
        assert (head.status_code, head.headers["content-type"], head.content) == (got.status_code, got.headers["content-type"], b"")
    for path, allowed in (("status", "GET, HEAD"), ("runs/20261123-143000-demo-ab12", "DELETE, GET, PATCH, HEAD")):
        refused = await given.ask("PUT", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
        assert refused.headers["content-type"] == "application/problem+json"
    assert (await given.http.head("/")).status_code == 200


async def test_what_is_not_there_and_what_is_no_json_is_said_in_words(given: Api) -> None:
    nothing = (await given.ask("GET", "nothing")).json()
    assert nothing["detail"] == "there is no GET /api/v1/nothing; /api/v1/openapi.json lists what there is"
    broken = await given.ask("POST", "jobs", content=b'{"plan_text": ', headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["detail"]) == (422, "body: is not JSON: Expecting value (character 14)")


async def test_every_answer_carries_the_headers_that_keep_a_page_to_itself(given: Api) -> None:
    for path in ("/", "/api/v1/status", "/nowhere"):
        headers = (await given.http.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert (await given.ask("GET", "status")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("tokens_there", "tls_there"), [(False, False), (True, False), (False, True)])
def test_a_server_that_others_reach_does_not_start_without_tokens_and_tls(tokens_there: bool, tls_there: bool) -> None:
    with pytest.raises(FileError, match=r"listening on 10\.0\.0\.1, beyond this machine, needs"):
        refuse_unguarded("10.0.0.1", on_loopback=False, tokens=Path("t") if tokens_there else None, tls=tls_there)


def test_what_is_wrong_with_an_address_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListen, match="another program listens there"):
        bound("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(CannotListen, match="this machine has no such address"):
        bound("192.0.2.1", 0)


def test_tls_files_that_do_not_fit_are_told(tls: Tls, tmp_path: Path) -> None:
    check_tls(tls)
    with pytest.raises(FileError, match="is no file"):
        check_tls(Tls(tls.certificate, tmp_path / "none.key"))
    with pytest.raises(FileError, match="is no certificate that fits the key"):
        check_tls(Tls(tls.key, tls.certificate))
    assert ssl.HAS_TLSv1_3


async def _raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer
