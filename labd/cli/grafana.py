"""`labd grafana`: the dashboards into a folder for a Grafana, or into a running one."""

from __future__ import annotations

import enum
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.json_option import Json, print_json
from labd.config.secret import authority
from labd.daemon.opened import load_bench
from labd.errors import FileError
from labd.grafana import provisioning
from labd.grafana.install import Grafana
from labd.grafana.source import Source, data_source, filled_in, source_of, wrong_url

app = typer.Typer(no_args_is_help=True, help="Dashboards for Grafana.")


class Api(enum.StrEnum):
    V1 = "v1"
    V2 = "v2"


From = Annotated[Path | None, typer.Option("--from", help="Bench file whose [influx] says where the data is; left out, LABD_INFLUX_* do.")]
OfInflux = Annotated[Api, typer.Option("--api", help="Without --from: v1 has a user and a password, v2 (InfluxDB 2.x and 3) a token.")]


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="grafana")


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made when missing.")] = Path("grafana"),
    bench: From = None,
    api: OfInflux = Api.V1,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Write provisioning files and dashboards for a Grafana that you start yourself. Secrets stay in Grafana's environment."""
    paths = provisioning.write(folder, _source(bench, api), force=force)
    if as_json:
        print_json(paths)
        return
    for path in paths:
        print(path)
    print(f"\nstart Grafana with GF_PATHS_PROVISIONING={folder.absolute() / 'provisioning'} GF_DASHBOARDS_MIN_REFRESH_INTERVAL=500ms")
    print("or, where it has provisioning files of its own, copy the two labd.yaml into its folders datasources and dashboards")


@app.command("install")
def install(
    url: Annotated[str, typer.Option("--url", help='Of Grafana, with its sub-path, such as "http://127.0.0.1:3000".')],
    token_env: Annotated[
        str, typer.Option("--token-env", help="Environment variable with the token of a service account that has the role Admin.")
    ] = "GRAFANA_TOKEN",
    bench: From = None,
    api: OfInflux = Api.V1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave dashboards that are there as they are.")] = False,
    tls_ca: Annotated[Path | None, typer.Option("--tls-ca", help="PEM file of the authority to check Grafana against.")] = None,
    as_json: Json = False,
) -> None:
    """Install data source and dashboards into a running Grafana through its HTTP API; once more brings them up to date."""
    if wrong := wrong_url(url):
        raise FileError("labd grafana", "url", wrong)
    token = os.environ.get(token_env, "").strip()
    if not re.fullmatch(r"[!-~]+", token):
        text = "holds no token" if token_env in os.environ else "is not there"
        raise FileError("labd grafana", "token-env", f"the environment variable {token_env} {text}")
    source = filled_in(data_source(_source(bench, api)), os.environ)
    with Grafana(url, token, verify=None if tls_ca is None else authority(tls_ca)) as grafana:
        done = grafana.install(source, keep=keep)
    if as_json:
        print_json(done)
        return
    for one in done:
        print(f"{one.what}: {one.how}{f' ({one.note})' if one.note else ''}")


def _source(bench: Path | None, api: Api) -> Source:
    if bench is None:
        return Source.with_token() if api is Api.V2 else Source()
    influx = load_bench(bench).influx
    if influx is None:
        raise FileError(str(bench), "influx", "this table is required: it says where the data is")
    if influx.retention_policy is not None:
        seen = f"the dashboards see {influx.retention_policy!r} only while it is the default of its database"
        print(f"{bench}: influx.retention_policy: {seen}", file=sys.stderr)
    if influx.tls_ca is None:
        return source_of(influx)
    path = bench.parent / influx.tls_ca
    authority(path)
    return source_of(influx, ca=path.read_text(encoding="utf-8"))
