"""`labd grafana install` over a real socket, against a stand-in that refuses what Grafana refuses, and what `labd grafana init` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labd.cli.main import run_command
from labd.errors import FileError
from labd.grafana import provisioning
from labd.grafana.install import Grafana, GrafanaRefused, Installed
from labd.grafana.source import Source, data_source, filled_in, source_of
from tests.bench.whole_run import FIXTURES
from tests.grafana.fake_grafana import ADMIN, VIEWER, FakeGrafana, fake_grafana

ROOT = Path(__file__).parents[2]
yaml = pytest.importorskip("yaml")
ENVIRONMENT = {
    "LABD_INFLUX_URL": "http://influx:8086",
    "LABD_INFLUX_DATABASE": "labd",
    "LABD_INFLUX_USER": "grafana",
    "LABD_INFLUX_PASSWORD": "p$ss",
    "LABD_INFLUX_TOKEN": "t0ken",
}
PLACE = "https://influx.lab:8086/$$x"
DASHBOARDS = {f"dashboard {title}" for title in ("Live bench", "Run", "Compare runs and boards", "Daemon health")}


@dataclass(frozen=True)
class Table:
    """The `[influx]` table of a bench file."""

    url: str = "https://influx.lab:8086/$x"
    api: str = "v1"
    database: str = "energy"
    username: str | None = None


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    with fake_grafana() as found:
        yield found


def install(fake: FakeGrafana, token: str = ADMIN, *, keep: bool = False) -> list[Installed]:
    with Grafana(f"{fake.url}/", token) as there:
        return there.install(filled_in(data_source(Source()), ENVIRONMENT), keep=keep)


def hows(done: list[Installed]) -> dict[str, str]:
    return {one.what: one.how for one in done}


def test_everything_is_made_and_the_next_time_brought_up_to_date(grafana: FakeGrafana) -> None:
    assert hows(install(grafana)) == dict.fromkeys({"data source labd", "folder labd", *DASHBOARDS}, "created")
    assert grafana.sources["labd-influx"]["secureJsonData"] == {"password": "p$ss"}
    assert hows(install(grafana)) == {"data source labd": "updated", "folder labd": "kept"} | dict.fromkeys(DASHBOARDS, "updated")
    assert {one["version"] for one in grafana.dashboards.values()} == {2}


def test_a_grafana_that_draws_every_5_s_at_most_gets_dashboards_that_do_so_and_says_how_to_change_it(grafana: FakeGrafana) -> None:
    notes = {one.what: one.note for one in install(grafana) if one.note}
    assert set(notes) == {"dashboard Live bench"}
    assert "GF_DASHBOARDS_MIN_REFRESH_INTERVAL=500ms" in notes["dashboard Live bench"]
    assert grafana.dashboards["labd-live"]["refresh"] == "5s"
    grafana.min_refresh_s = 0.5
    assert not any(one.note for one in install(grafana))
    assert grafana.dashboards["labd-live"]["refresh"] == "1s"


def test_dashboards_that_are_there_can_be_left_as_they_are(grafana: FakeGrafana) -> None:
    install(grafana)
    grafana.dashboards["labd-live"]["title"] = "Mine"
    del grafana.dashboards["labd-run"]
    kept = hows(install(grafana, keep=True))
    assert (kept["dashboard Live bench"], kept["dashboard Run"]) == ("kept", "created")
    assert grafana.dashboards["labd-live"]["title"] == "Mine"


def test_dashboards_from_a_provisioning_file_are_left_to_it(grafana: FakeGrafana) -> None:
    install(grafana)
    for one in grafana.dashboards.values():
        one["provisioned"] = True
    assert {how for what, how in hows(install(grafana)).items() if what.startswith("dashboard")} == {"kept"}


def test_a_data_source_from_a_provisioning_file_is_left_to_it(grafana: FakeGrafana) -> None:
    grafana.sources["labd-influx"] = {"name": "labd", "readOnly": True}
    assert hows(install(grafana))["data source labd"] == "kept"


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("made-up", "the token is not one of this Grafana's, or it has expired (Grafana says: Invalid API key)"),
        (VIEWER, "could not make the data source labd: the token's service account may not: it needs the role Admin"),
    ],
)
def test_a_token_that_does_not_do_is_told(grafana: FakeGrafana, token: str, text: str) -> None:
    with pytest.raises(GrafanaRefused) as refused:
        install(grafana, token)
    assert text in str(refused.value)
    assert token not in str(refused.value)


def test_another_data_source_of_that_name_is_told(grafana: FakeGrafana) -> None:
    grafana.sources["theirs"] = {"name": "labd"}
    with pytest.raises(GrafanaRefused, match="data source labd: that name is taken by another one"):
        install(grafana)


def test_another_folder_of_that_name_is_told(grafana: FakeGrafana) -> None:
    grafana.folders["theirs"] = "labd"
    with pytest.raises(GrafanaRefused, match="folder labd: that name is taken by another one"):
        install(grafana)


def test_a_dashboard_that_belongs_to_a_plugin_is_told(grafana: FakeGrafana) -> None:
    install(grafana)
    grafana.dashboards["labd-run"]["plugin"] = True
    with pytest.raises(GrafanaRefused, match="dashboard Run: it belongs to a plugin"):
        install(grafana)


@pytest.mark.parametrize("status", [400, 404, 412, 500, 503])
def test_any_other_refusal_is_told_with_what_was_tried(grafana: FakeGrafana, status: int) -> None:
    grafana.failing = [status]
    with pytest.raises(GrafanaRefused, match=r"could not look at Grafana: .*\(Grafana says: made to fail\)"):
        install(grafana)


def test_a_grafana_that_is_too_old_is_told_before_anything_is_changed(grafana: FakeGrafana) -> None:
    grafana.version = "11.0.9"
    with pytest.raises(GrafanaRefused, match=r"is Grafana 11\.0\.9: the dashboards need Grafana 11\.1 or newer"):
        install(grafana)
    assert (grafana.sources, grafana.folders) == ({}, {})


def test_a_grafana_that_hides_its_version_is_tried(grafana: FakeGrafana) -> None:
    grafana.version = ""
    assert len(install(grafana)) == 6


def test_a_url_without_grafana_is_told(grafana: FakeGrafana) -> None:
    grafana.url = grafana.url.removesuffix("/grafana")
    with pytest.raises(GrafanaRefused, match="is it Grafana's own, with its sub-path"):
        install(grafana)


def test_a_machine_that_does_not_answer_is_told(grafana: FakeGrafana) -> None:
    grafana.url = "http://127.0.0.1:9"
    with pytest.raises(GrafanaRefused, match="cannot be reached"):
        install(grafana)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"dashboard": {"uid": "x", "title": ""}, "folderUid": "labd"}, 400),
        ({"dashboard": {"uid": "x" * 41, "title": "t"}, "folderUid": "labd"}, 400),
        ({"dashboard": {"uid": "x", "title": "t"}, "folderUid": "labd", "overwrite": "yes"}, 400),
        ({"dashboard": {"uid": "x", "title": "t", "id": 7}, "folderUid": "labd"}, 404),
        ({"dashboard": {"uid": "labd-run", "title": "Run", "version": 9}, "folderUid": "labd"}, 412),
        ({"dashboard": {"uid": "x", "title": "Run"}, "folderUid": "labd"}, 412),
    ],
)
def test_the_stand_in_refuses_what_grafana_refuses(grafana: FakeGrafana, body: dict[str, Any], status: int) -> None:
    install(grafana)
    assert grafana.answer("POST", "/api/dashboards/db", ADMIN, json.dumps(body).encode())[0] == status


def test_the_command_installs(grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {**ENVIRONMENT, "TOKEN": ADMIN}.items():
        monkeypatch.setenv(name, value)
    assert run_command(["grafana", "install", "--url", grafana.url, "--token-env", "TOKEN", "--api", "v2"]) == 0
    assert "dashboard Live bench: created" in capsys.readouterr().out
    assert grafana.sources["labd-influx"]["secureJsonData"] == {"httpHeaderValue1": "Token t0ken"}


@pytest.mark.parametrize("missing", ["TOKEN", "LABD_INFLUX_URL"])
def test_a_variable_that_is_not_there_is_named(
    missing: str, grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**ENVIRONMENT, "TOKEN": ADMIN}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    assert run_command(["grafana", "install", "--url", grafana.url, "--token-env", "TOKEN"]) == FileError.exit_code
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TOKEN", "gls\u00e9_secret", "TOKEN holds no token"),
        ("LABD_INFLUX_URL", "not a url", "LABD_INFLUX_URL"),
        ("LABD_INFLUX_PASSWORD", "", "LABD_INFLUX_PASSWORD"),
        ("URL", "http://me:pass-word@127.0.0.1:9", "a password in a URL ends up in logs"),
        ("URL", "127.0.0.1:3000", "expected a URL"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_asked(
    name: str, value: str, words: str, grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {**ENVIRONMENT, "TOKEN": ADMIN, "URL": grafana.url, name: value}
    for variable, text in given.items():
        monkeypatch.setenv(variable, text)
    assert run_command(["grafana", "install", "--url", given["URL"], "--token-env", "TOKEN"]) == FileError.exit_code
    said = capsys.readouterr().err
    assert words in said
    assert "secret" not in said
    assert "pass-word" not in said
    assert not grafana.sources


def test_init_writes_a_folder_that_names_its_own_dashboards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "of $lab"
    assert run_command(["grafana", "init", str(folder)]) == 0
    (provider,) = yaml.safe_load((folder / provisioning.PROVIDERS).read_text("utf-8"))["providers"]
    assert provider["options"]["path"] == str(folder / "dashboards").replace("$", "$$")
    shipped = {path.name: path.read_text("utf-8") for path in (ROOT / "grafana/dashboards").iterdir()}
    assert {path.name: path.read_text("utf-8") for path in (folder / "dashboards").iterdir()} == shipped
    assert run_command(["grafana", "init", str(folder)]) == FileError.exit_code
    assert "--force" in capsys.readouterr().err
    assert run_command(["grafana", "init", str(folder), "--force"]) == 0


def test_the_shipped_provisioning_is_what_init_writes() -> None:
    folder = ROOT / "grafana"
    assert (folder / provisioning.DATA_SOURCES).read_text("utf-8") == provisioning.data_sources(Source())
    assert (folder / provisioning.PROVIDERS).read_text("utf-8") == provisioning.providers(Path("/etc/grafana/labd/dashboards"))


@pytest.mark.parametrize(
    ("table", "source"),
    [
        (Table(), Source(PLACE, "energy", "", "")),
        (Table(username="writer"), Source(PLACE, "energy", "$LABD_INFLUX_USER", "$LABD_INFLUX_PASSWORD")),
        (Table(api="v2"), Source(PLACE, "energy", "", "", "$LABD_INFLUX_TOKEN")),
    ],
)
def test_the_data_source_is_where_the_bench_file_says_and_reads_with_an_account_of_its_own(table: Table, source: Source) -> None:
    assert source_of(table) == source
    (written,) = yaml.safe_load(provisioning.data_sources(source))["datasources"]
    assert written == {**data_source(source), "editable": False}
    assert filled_in(written, ENVIRONMENT)["url"] == table.url


def test_an_authority_of_its_own_is_given_to_grafana_too() -> None:
    source = source_of(Table(), ca="-----BEGIN CERTIFICATE-----\nMII$\n")
    (written,) = yaml.safe_load(provisioning.data_sources(source))["datasources"]
    assert written["jsonData"]["tlsAuthWithCACert"] is True
    assert filled_in(written, {})["secureJsonData"] == {"tlsCACert": "-----BEGIN CERTIFICATE-----\nMII$\n"}


def test_no_text_is_expanded_twice_by_grafana() -> None:
    """`${NAME}` is: a password loses what follows a dollar sign in it."""
    for source in (Source(), Source.with_token()):
        assert "${" not in provisioning.data_sources(source)


def test_a_retention_policy_that_panels_do_not_name_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = FIXTURES / "benches/demo.toml"
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/virtual-m4.toml").write_text((FIXTURES / "boards/virtual-m4.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "cards").symlink_to(FIXTURES / "cards")
    (tmp_path / "benches").mkdir()
    bench = tmp_path / "benches/demo.toml"
    table = '\n[influx]\nurl = "http://127.0.0.1:8086"\ndatabase = "labd"\nretention_policy = "year"\n'
    bench.write_text(demo.read_text("utf-8") + table, "utf-8")
    assert run_command(["grafana", "init", str(tmp_path / "grafana"), "--from", str(bench)]) == 0
    told = capsys.readouterr()
    assert "influx.retention_policy: the dashboards see 'year' only while it is the default of its database" in told.err
