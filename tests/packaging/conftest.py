"""The wheel of this tree, and an environment of its own in which only the wheel and labd's dependencies can be imported."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 600.0  # of what hangs: a machine may be busy


@dataclass(frozen=True)
class Installed:
    """labd as a user has it. outside: the folder commands are run in, far from the checkout."""

    folder: Path
    outside: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("python", *arguments)

    def labd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("labd", *arguments)

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.outside), "LANG": "C.UTF-8"}  # no PYTHONPATH, no cache of ours
        return subprocess.run(
            [self.folder / "bin" / name, *arguments],
            cwd=self.outside,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _succeed(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    _succeed(sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "--no-deps", "--no-index", "-q", str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    # a path from a .pth is searched, but the .pth files in it are not read: the checkout's editable installation stays out
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
    return Installed(folder, tmp_path_factory.mktemp("outside"))


def _succeed(*command: str) -> None:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
