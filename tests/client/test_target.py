"""Where a command finds its daemon, by which certificate it knows it, and who it says that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from labd.api.server import bound
from labd.api.services import Access
from labd.api.tokens import Scope, make_token
from labd.bench_file.server import from_here
from labd.client.connection import Connection, NoDaemon, Target, answer, here, target
from labd.client.generated.api.bench import status
from labd.client.generated.api.queue import get_lease, take_lease
from labd.client.generated.models.lease_body import LeaseBody
from labd.daemon.place import Place, tell_place
from labd.errors import FileError
from tests.api.certificate import self_signed
from tests.api.served import api


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABD_BENCH", "LABD_TOKEN", "LABD_CA", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def bench_of(where: Target) -> str:
    """Over HTTP and over a WebSocket."""
    with Connection(where) as daemon:
        with daemon.news() as news:
            first = next(news)
        assert isinstance(first, dict)
        said = answer(status.sync_detailed(client=daemon.client)).bench
        assert first["data"]["bench"] == said
        return said


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("bench-pc", "https://bench-pc:8470"),
        ("bench-pc:", "https://bench-pc:8470"),
        ("bench-pc:9000", "https://bench-pc:9000"),
        ("[::1]", "http://[::1]:8470"),
        ("localhost:9000", "http://localhost:9000"),
        ("127.0.0.1", "http://127.0.0.1:8470"),
        ("10.0.0.7", "https://10.0.0.7:8470"),
        ("http://127.0.0.1:8471", "http://127.0.0.1:8471"),
        ("https://labs.example/", "https://labs.example/"),
    ],
)
def test_a_host_is_asked_over_tls_but_on_loopback_and_a_url_is_taken_as_it_is(named: str, url: str) -> None:
    assert target(named, None).url == url


def test_a_certificate_to_trust_means_tls_on_loopback_too() -> None:
    assert target("127.0.0.1:9000", None, Path("own.pem")).url == "https://127.0.0.1:9000"


@pytest.mark.parametrize("named", ["bench-pc:x", "::1", "ftp://bench-pc", "https://", ":8470", "bench-pc:99999"])
def test_what_is_no_host_is_refused(named: str) -> None:
    with pytest.raises(FileError, match=r"--bench: .* is no HOST, HOST:PORT or URL"):
        target(named, None)


@pytest.mark.parametrize("token", ["é", "two words", "labd_x\n"])
def test_what_can_be_no_token_is_told(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABD_TOKEN", token)
    with pytest.raises(FileError, match="LABD_TOKEN: is no token"):
        target("bench-pc", None)


def test_the_daemon_of_a_store_is_found_whatever_bench_is_named_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABD_BENCH", "bench-pc")
    with pytest.raises(NoDaemon, match="no daemon serves"):
        here(tmp_path)
    tell_place(tmp_path, Place("https://127.0.0.1:8470/", "/etc/labd/bench.pem", "demo", 1))
    assert here(tmp_path) == Target("https://127.0.0.1:8470/", own=Path("/etc/labd/bench.pem"))
    assert target(None, tmp_path).url == "https://bench-pc:8470"


def test_a_server_on_every_address_is_reached_from_here_by_loopback() -> None:
    assert from_here("https://0.0.0.0:8470/") == "https://127.0.0.1:8470/"
    assert from_here("http://[::]:8470/") == "http://[::1]:8470/"
    assert from_here("https://10.0.0.1:8470/") == "https://10.0.0.1:8470/"


async def test_a_daemon_of_this_machine_is_known_by_its_own_certificate_whatever_names_it_is_for(tmp_path: Path) -> None:
    tokens, tls = tmp_path / "tokens.toml", self_signed(tmp_path, names="DNS:bench-pc")
    token = make_token(tokens, "ann", Scope.CONTROL)
    (tmp_path / "other").mkdir()
    other = self_signed(tmp_path / "other")
    async with api(tmp_path, host="0.0.0.0", access=Access(tokens), tls=tls) as given:
        assert await asyncio.to_thread(bench_of, Target(given.url, token, own=tls.certificate)) == "demo"
        for ca, own in ((None, None), (tls.certificate, None), (None, other.certificate)):
            with pytest.raises(NoDaemon, match=r"not trusted here; --ca FILE or LABD_CA .*CERTIFICATE_VERIFY_FAILED"):
                await asyncio.to_thread(bench_of, Target(given.url, token, ca, own))


async def test_a_certificate_that_is_given_is_trusted_for_the_names_that_it_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, tls = tmp_path / "tokens.toml", self_signed(tmp_path)
    monkeypatch.setenv("LABD_TOKEN", make_token(tokens, "ann", Scope.CONTROL))
    async with api(tmp_path, host="0.0.0.0", access=Access(tokens), tls=tls) as given:
        host = given.url.split("/")[2]
        assert await asyncio.to_thread(bench_of, target(host, None, tls.certificate)) == "demo"
        monkeypatch.setenv("LABD_CA", str(tls.certificate))
        assert await asyncio.to_thread(bench_of, target(host, None)) == "demo"


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    for content in (None, "no certificate"):
        if content is not None:
            path.write_text(content)
        for where in (Target("https://bench-pc", ca=path), Target("https://bench-pc", own=path)):
            with pytest.raises(FileError, match=r"ca\.pem: is no readable PEM file of certificates"):
                Connection(where)


async def test_a_daemon_without_tls_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    async with api(tmp_path) as given:
        host = given.url.split("/")[2]
        assert await asyncio.to_thread(bench_of, target(host, None)) == "demo"
        with pytest.raises(NoDaemon, match="does not speak TLS: give --bench http://"):
            await asyncio.to_thread(bench_of, target(f"https://{host}", None))


async def test_a_daemon_with_tls_is_told_from_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, tls = tmp_path / "tokens.toml", self_signed(tmp_path)
    monkeypatch.setenv("LABD_TOKEN", make_token(tokens, "ann", Scope.CONTROL))
    async with api(tmp_path, host="0.0.0.0", access=Access(tokens), tls=tls) as given:
        with pytest.raises(NoDaemon, match="does not speak plain HTTP; with TLS it is --bench https://"):
            await asyncio.to_thread(bench_of, target(given.url.split("/")[2], None))


@pytest.mark.parametrize("reach", [Target, lambda url: Target(url.replace("127.0.0.1", "localhost"))])
async def test_a_proxy_is_never_asked_for_a_daemon_of_this_machine(
    reach: Callable[[str], Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bound("127.0.0.1", 0) as nobody:
        nowhere = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, nowhere)
        monkeypatch.setenv(name.lower(), nowhere)
    async with api(tmp_path) as given:
        assert await asyncio.to_thread(bench_of, reach(given.url)) == "demo"


async def test_on_loopback_without_tokens_a_lease_is_of_whoever_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leased(url: str) -> str:
        with Connection(Target(url)) as daemon:
            answer(take_lease.sync_detailed(client=daemon.client, body=LeaseBody(until_ns=2**62)))
            held = answer(get_lease.sync_detailed(client=daemon.client))
            assert held is not None
            return held.who

    monkeypatch.setenv("LOGNAME", "ann")
    async with api(tmp_path) as given:
        assert await asyncio.to_thread(leased, given.url) == "ann"
        assert (await given.ask("POST", "lease", json={"until_ns": 2**62})).status_code == 409
        assert (await given.ask("DELETE", "lease", headers={"labd-user": "ann"})).status_code == 204
        for nobody in ("a b", "x" * 80, "<script>", ""):
            taken = await given.ask("POST", "lease", json={"until_ns": 2**62}, headers={"labd-user": nobody})
            assert taken.json()["who"] == "local"


async def test_with_tokens_nobody_is_who_it_says_it_is(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    headers = {"authorization": f"Bearer {make_token(tokens, 'ann', Scope.CONTROL)}", "labd-user": "bob"}
    async with api(tmp_path, access=Access(tokens)) as given:
        assert (await given.ask("POST", "lease", json={"until_ns": 2**62}, headers=headers)).json()["who"] == "ann"
