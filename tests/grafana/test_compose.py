"""The compose file is whole: versions, health, ports, secrets, files and the bench that it starts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from labd.bench_file import load_bench

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2] / "grafana"
TEXT = (FOLDER / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = set(re.findall(r"(?m)^(\w+)=", (FOLDER / "example.env").read_text("utf-8")))
each_service = pytest.mark.parametrize("name", SERVICES)


def test_there_are_the_four_services() -> None:
    assert set(SERVICES) == {"influxdb", "grafana", "mosquitto", "labd"}


@each_service
def test_a_service_has_a_version_or_is_built_here(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+", service["image"])


@each_service
def test_a_service_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries"} <= set(check)


@each_service
def test_a_service_waits_for_others_to_be_well(name: str) -> None:
    waits = SERVICES[name].get("depends_on", {})
    assert set(waits) <= set(SERVICES)
    assert all(wait == {"condition": "service_healthy"} for wait in waits.values())


@each_service
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)] == []


@each_service
def test_passwords_come_from_the_environment(name: str) -> None:
    secrets = {key: value for key, value in SERVICES[name].get("environment", {}).items() if "PASSWORD" in key}
    assert [key for key, value in secrets.items() if not re.fullmatch(r"\$\{\w+:\?write it into \.env\}", value)] == []


@each_service
def test_what_a_service_mounts_is_there(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source = mount.split(":")[0]
        assert (FOLDER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_the_example_names_every_variable_and_gives_no_password() -> None:
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)) == EXAMPLE
    assert re.findall(r"(?m)^\w+=(.+)$", (FOLDER / "example.env").read_text("utf-8")) == []


def test_grafana_has_every_variable_that_its_provisioning_asks_for() -> None:
    asked = set(re.findall(r"\$(\w+)", (FOLDER / "provisioning/datasources/labd.yaml").read_text("utf-8")))
    assert asked <= set(SERVICES["grafana"]["environment"])


def test_commands_in_the_container_find_the_store_that_is_served() -> None:
    served = re.search(r'"--store", "([^"]+)"', (FOLDER / "Dockerfile").read_text("utf-8"))
    assert served is not None
    assert SERVICES["labd"]["environment"]["LABD_STORE"] == served[1]


def test_the_database_takes_as_many_series_as_there_are() -> None:
    """A run makes some hundreds; beyond a million points are refused by default."""
    assert SERVICES["influxdb"]["environment"]["INFLUXDB_DATA_MAX_SERIES_PER_DATABASE"] == "0"
    assert SERVICES["influxdb"]["environment"]["INFLUXDB_DATA_INDEX_VERSION"] == "tsi1"


def test_the_bench_that_labd_serves_is_right(tmp_path: Path) -> None:
    """And speaks to the services by their names, with a variable that it is given."""
    path = FOLDER / "bench/bench.toml"
    tables = tomllib.loads(path.read_text("utf-8"))
    assert tables["mqtt"]["host"] in SERVICES
    assert tables["influx"]["url"] == "http://influxdb:8086"
    assert tables["influx"]["password_env"] in SERVICES["labd"]["environment"]
    text = path.read_text("utf-8").replace('"../../fixtures', f'"{FOLDER.parent}/fixtures')
    (tmp_path / "bench.toml").write_text(text, "utf-8")
    assert load_bench(tmp_path / "bench.toml").clock == "real"
