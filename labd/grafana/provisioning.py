"""A folder of provisioning files and dashboards that a Grafana reads at its start (Grafana's documentation, "Provision Grafana")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labd import resources
from labd.errors import FileError
from labd.grafana.source import Source, data_source

DATA_SOURCES = "provisioning/datasources/labd.yaml"
PROVIDERS = "provisioning/dashboards/labd.yaml"
DASHBOARDS = "dashboards"
FOLDER = "labd"  # in Grafana: title and uid


def dashboards() -> list[dict[str, Any]]:
    """As they ship with labd, in the order of their file names."""
    return [json.loads(path.read_text("utf-8")) for path in _files()]


def write(folder: Path, source: Source, *, force: bool) -> list[Path]:
    """Raises FileError, before anything is written, for a file that is there already without `force`, and for what cannot be written."""
    texts = {DATA_SOURCES: data_sources(source), PROVIDERS: providers(folder.absolute() / DASHBOARDS)}
    texts |= {f"{DASHBOARDS}/{path.name}": path.read_text("utf-8") for path in _files()}
    targets = {folder / name: text for name, text in texts.items()}
    there = [target for target in targets if target.exists()]
    if there and not force:
        text = "exists already and is left as it is; give another folder, or --force to overwrite"
        raise FileError(str(there[0]), "", text, tuple(f"{target}: {text}" for target in there))
    for target, text in targets.items():
        _write(target, text)
    return list(targets)


def data_sources(source: Source) -> str:
    """The YAML of the data source. deleteDatasources is left out: another one of that name is nobody's to delete but its owner's."""
    return _yaml("datasources", {**data_source(source), "editable": False}, "The InfluxDB that labd writes to.")


def providers(path: Path) -> str:
    """The YAML that lets Grafana look for dashboards in `path`, a folder of Grafana's machine."""
    provider = {
        "name": FOLDER,
        "folder": FOLDER,
        "folderUid": FOLDER,
        "type": "file",
        "updateIntervalSeconds": 30,
        "allowUiUpdates": False,
        "options": {"path": str(path).replace("$", "$$"), "foldersFromFilesStructure": False},
    }
    return _yaml("providers", provider, "Where the dashboards are; copy one under another uid to change it.")


def _files() -> list[Path]:
    return sorted((resources.path("grafana") / DASHBOARDS).glob("*.json"))


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(str(target), "", f"cannot be written: {error.strerror or error}") from error


def _yaml(name: str, only: Mapping[str, Any], about: str) -> str:
    """A list of one entry. JSON's texts and numbers are YAML's."""
    lines = [f"# {about} Written by `labd grafana init`.", "apiVersion: 1", f"{name}:", *_entries(only, "    ")]
    return "\n".join(lines).replace(f"{name}:\n    ", f"{name}:\n  - ", 1) + "\n"


def _entries(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _entries(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"
